//! Calling Actions: the Spirit's own, and its Conduits' tools. A failure is a result, for the Oracle to work with.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Inner, trace::Trace};
use crate::{
    observe::{Event, Stage},
    ports::{Action, Conduit, action::Call},
    pulse::Pulse,
    spirit::Spirit,
    tool::{Tool, ToolCall, ToolResult, ToolSpec},
};

/// The most calls of one round that are made; the Oracle may ask for the others again.
const MOST_CALLS: usize = 16;
/// The most bytes of a result that the Oracle is shown.
const LONGEST_RESULT: usize = 64 * 1024;
/// How long a Conduit may take to say what tools it has.
const LONGEST_LISTING: Duration = Duration::from_secs(5);

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
    /// Makes the calls, side by side. One result for each, in their order.
    pub(super) async fn act(
        &self,
        tools: &Toolset,
        spirit: &Spirit,
        pulse: &Pulse,
        calls: &[ToolCall],
        deadline: Instant,
        trace: &mut Trace,
    ) -> Vec<ToolResult> {
        let began = Instant::now();
        let limit = spirit
            .limits
            .action_timeout
            .min(deadline.saturating_duration_since(began));
        let made = join_all(calls.iter().enumerate().map(|(index, call)| async move {
            let began = Instant::now();
            let id = format!("{}#{index}#{}", pulse.id, call.id);
            let (outcome, content) = if index < MOST_CALLS {
                call_one(tools, pulse, call, &id, limit).await
            } else {
                (
                    "refused",
                    format!("Only {MOST_CALLS} calls are made at a time; ask for this one again."),
                )
            };
            (outcome, content, began, began.elapsed())
        }))
        .await;
        trace.waited(began.elapsed());
        calls
            .iter()
            .zip(made)
            .map(|(call, (outcome, mut content, began, took))| {
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
                content.truncate(content.floor_char_boundary(LONGEST_RESULT));
                ToolResult {
                    call: call.id.clone(),
                    name: call.name.clone(),
                    content,
                    failed: outcome != "succeeded",
                }
            })
            .collect()
    }
}

async fn call_one(
    tools: &Toolset,
    pulse: &Pulse,
    call: &ToolCall,
    id: &str,
    limit: Duration,
) -> (&'static str, String) {
    let Some((tool, hand)) = tools.by_name.get(&call.name) else {
        let known: Vec<&str> = tools.by_name.keys().map(String::as_str).collect();
        return (
            "refused",
            format!(
                "There is no tool of that name. There are: {}.",
                known.join(", ")
            ),
        );
    };
    if let Err(wrong) = tool.check(&call.arguments) {
        return (
            "refused",
            format!("The arguments do not fit the tool's schema: {wrong}"),
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
            Hand::Conduit(conduit) => conduit.call(&call.name, &call.arguments).await,
        }
    };
    match timeout(limit, doing).await {
        Ok(Ok(content)) => ("succeeded", content),
        Ok(Err(error)) => ("failed", error.to_string()),
        Err(_) => (
            "timeout",
            format!("No answer within {limit:?}; it is not known whether it took effect."),
        ),
    }
}
