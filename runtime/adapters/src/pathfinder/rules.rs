//! A Pathfinder that goes by rules.

use async_trait::async_trait;
use eywa_crds::expression::{When, WhenError};
use eywa_weave::{
    Pulse, SpiritName,
    ports::pathfinder::{Pathfinder, PathfinderError},
    spirit::Facts,
};
use jiff::Timestamp;

use crate::facts;

/// Rules, tried in their order: the first that holds of a Pulse picks its Spirit. When none does, the session stays where
/// it is.
#[derive(Debug)]
pub struct RulesPathfinder {
    front: SpiritName,
    rules: Vec<(When, SpiritName)>,
    sticky: bool,
}

impl RulesPathfinder {
    /// A Pathfinder for the Spirit `front`, where every session begins. A rule is a CEL expression and the Spirit it
    /// leads to. With `sticky`, a choice holds until another rule makes another.
    ///
    /// # Errors
    /// When an expression is malformed; with the Spirit that its rule leads to.
    pub fn new<'a>(
        front: SpiritName,
        rules: impl IntoIterator<Item = (&'a str, SpiritName)>,
        sticky: bool,
    ) -> Result<Self, InvalidRule> {
        let rules = rules
            .into_iter()
            .map(|(when, spirit)| match When::parse(when) {
                Ok(when) => Ok((when, spirit)),
                Err(reason) => Err(InvalidRule { spirit, reason }),
            });
        Ok(Self {
            front,
            rules: rules.collect::<Result<_, _>>()?,
            sticky,
        })
    }
}

/// A rule that is no rule.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the route to {spirit}: {reason}")]
pub struct InvalidRule {
    /// The Spirit that it leads to.
    pub spirit: SpiritName,
    /// What is wrong with its expression.
    pub reason: WhenError,
}

#[async_trait]
impl Pathfinder for RulesPathfinder {
    /// A rule that cannot be evaluated on this Pulse does not hold, and those behind it are tried. Only when none of them
    /// holds is it an error.
    async fn choose(
        &self,
        pulse: &Pulse,
        current: Option<&SpiritName>,
    ) -> Result<Option<SpiritName>, PathfinderError> {
        let facts = facts::known(Facts {
            pulse,
            spirit: current.unwrap_or(&self.front),
            now: Timestamp::now(),
        });
        let mut failed = None;
        for (when, spirit) in &self.rules {
            match when.holds(&facts) {
                Ok(true) => return Ok(Some(spirit.clone())),
                Ok(false) => {}
                Err(error) => {
                    failed = Some(PathfinderError(format!(
                        "the route to {spirit}, {:?}: {error}",
                        when.source()
                    )));
                }
            }
        }
        failed.map_or(Ok(None), Err)
    }

    fn sticks(&self) -> bool {
        self.sticky
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pathfinder(rules: &[(&'static str, &str)]) -> RulesPathfinder {
        let rules = rules
            .iter()
            .map(|(when, spirit)| (*when, SpiritName::from(*spirit)));
        RulesPathfinder::new("barista".into(), rules, true).unwrap()
    }

    async fn choose(pathfinder: &RulesPathfinder, text: &str) -> Result<Option<String>, String> {
        let chosen = pathfinder.choose(&facts::tests::pulse(text), None).await;
        chosen
            .map(|spirit| spirit.map(|spirit| spirit.to_string()))
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn the_first_rule_that_holds_picks_the_spirit() {
        let rules = pathfinder(&[
            ("text.matches('(?i)invoice')", "billing"),
            ("text.contains('invoice')", "never"),
            ("voice == 'web'", "shop"),
        ]);
        assert_eq!(
            choose(&rules, "my invoice").await.unwrap().as_deref(),
            Some("billing")
        );
        assert_eq!(choose(&rules, "a flat white").await.unwrap(), None);
        assert!(rules.sticks());
    }

    #[tokio::test]
    async fn a_rule_that_fails_does_not_keep_the_others_from_holding() {
        let rules = pathfinder(&[
            ("text == 'hello' || int(text) > 0", "numbers"),
            ("text.contains('invoice')", "billing"),
        ]);
        assert_eq!(
            choose(&rules, "invoice").await.unwrap().as_deref(),
            Some("billing")
        );
        assert_eq!(
            choose(&rules, "7").await.unwrap().as_deref(),
            Some("numbers")
        );
        assert!(
            choose(&rules, "seven")
                .await
                .unwrap_err()
                .contains("numbers")
        );
    }

    #[test]
    fn a_rule_that_is_malformed_is_refused_with_where_it_leads() {
        let error = RulesPathfinder::new("barista".into(), [("text ==", "billing".into())], false)
            .unwrap_err();
        assert!(error.to_string().contains("billing"), "{error}");
    }
}
