//! Compiling where a Spirit routes to, and where that routes to.

use std::collections::BTreeMap;

use super::{ProblemReason, Problems, Surroundings, address::Addresses, spirit::SpiritCompiler};
use crate::{
    compile::ConditionType,
    expression::When,
    runtime_config::{CompiledPathfinder, CompiledSpirit},
    spirit::{PathfinderSettings, Route, SpiritSpec},
};

/// The most Spirits that one configuration has: it is one object of the cluster.
pub const MOST_SPIRITS: usize = 64;

impl SpiritCompiler<'_> {
    pub(super) fn pathfinder(&mut self, settings: &PathfinderSettings) -> CompiledPathfinder {
        for (index, route) in settings.routes.iter().enumerate() {
            self.route(&format!("spec.pathfinder.routes[{index}]"), settings, route);
        }
        let oracle = settings.oracle.as_ref();
        let described = |route: &Route| route.description.is_some();
        if oracle.is_some() && !settings.routes.iter().any(described) {
            self.problems.push(
                "spec.pathfinder.oracle",
                ProblemReason::SpecInvalid,
                "an oracle picks by description: describe at least one route",
            );
        }
        CompiledPathfinder {
            routes: settings.routes.clone(),
            oracle: oracle.and_then(|oracle| self.oracle("spec.pathfinder.oracle", oracle)),
            reconsider: settings.reconsider,
            sticky: settings.sticky,
            switch: settings.switch,
        }
    }

    fn route(&mut self, field: &str, settings: &PathfinderSettings, route: &Route) {
        match &route.when {
            Some(when) => {
                if let Err(error) = When::parse(when) {
                    self.problems.push(
                        format!("{field}.when"),
                        ProblemReason::ExpressionInvalid,
                        format!("{when:?}: {error}"),
                    );
                }
            }
            None if route.description.is_none() => self.problems.push(
                field,
                ProblemReason::SpecInvalid,
                "when, description or both are needed",
            ),
            None => {}
        }
        if route.description.is_some() && settings.oracle.is_none() && !settings.switch {
            self.problems.push(
                format!("{field}.description"),
                ProblemReason::SpecInvalid,
                "a description is for an oracle that picks, or for agents that switch: set oracle or switch, or write when in its place",
            );
        }
    }
}

/// Compiles the Spirits that the routes of `name` lead to, and those that theirs do, into `spirits`.
pub(super) fn routed(
    name: &str,
    spec: &SpiritSpec,
    addresses: &Addresses<'_>,
    spirits: &mut BTreeMap<String, CompiledSpirit>,
    problems: &mut Problems,
) {
    let mut walk = Walk {
        addresses,
        around: addresses.around(),
        spirits,
        problems,
        seen: vec![name.to_owned()],
        too_many: false,
    };
    walk.from(&mut vec![name.to_owned()], spec);
}

/// A walk along all routes, depth first.
struct Walk<'a> {
    addresses: &'a Addresses<'a>,
    around: &'a Surroundings,
    spirits: &'a mut BTreeMap<String, CompiledSpirit>,
    problems: &'a mut Problems,
    /// Where it was, sound or not.
    seen: Vec<String>,
    too_many: bool,
}

impl Walk<'_> {
    /// Goes on from the last of `chain`, which is how it came there.
    fn from(&mut self, chain: &mut Vec<String>, spec: &SpiritSpec) {
        let from = chain.last().cloned().unwrap_or_default();
        let mut problems = Problems::of("Spirit", &from, ConditionType::Accepted);
        let routes = spec.pathfinder.iter();
        for (index, route) in routes.flat_map(|found| &found.routes).enumerate() {
            let (to, field) = (
                &route.spirit,
                format!("spec.pathfinder.routes[{index}].spirit"),
            );
            // A route of a Spirit to itself keeps a conversation, or takes it back.
            if *to == from {
                continue;
            }
            if let Some(at) = chain.iter().position(|before| before == to) {
                problems.push(field, ProblemReason::RouteCycle, circle(&chain[at..], to));
                continue;
            }
            if self.seen.contains(to) || self.too_many {
                continue;
            }
            if self.seen.len() >= MOST_SPIRITS {
                self.too_many = true;
                problems.push(
                    field,
                    ProblemReason::SpecInvalid,
                    format!("the routes lead to more than {MOST_SPIRITS} Spirits: take some out"),
                );
                continue;
            }
            self.seen.push(to.clone());
            let Some(routed) = self.around.spirits.get(to) else {
                problems.push(
                    field,
                    ProblemReason::SpiritNotFound,
                    format!(
                        "there is no Spirit {to:?} in this namespace; create it, or take the route out"
                    ),
                );
                continue;
            };
            match SpiritCompiler::new(to, self.around, self.addresses).routed(routed) {
                Ok(compiled) => {
                    self.spirits.insert(to.clone(), compiled);
                }
                Err(found) => problems.extend(found),
            }
            chain.push(to.clone());
            self.from(chain, routed);
            chain.pop();
        }
        self.problems.extend(problems.into_found());
    }
}

fn circle(chain: &[String], back_to: &str) -> String {
    let (first, chain) = (back_to, chain.join(" → "));
    format!(
        "the routes lead in a circle: {chain} → {first}; take one of them out. A conversation is taken back to {first} by a \
         route of {first} to itself"
    )
}
