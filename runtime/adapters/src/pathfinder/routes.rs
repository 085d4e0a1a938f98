//! A Pathfinder that follows routes, from the front Spirit on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use eywa_crds::{
    expression::{When, WhenError},
    facts::PulseFacts,
};
use eywa_weave::{
    Pulse, SpiritName,
    ports::pathfinder::{Consulted, Pathfinder, PathfinderError},
    spirit::Facts,
};
use jiff::Timestamp;

use crate::facts;

/// Picks where no rule speaks of a Pulse.
#[async_trait]
pub trait Chooser: Send + Sync {
    /// The Spirit that it should go to, or `None` if that is not known. `current` is the Spirit that the session is with.
    /// Whatever fails is nothing chosen. Each Oracle that was asked is written to `consulted` at once.
    async fn pick(
        &self,
        pulse: &Pulse,
        current: Option<&SpiritName>,
        consulted: &mut Vec<Consulted>,
    ) -> Option<SpiritName>;
}

/// Where one Spirit's conversations may go.
pub struct Ways {
    rules: Vec<(When, SpiritName)>,
    leads: Vec<SpiritName>,
    chooser: Option<Arc<dyn Chooser>>,
    reconsiders: bool,
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ways")
            .field("rules", &self.rules)
            .field("leads", &self.leads)
            .field("asks", &self.chooser.is_some())
            .finish_non_exhaustive()
    }
}

impl Ways {
    /// Ways to Spirits, in their order: each with the CEL expression of its rule, if it has one.
    ///
    /// # Errors
    /// When an expression is malformed; with the Spirit that its rule leads to.
    pub fn new<'a>(
        routes: impl IntoIterator<Item = (SpiritName, Option<&'a str>)>,
    ) -> Result<Self, InvalidRule> {
        let (mut rules, mut leads) = (Vec::new(), Vec::new());
        for (spirit, when) in routes {
            if let Some(when) = when {
                match When::parse(when) {
                    Ok(when) => rules.push((when, spirit.clone())),
                    Err(reason) => return Err(InvalidRule { spirit, reason }),
                }
            }
            if !leads.contains(&spirit) {
                leads.push(spirit);
            }
        }
        Ok(Self {
            rules,
            leads,
            chooser: None,
            reconsiders: false,
        })
    }

    /// Asks this one where no rule holds: once, as a conversation comes to these ways, and with `again` for every Pulse.
    #[must_use]
    pub fn choosing(mut self, chooser: Arc<dyn Chooser>, again: bool) -> Self {
        self.chooser = Some(chooser);
        self.reconsiders = again;
        self
    }

    /// The Spirit of the first rule that holds. A rule that cannot be evaluated on this Pulse does not hold, and those
    /// behind it are tried; only when none of them holds is it an error.
    fn rule(&self, facts: &PulseFacts) -> Result<Option<SpiritName>, PathfinderError> {
        let mut failed = None;
        for (when, spirit) in &self.rules {
            match when.holds(facts) {
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

/// Follows routes from the front Spirit on. At each Spirit with ways, rules come first and its chooser after them; where
/// neither says anything, the walk goes on towards the Spirit that the session is with, and ends there.
///
/// Ways that lead in a circle end the walk where it began to go round.
#[derive(Debug)]
pub struct RoutesPathfinder {
    front: SpiritName,
    ways: BTreeMap<SpiritName, Ways>,
    /// Every Spirit that a conversation may come to from each.
    reach: BTreeMap<SpiritName, BTreeSet<SpiritName>>,
    sticky: bool,
}

impl RoutesPathfinder {
    /// A Pathfinder for the Spirit `front`, where every session begins, with the ways of it and of those that it routes to.
    /// With `sticky`, a choice holds until another is made.
    #[must_use]
    pub fn new(
        front: SpiritName,
        ways: impl IntoIterator<Item = (SpiritName, Ways)>,
        sticky: bool,
    ) -> Self {
        let ways: BTreeMap<SpiritName, Ways> = ways.into_iter().collect();
        let reach = ways.keys().map(|from| (from.clone(), reach(&ways, from)));
        Self {
            front,
            reach: reach.collect(),
            ways,
            sticky,
        }
    }

    /// Whether a session that is with `current` has come to `at`, or beyond.
    fn has_come(&self, at: &SpiritName, current: Option<&SpiritName>) -> bool {
        current.is_some_and(|current| {
            current == at
                || self
                    .reach
                    .get(at)
                    .is_some_and(|reach| reach.contains(current))
        })
    }

    /// The next Spirit on the way from `at` to `current`.
    fn towards(&self, at: &SpiritName, current: Option<&SpiritName>) -> Option<&SpiritName> {
        if current == Some(at) {
            return None;
        }
        let mut leads = self.ways.get(at)?.leads.iter();
        leads.find(|lead| *lead != at && self.has_come(lead, current))
    }
}

fn reach(ways: &BTreeMap<SpiritName, Ways>, from: &SpiritName) -> BTreeSet<SpiritName> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![from];
    while let Some(at) = ahead.pop() {
        for lead in ways.get(at).iter().flat_map(|ways| &ways.leads) {
            if lead != from && reached.insert(lead.clone()) {
                ahead.push(lead);
            }
        }
    }
    reached
}

#[async_trait]
impl Pathfinder for RoutesPathfinder {
    async fn choose(
        &self,
        pulse: &Pulse,
        current: Option<&SpiritName>,
        consulted: &mut Vec<Consulted>,
    ) -> Result<Option<SpiritName>, PathfinderError> {
        let mut known = facts::known(Facts {
            pulse,
            spirit: current.unwrap_or(&self.front),
            now: Timestamp::now(),
        });
        let (mut at, mut chosen, mut failed) = (self.front.clone(), None, None);
        let mut walked = BTreeSet::new();
        // The session's Spirit, while the walk leads there.
        let mut target = current.filter(|current| self.has_come(&self.front, Some(*current)));
        while let Some(ways) = self.ways.get(&at) {
            if !walked.insert(at.clone()) {
                break;
            }
            known.spirit = target.unwrap_or(&at).to_string();
            let mut next = match ways.rule(&known) {
                Ok(next) => next,
                Err(error) => {
                    failed = Some(error);
                    None
                }
            };
            let asks = ways.reconsiders || !self.has_come(&at, target);
            if let (None, true, Some(chooser)) = (&next, asks, &ways.chooser) {
                next = chooser.pick(pulse, target, consulted).await;
            }
            match next {
                Some(to) => {
                    chosen = Some(to.clone());
                    if to == at {
                        break;
                    }
                    target = target.filter(|target| self.has_come(&to, Some(*target)));
                    at = to;
                }
                None => match self.towards(&at, target) {
                    // Where it is already was not chosen now; what it came by may have been.
                    Some(on) => {
                        chosen = chosen.map(|_| on.clone());
                        at = on.clone();
                    }
                    None => break,
                },
            }
        }
        match (chosen, failed) {
            (Some(chosen), _) => Ok(Some(chosen)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    fn sticks(&self) -> bool {
        self.sticky
    }
}

#[cfg(test)]
mod tests;
