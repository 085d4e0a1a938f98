//! What a person is told of a sync.

use std::{
    io::IsTerminal as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use eywa_lore::sync::{Progress, Report};
use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::safe;

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// How many documents are named of those that were skipped.
const NAMED: usize = 20;

/// Shows how far it is: a bar in a terminal, lines elsewhere; both on standard error.
pub(super) enum Telling {
    Bar(ProgressBar),
    Lines(Mutex<Instant>),
}

impl Telling {
    pub(super) fn new(documents: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(Mutex::new(Instant::now()));
        }
        let bar = ProgressBar::new(documents as u64);
        let style = ProgressStyle::with_template(
            "{bar:30} {pos}/{len} documents, {msg} [{elapsed_precise}]",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self::Bar(bar)
    }

    pub(super) fn tell(&self, progress: Progress) {
        let said = format!(
            "{} passages embedded, {} unchanged, {} removed",
            progress.embedded, progress.unchanged, progress.removed
        );
        match self {
            Self::Bar(bar) => {
                bar.set_position(progress.documents as u64);
                bar.set_message(said);
            }
            Self::Lines(last) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= EVERY {
                    *last = Instant::now();
                    eprintln!("{}/{} documents, {said}", progress.documents, progress.of);
                }
            }
        }
    }

    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// What was done, in a line.
pub(super) fn summary(report: &Report, set: &str, dry_run: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    let mut said = format!(
        "{}: {} document(s), {} passage(s): {} {would}embedded, {} unchanged, {} {would}removed",
        safe::line(set),
        report.documents,
        report.passages,
        report.embedded,
        report.unchanged,
        report.removed
    );
    if report.kept > 0 {
        said.push_str(&format!(
            ", {} kept of documents that could not be read",
            report.kept
        ));
    }
    if report.tokens > 0 {
        said.push_str(&format!("; {} tokens", report.tokens));
    }
    said
}

/// Which documents were skipped, and why.
pub(super) fn skipped(report: &Report) {
    for skipped in report.skipped.iter().take(NAMED) {
        eprintln!(
            "skipped {}: {}",
            safe::line(&skipped.source),
            safe::line(&skipped.reason)
        );
    }
    if let Some(more) = report.skipped.len().checked_sub(NAMED + 1) {
        eprintln!("skipped {} more", more + 1);
    }
}
