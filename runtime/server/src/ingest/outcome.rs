//! What an ingestion says when it has ended.

use eywa_lore::sync::Report;
use serde::Serialize;
use serde_json::json;

/// The most bytes of the line that the operator reads.
const LONGEST_LINE: usize = 1024;

/// The most characters of one text in it.
const LONGEST_TEXT: usize = 200;

/// What became of an ingestion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was done.
    pub report: Report,
    /// Why it came to no end, if it did not.
    pub error: Option<String>,
}

#[derive(Serialize)]
struct Named {
    document: String,
    reason: String,
}

impl Outcome {
    /// All of it, as one line of JSON.
    #[must_use]
    pub fn whole(&self) -> String {
        let mut whole = json!(self.report);
        whole["error"] = json!(self.error);
        whole.to_string()
    }

    /// As much as a condition has room for, as one line of JSON of at most 1 KiB: of the documents that were left out, the
    /// first, and how many there are.
    #[must_use]
    pub fn brief(&self) -> String {
        let skipped = self.report.skipped.iter().map(|skipped| Named {
            document: short(&skipped.source),
            reason: short(&skipped.reason),
        });
        let mut named: Vec<Named> = skipped.take(16).collect();
        loop {
            let line = json!({
                "documents": self.report.documents,
                "passages": self.report.passages,
                "embedded": self.report.embedded,
                "removed": self.report.removed,
                "skipped": named,
                "left_out": self.report.skipped.len(),
                "error": self.error.as_deref().map(short),
            })
            .to_string();
            if line.len() <= LONGEST_LINE || named.pop().is_none() {
                return line;
            }
        }
    }
}

/// The beginning of a text, without what needs more room in JSON than it shows.
fn short(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use eywa_lore::sync::Skipped;

    use super::*;

    #[test]
    fn a_brief_outcome_names_what_fits_and_stays_json() {
        let skipped = Skipped {
            source: "\"é\n".repeat(100),
            reason: "it is broken".to_owned(),
        };
        let outcome = Outcome {
            report: Report {
                documents: 41,
                skipped: vec![skipped; 40],
                ..Report::default()
            },
            error: Some("the store said: \"".to_owned() + &"no".repeat(500)),
        };
        let brief = outcome.brief();
        assert!(
            brief.len() <= LONGEST_LINE && !brief.contains('\n'),
            "{brief}"
        );
        let read: serde_json::Value = serde_json::from_str(&brief).unwrap();
        assert_eq!(read["documents"], 41);
        assert_eq!(read["skipped"][0]["reason"], "it is broken");
        assert!(read["skipped"].as_array().unwrap().len() < 40, "{brief}");
        assert_eq!(read["left_out"], 40);
        let whole: serde_json::Value = serde_json::from_str(&outcome.whole()).unwrap();
        assert_eq!(whole["skipped"].as_array().map(Vec::len), Some(40));
    }
}
