//! `eywa-runtime ingest`.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use clap::Parser;
use eywa_crds::runtime_config::IngestConfig;
use eywa_lore::{
    documents::Reader,
    sync::{Progress, Report},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{Documents, IngestError, Outcome, ingest};
use crate::{
    metrics::Metrics,
    secrets::MountedSecrets,
    wiring::{Shared, lore::open},
};

/// Brings the documents of one Spirit into its Lore, says what it did as one line of JSON, and ends: with 0 when it came to
/// its end, with 1 when it did not.
#[derive(Parser)]
#[command(version, name = "eywa-runtime ingest")]
pub struct IngestOptions {
    /// What to bring in, and where to: JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The folder that Secrets are mounted in, as DIR/<Secret>/<key>.
    #[arg(long, value_name = "DIR")]
    secrets: PathBuf,
    /// The folder that ConfigMaps of documents are mounted in, as DIR/<ConfigMap>/<key>.
    #[arg(long, value_name = "DIR", default_value = "/documents")]
    documents: PathBuf,
    /// The file that a short form of what it says is written to, for the operator.
    #[arg(long, value_name = "FILE", default_value = "/dev/termination-log")]
    report: PathBuf,
}

impl IngestOptions {
    /// Does it.
    pub async fn run(self) -> ExitCode {
        // What was done so far, for an end that is not its own.
        let done = Mutex::new(Progress::default());
        let tell = |progress| *done.lock().unwrap_or_else(PoisonError::into_inner) = progress;
        let ended = tokio::select! {
            ended = self.ingest(&tell) => ended.map_err(|error| error.to_string()),
            () = asked_to_stop() => Err("it was stopped; the next one goes on from there".to_owned()),
        };
        let outcome = match ended {
            Ok(report) => Outcome {
                report,
                error: None,
            },
            Err(error) => {
                let done = *done.lock().unwrap_or_else(PoisonError::into_inner);
                let report = Report {
                    documents: done.documents,
                    embedded: done.embedded,
                    unchanged: done.unchanged,
                    removed: done.removed,
                    ..Report::default()
                };
                Outcome {
                    report,
                    error: Some(error),
                }
            }
        };
        let _ = writeln!(std::io::stdout(), "{}", outcome.whole());
        if let Err(error) = fs::write(&self.report, outcome.brief()) {
            tracing::warn!(%error, file = %self.report.display(), "the report is not written");
        }
        match outcome.error {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        }
    }

    async fn ingest(
        &self,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Report, Box<dyn std::error::Error>> {
        let text = fs::read_to_string(&self.config)
            .map_err(|error| format!("{} cannot be read: {error}", self.config.display()))?;
        let config = IngestConfig::from_json(&text)?;
        let secrets = MountedSecrets(self.secrets.clone());
        let shared = Shared::new(config.network.clone(), Metrics::new()?);
        let opened =
            open(&config.spirit, &config.lore, &secrets, &shared).map_err(IngestError::from)?;
        let documents = Documents::Mounted(self.documents.clone());
        let reader = Reader::of_this_program()?;
        Ok(ingest(&config, &opened, &documents, &reader, &shared.client, tell).await?)
    }
}

/// The first process of a container is ended by no signal that it does not ask for.
async fn asked_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
