//! Noticing edits.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::{sync::mpsc, time::timeout};

/// Editors write a file in several steps; this long without another is taken for the last.
const SETTLED: Duration = Duration::from_millis(150);

/// Sends a word after each edit of a file in the folder.
pub(super) fn watch(dir: &Path) -> Result<mpsc::Receiver<()>> {
    let (noticed, mut notices) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let edit = event.is_ok_and(|event| {
            !matches!(event.kind, EventKind::Access(_))
                && event.paths.iter().any(|path| is_manifest(path))
        });
        if edit {
            // One that waits to be read is enough.
            let _ = noticed.try_send(());
        }
    })
    .and_then(|mut watcher| {
        watcher
            .watch(dir, RecursiveMode::NonRecursive)
            .map(|()| watcher)
    })
    .with_context(|| format!("{} cannot be watched for edits", dir.display()))?;
    let (edited, edits) = mpsc::channel(1);
    tokio::spawn(async move {
        while notices.recv().await.is_some() {
            while let Ok(Some(())) = timeout(SETTLED, notices.recv()).await {}
            if edited.send(()).await.is_err() {
                break;
            }
        }
        watcher.unwatch(Path::new("")).ok();
    });
    Ok(edits)
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|wanted| extension == *wanted)
    })
}
