//! What the Job reports, as a condition of the Spirit.

use super::{Brought, Ended};
use crate::conditions::Verdict;
use serde::Deserialize;

/// What `eywa-runtime ingest` leaves to be read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    documents: u64,
    passages: u64,
    /// The first of those that were left out.
    skipped: Vec<Skipped>,
    /// How many there are.
    left_out: u64,
    error: Option<String>,
}

impl Report {
    /// None for what is no report.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// How many documents were left out. An image that is older than the count only lists them.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
            .max(u64::try_from(self.skipped.len()).unwrap_or(u64::MAX))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Skipped {
    document: String,
    reason: String,
}

/// The verdict of `LoreReady`; none for a Spirit without Lore.
#[must_use]
pub fn verdict(brought: &Brought) -> Option<Verdict> {
    Some(match brought {
        Brought::None => return None,
        Brought::Running(job) => Verdict::unknown(
            "Syncing",
            format!("Job {job:?} checks the store and brings the documents in"),
        ),
        Brought::Done(ended) => match &ended.report {
            None => Verdict::yes("Synced", "the documents are in"),
            Some(report) if report.left_out() == 0 => Verdict::yes("Synced", counted(report)),
            Some(report) => Verdict::no(
                "DocumentsSkipped",
                format!(
                    "{}; left out: {} ({})",
                    counted(report),
                    named(report, &ended.name),
                    tried_again(ended)
                ),
            ),
        },
        Brought::Failed(ended) => {
            let error = ended.report.as_ref().and_then(|it| it.error.clone());
            let error = error.unwrap_or_else(|| format!("see `kubectl logs job/{}`", ended.name));
            Verdict::no(
                "SyncFailed",
                format!(
                    "{error} (answers go on with what is in the store; {})",
                    tried_again(ended)
                ),
            )
        }
    })
}

/// The first document that was left out, and how many more there are.
fn named(report: &Report, job: &str) -> String {
    let count = report.left_out();
    let Some(Skipped { document, reason }) = report.skipped.first() else {
        let documents = several(count, "document");
        return format!("{documents}, see `kubectl logs job/{job}`");
    };
    let more = match count - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{document:?}: {reason}{more}")
}

/// When another Job comes, and how it comes at once.
fn tried_again(Ended { name, again, .. }: &Ended) -> String {
    let at_once = format!("after `kubectl delete job {name}`");
    match again {
        Some(again) => format!("tried again at {again:.0}, or at once {at_once}"),
        None => format!("tried again {at_once}"),
    }
}

fn counted(report: &Report) -> String {
    match report.documents {
        0 => "the store is there, and fits the embedder".to_owned(),
        documents => format!(
            "{} in {}",
            several(documents, "document"),
            several(report.passages, "passage")
        ),
    }
}

fn several(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_becomes_a_condition_that_says_what_to_do() {
        let says = |brought: Brought| {
            let verdict = verdict(&brought).unwrap();
            (verdict.status, verdict.reason, verdict.message)
        };
        let ended = |report: Option<&str>| Ended {
            name: "a-lore-1".to_owned(),
            report: report.and_then(Report::read),
            again: Some("2026-01-01T00:10:00Z".parse().unwrap()),
        };
        let done = |report: &str| says(Brought::Done(ended(Some(report))));
        let failed = |report| says(Brought::Failed(ended(report)));
        assert!(verdict(&Brought::None).is_none());
        assert_eq!(says(Brought::Running("a-lore-1".into())).0, "Unknown");
        assert_eq!(
            done(
                r#"{"documents":3,"passages":9,"embedded":9,"removed":0,"skipped":[],"left_out":0,"error":null}"#
            ),
            ("True", "Synced".into(), "3 documents in 9 passages".into())
        );
        let (status, reason, message) = done(
            r#"{"documents":3,"passages":9,"skipped":[{"document":"a.doc","reason":"not a kind that is read"},{"document":"b","reason":"x"}]}"#,
        );
        assert_eq!((status, reason.as_str()), ("False", "DocumentsSkipped"));
        assert_eq!(
            message,
            "3 documents in 9 passages; left out: \"a.doc\": not a kind that is read, and 1 more \
             (tried again at 2026-01-01T00:10:00Z, or at once after `kubectl delete job a-lore-1`)"
        );
        let (status, reason, message) = failed(Some(
            r#"{"error":"qdrant has no collection \"menu\": create it"}"#,
        ));
        assert_eq!((status, reason.as_str()), ("False", "SyncFailed"));
        assert!(message.starts_with("qdrant has no collection"), "{message}");
        assert!(
            message.contains("tried again at 2026-01-01T00:10:00Z, or at once after `kubectl"),
            "{message}"
        );
        // A pod that was killed leaves nothing.
        let (_, _, message) = failed(None);
        assert!(
            message.starts_with("see `kubectl logs job/a-lore-1`"),
            "{message}"
        );
    }

    #[test]
    fn documents_are_counted_that_the_report_has_no_room_to_name() {
        let says = |line| {
            let report = Report::read(line).unwrap();
            named(&report, "a-lore-1")
        };
        assert_eq!(
            says(r#"{"skipped":[{"document":"a","reason":"x"}],"left_out":40}"#),
            "\"a\": x, and 39 more"
        );
        assert_eq!(
            says(r#"{"skipped":[],"left_out":2}"#),
            "2 documents, see `kubectl logs job/a-lore-1`"
        );
    }
}
