//! A condition that is a CEL expression.

use eywa_crds::expression::{When, WhenError};
use eywa_weave::spirit::{Condition, Facts, NotApplicable};

use crate::facts;

/// An expression over `text`, `voice`, `user`, `session`, `now` and `spirit`. The language is the one that manifests are
/// checked with.
#[derive(Debug)]
pub struct CelCondition(When);

impl CelCondition {
    /// Compiles an expression, and tries it.
    ///
    /// # Errors
    /// When it is malformed, names what no Pulse has, or is no yes or no.
    pub fn parse(source: &str) -> Result<Self, WhenError> {
        When::parse(source).map(Self)
    }
}

impl Condition for CelCondition {
    fn holds(&self, facts: Facts<'_>) -> Result<bool, NotApplicable> {
        self.0
            .holds(&facts::known(facts))
            .map_err(|error| NotApplicable(format!("the condition {:?}: {error}", self.0.source())))
    }
}

#[cfg(test)]
mod tests {
    use eywa_weave::SpiritName;

    use super::*;

    fn holds(source: &str) -> bool {
        let (pulse, spirit) = (
            facts::tests::pulse("My INVOICE, please"),
            SpiritName::from("barista"),
        );
        let facts = Facts {
            pulse: &pulse,
            spirit: &spirit,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        CelCondition::parse(source).unwrap().holds(facts).unwrap()
    }

    #[test]
    fn a_condition_sees_the_pulse() {
        for source in [
            "voice == 'wa'",
            "text.matches('(?i)invoice')",
            "user.id.startsWith('55') && user.name == 'Ana'",
            "session.id == 'wa/5511999990000'",
            "spirit == 'barista'",
        ] {
            assert!(holds(source), "{source}");
        }
        assert!(!holds("voice == 'web'"));
        assert!(!holds("text.matches('refund')"));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for source in ["voice ==", "channel == 'wa'", "text"] {
            assert!(CelCondition::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_evaluated_says_which_one_it_is() {
        // It holds up on the sample that it was tried with, and not on this one.
        let condition = CelCondition::parse("text == 'hello' || int(text) > 0").unwrap();
        let (pulse, spirit) = (facts::tests::pulse("seven"), SpiritName::from("barista"));
        let facts = Facts {
            pulse: &pulse,
            spirit: &spirit,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let error = condition.holds(facts).unwrap_err().to_string();
        assert!(error.contains("int(text) > 0"), "{error}");
    }
}
