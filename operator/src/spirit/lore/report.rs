//! What the Job reports, as a condition of the Spirit.

use super::Brought;
use crate::conditions::Verdict;
use serde::Deserialize;

/// What `eywa-runtime ingest` leaves to be read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    documents: u64,
    passages: u64,
    skipped: Vec<Skipped>,
    error: Option<String>,
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
    let read = |message: &Option<String>| {
        let message = message.as_deref()?;
        serde_json::from_str::<Report>(message).ok()
    };
    Some(match brought {
        Brought::None => return None,
        Brought::Running(job) => Verdict::unknown(
            "Syncing",
            format!("Job {job:?} checks the store and brings the documents in"),
        ),
        Brought::Done(message) => match read(message) {
            None => Verdict::yes("Synced", "the documents are in"),
            Some(report) if report.skipped.is_empty() => Verdict::yes("Synced", counted(&report)),
            Some(report) => {
                let first = &report.skipped[0];
                let more = match report.skipped.len() - 1 {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                let (document, reason) = (&first.document, &first.reason);
                Verdict::no(
                    "DocumentsSkipped",
                    format!(
                        "{}; left out: {document:?}: {reason}{more}",
                        counted(&report)
                    ),
                )
            }
        },
        Brought::Failed(job, message) => {
            let report = read(message).and_then(|report| report.error);
            let error = report.unwrap_or_else(|| format!("see `kubectl logs job/{job}`"));
            Verdict::no(
                "SyncFailed",
                format!(
                    "{error} (answers go on with what is in the store; tried again after 10 minutes, or when Job {job:?} is deleted)"
                ),
            )
        }
    })
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
        let done = |report: &str| says(Brought::Done(Some(report.to_owned())));
        assert!(verdict(&Brought::None).is_none());
        assert_eq!(says(Brought::Running("a-lore-1".into())).0, "Unknown");
        assert_eq!(
            done(
                r#"{"documents":3,"passages":9,"embedded":9,"removed":0,"skipped":[],"error":null}"#
            ),
            ("True", "Synced".into(), "3 documents in 9 passages".into())
        );
        let (status, reason, message) = done(
            r#"{"documents":3,"passages":9,"skipped":[{"document":"a.doc","reason":"not a kind that is read"},{"document":"b","reason":"x"}]}"#,
        );
        assert_eq!((status, reason.as_str()), ("False", "DocumentsSkipped"));
        assert!(
            message.contains("\"a.doc\": not a kind that is read, and 1 more"),
            "{message}"
        );
        let failed = Brought::Failed(
            "a-lore-1".into(),
            Some(r#"{"error":"qdrant has no collection \"menu\": create it"}"#.into()),
        );
        let (status, reason, message) = says(failed);
        assert_eq!((status, reason.as_str()), ("False", "SyncFailed"));
        assert!(message.starts_with("qdrant has no collection"), "{message}");
        // A pod that was killed leaves nothing.
        let (_, _, message) = says(Brought::Failed("a-lore-1".into(), None));
        assert!(
            message.starts_with("see `kubectl logs job/a-lore-1`"),
            "{message}"
        );
    }
}
