//! Calling Actions: the Spirit's own, and its Conduits' tools. A failure is a result, for the Oracle to work with.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Inner, Stopped, answer::Answer, trace::Trace};
use crate::{
    echo::EchoBody,
    names::SpiritName,
    observe::{Event, Stage},
    ports::{
        Action, Conduit,
        action::{Call, Done, Effect},
    },
    pulse::Pulse,
    spirit::{RiteRule, Spirit},
    tool::{Tool, ToolCall, ToolResult, ToolSpec},
};

/// The most calls of one round that are made; the Oracle may ask for the others again.
const MOST_CALLS: usize = 16;
/// The most bytes of a result that the Oracle is shown: what an Action may be told to read, and what it says of that.
/// Adapters bound theirs by themselves, and lower.
const LONGEST_RESULT: usize = 1024 * 1024 + 1024;
/// How long a Conduit may take to say what tools it has.
const LONGEST_LISTING: Duration = Duration::from_secs(5);

/// What the Oracle is told of a call that waits for a human's yes.
pub(super) const WAITS: &str = "This call waits for a human's yes. It has not been made yet, and it is not known whether it \
will be; you will be told. Until then say that it waits, and do not make it again.";
const WAITS_ALREADY: &str = "The very same call waits for a human's yes already, and is not asked for twice. It has not been \
made yet; you will be told what comes of it.";

/// What came of one round of calls.
pub(super) struct Round<'s> {
    /// One result for each call, in their order.
    pub(super) results: Vec<ToolResult>,
    /// What the calls ask of the session, each with the place of its call.
    pub(super) effects: Vec<(usize, Effect)>,
    /// The calls that are to wait for a human's yes. Their results say so.
    pub(super) parkings: Vec<Parking<'s>>,
}

/// A call that is to wait for a human's yes.
pub(super) struct Parking<'s> {
    pub(super) rule: &'s RiteRule,
    pub(super) call: ToolCall,
    /// The call's id for its receiver.
    pub(super) key: String,
}

/// The tools of one turn, by their names. A Spirit's own Action comes before a Conduit's tool of the same name, and
/// Conduits in their order.
pub(super) struct Toolset {
    by_name: BTreeMap<String, (Tool, Hand)>,
    specs: Vec<Arc<ToolSpec>>,
}

/// Who does it.
enum Hand {
    Action(Arc<dyn Action>),
    Conduit(Arc<dyn Conduit>),
}

impl Toolset {
    /// The tools that can be had now. A Conduit that does not answer is left out, for this turn.
    pub(super) async fn of(spirit: &Spirit, deadline: Instant) -> Self {
        let mut tools = Self {
            by_name: BTreeMap::new(),
            specs: Vec::new(),
        };
        for action in &spirit.actions {
            tools.add(action.tool().clone(), Hand::Action(Arc::clone(action)));
        }
        let until = deadline.min(Instant::now() + LONGEST_LISTING);
        let listings = spirit
            .conduits
            .iter()
            .map(|conduit| timeout_at(until, conduit.tools()));
        for (conduit, listing) in spirit.conduits.iter().zip(join_all(listings).await) {
            let listed = match listing {
                Ok(Ok(listed)) => listed,
                Ok(Err(error)) => {
                    tracing::warn!(conduit = conduit.name(), %error, "going on without a Conduit's tools");
                    continue;
                }
                Err(_) => {
                    tracing::warn!(
                        conduit = conduit.name(),
                        "a Conduit took too long; going on without its tools"
                    );
                    continue;
                }
            };
            for tool in listed.iter() {
                tools.add(tool.clone(), Hand::Conduit(Arc::clone(conduit)));
            }
        }
        tools
    }

    /// What the Oracle is told, in the order in which they were given.
    pub(super) fn specs(&self) -> &[Arc<ToolSpec>] {
        &self.specs
    }

    /// Whether there is a tool of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether the call could be made: there is such a tool, and the arguments keep to its schema.
    fn takes(&self, call: &ToolCall) -> bool {
        self.by_name
            .get(&call.name)
            .is_some_and(|(tool, _)| tool.check(&call.arguments).is_ok())
    }

    /// Whether the tool changes nothing but the session.
    fn is_inward(&self, name: &str) -> bool {
        matches!(self.by_name.get(name), Some((_, Hand::Action(action))) if action.is_inward())
    }

    fn add(&mut self, tool: Tool, hand: Hand) {
        if let std::collections::btree_map::Entry::Vacant(free) =
            self.by_name.entry(tool.spec().name.clone())
        {
            self.specs.push(Arc::clone(tool.spec()));
            free.insert((tool, hand));
        }
    }
}

impl Inner {
    /// Makes the calls, which are the last that the turn has asked for, side by side, but for those that are to wait for a
    /// human's yes.
    pub(super) async fn act<'s>(
        &self,
        tools: &Toolset,
        spirit: &'s Spirit,
        answer: &Answer<'_>,
        calls: &[ToolCall],
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Round<'s>, Stopped> {
        let pulse = answer.pulse();
        let gates: Vec<Option<&RiteRule>> = calls
            .iter()
            .map(|call| {
                spirit
                    .rite_for(&call.name)
                    .filter(|_| tools.takes(call) && !tools.is_inward(&call.name))
            })
            .collect();
        let waiting = if gates.iter().any(Option::is_some) {
            self.waiting(&pulse.session).await?
        } else {
            Vec::new()
        };
        let waits = |index: usize, call: &ToolCall| {
            let mut before = calls.iter().take(index);
            waiting.iter().any(|rite| same(&rite.asked.call, call))
                || before.any(|other| same(other, call))
        };
        let asked = asked_for(answer);
        let rounds_before = asked.len().saturating_sub(calls.len());
        let key = |index: usize, call: &ToolCall| {
            let before = asked.iter().take(rounds_before + index);
            let times = before.filter(|other| same(other, call)).count();
            key_of(&self.name, pulse, call, times)
        };
        let mut parkings = Vec::new();
        let gated: Vec<Option<(&'static str, Done)>> = (calls.iter().zip(gates).enumerate())
            .map(|(index, (call, rule))| {
                let rule = rule.filter(|_| index < MOST_CALLS)?;
                if waits(index, call) {
                    return Some(("refused", WAITS_ALREADY.into()));
                }
                let (call, key) = (call.clone(), key(index, call));
                parkings.push(Parking { rule, call, key });
                Some(("parked", WAITS.into()))
            })
            .collect();
        let began = Instant::now();
        let limit = spirit
            .limits
            .action_timeout
            .min(deadline.saturating_duration_since(began));
        let each = calls.iter().zip(gated).enumerate();
        let made = join_all(each.map(|(index, (call, gated))| async move {
            let began = Instant::now();
            let (outcome, done) = if let Some(gated) = gated {
                gated
            } else if index < MOST_CALLS {
                call_one(tools, pulse, call, &key(index, call), limit).await
            } else {
                (
                    "refused",
                    format!("Only {MOST_CALLS} calls are made at a time; ask for this one again.")
                        .into(),
                )
            };
            (outcome, done, began, began.elapsed())
        }))
        .await;
        trace.waited(began.elapsed());
        let mut effects = Vec::new();
        let results = calls
            .iter()
            .zip(made)
            .enumerate()
            .map(|(index, (call, (outcome, done, began, took)))| {
                let Done {
                    said: mut content,
                    effects: asked,
                } = done;
                effects.extend(asked.into_iter().map(|effect| (index, effect)));
                let action = if tools.by_name.contains_key(&call.name) {
                    call.name.as_str()
                } else {
                    "unknown"
                };
                trace.step(Stage::Action, action, outcome, began, took);
                self.observer.observe(Event::Action {
                    spirit: &spirit.name,
                    action,
                    outcome,
                    took,
                });
                bound(&mut content);
                ToolResult {
                    call: call.id.clone(),
                    name: call.name.clone(),
                    content,
                    failed: !matches!(outcome, "succeeded" | "parked"),
                }
            })
            .collect();
        Ok(Round {
            results,
            effects,
            parkings,
        })
    }
}

/// All calls that the turn has asked for, by whichever Spirit, in their order.
fn asked_for<'a>(answer: &'a Answer<'_>) -> Vec<&'a ToolCall> {
    let calls = answer.echoes.iter().filter_map(|echo| match &echo.body {
        EchoBody::Agent { calls, .. } => Some(calls),
        _ => None,
    });
    calls.flatten().collect()
}

/// Whether both ask for the same to be done.
fn same(one: &ToolCall, other: &ToolCall) -> bool {
    one.name == other.name && one.arguments == other.arguments
}

/// What the receiver of a call knows it by: what is asked for, and how many times the turn had asked for the very same. A
/// provider's id has no part in it: after a crash the Oracle is asked anew, and gives others.
fn key_of(front: &SpiritName, pulse: &Pulse, call: &ToolCall, times: usize) -> String {
    let mut key = json!([front, pulse.id, call.name, call.arguments, times]);
    key.sort_all_objects();
    key.to_string()
}

/// Cuts what a tool gave back to what the Oracle is shown of it.
pub(super) fn bound(content: &mut String) {
    content.truncate(content.floor_char_boundary(LONGEST_RESULT));
}

/// Makes one call, if it can be made: what came of it, in one word, and in words for the Oracle.
pub(super) async fn call_one(
    tools: &Toolset,
    pulse: &Pulse,
    call: &ToolCall,
    id: &str,
    limit: Duration,
) -> (&'static str, Done) {
    let Some((tool, hand)) = tools.by_name.get(&call.name) else {
        let known: Vec<&str> = tools.by_name.keys().map(String::as_str).collect();
        return (
            "refused",
            format!(
                "There is no tool of that name. There are: {}.",
                known.join(", ")
            )
            .into(),
        );
    };
    if let Err(wrong) = tool.check(&call.arguments) {
        return (
            "refused",
            format!("The arguments do not fit the tool's schema: {wrong}").into(),
        );
    }
    let doing = async {
        match hand {
            Hand::Action(action) => {
                action
                    .call(Call {
                        pulse,
                        id,
                        arguments: &call.arguments,
                    })
                    .await
            }
            Hand::Conduit(conduit) => {
                let said = conduit.call(&call.name, &call.arguments).await;
                said.map(Done::from)
            }
        }
    };
    match timeout(limit, doing).await {
        Ok(Ok(done)) => ("succeeded", done),
        Ok(Err(error)) => ("failed", error.to_string().into()),
        Err(_) => (
            "timeout",
            format!("No answer within {limit:?}; it is not known whether it took effect.").into(),
        ),
    }
}
