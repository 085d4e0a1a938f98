//! Saying what was found of a Conduit.

use super::probe::{Failure, Findings};
use crate::{
    apply::hash_of,
    conditions::{self, Verdict},
};
use eywa_crds::{
    Conduit,
    compile::Problem,
    conduit::{ConduitStatus, ServerInfo, ToolInfo},
    runtime_config::CompiledConduit,
};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use std::collections::BTreeMap;

/// The condition `Ready`.
pub const READY: &str = "Ready";

/// The reason of `Connected` while the pods of a server that is run for the Conduit are not there yet.
pub const SERVER_NOT_AVAILABLE: &str = "ServerNotAvailable";

/// How old `lastProbeTime` may get before it alone is a reason to write.
const PROBE_TIME_AGE: SignedDuration = SignedDuration::from_mins(5);
/// How many tools are listed: an object has its limits.
const TOOLS: usize = 256;
/// How much of a tool's description is kept, in characters.
const DESCRIPTION: usize = 160;

/// What became of a Conduit.
pub enum Outcome {
    /// Something is wrong with the manifest or a Secret.
    Refused(Vec<Problem>),
    /// It was not asked, for the reason and with the message given: its server is not there to answer.
    NotAsked(Box<CompiledConduit>, &'static str, String),
    /// It was probed: where, and what was found or went wrong.
    Probed(Box<CompiledConduit>, Result<Findings, Failure>),
}

/// The whole status. Pure.
#[must_use]
pub fn status(conduit: &Conduit, outcome: &Outcome, now: Timestamp) -> ConduitStatus {
    let before = conduit.status.clone().unwrap_or_default();
    let generation = conduit.metadata.generation;
    let conditions = conditions::next(&before.conditions, verdicts(outcome), generation, now);
    let mut next = match outcome {
        Outcome::Refused(_) => ConduitStatus {
            url: conduit.spec.url.clone(),
            ..ConduitStatus::default()
        },
        Outcome::Probed(compiled, Ok(findings)) => found(compiled, findings),
        // Of a server that does not answer, what it last said is still the best that is known.
        Outcome::Probed(compiled, Err(_)) | Outcome::NotAsked(compiled, ..) => ConduitStatus {
            url: Some(compiled.url.clone()),
            ..before.clone()
        },
    };
    next.observed_generation = generation;
    next.conditions = conditions;
    next.last_probe_time = before.last_probe_time.clone();
    let is_news = next != before;
    if let Outcome::Probed(..) = outcome {
        let old = before
            .last_probe_time
            .as_ref()
            .is_none_or(|last| now.duration_since(last.0) >= PROBE_TIME_AGE);
        if is_news || old {
            next.last_probe_time = Some(Time(now));
        }
    }
    next
}

fn verdicts(outcome: &Outcome) -> Vec<(&'static str, Verdict)> {
    let (accepted, connected) = match outcome {
        Outcome::Refused(problems) => {
            let reason = problems
                .first()
                .map_or("SpecInvalid", |problem| problem.reason.as_str());
            let message = problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ");
            (
                Verdict::no(reason, message),
                Verdict::unknown("NotProbed", "it is not probed until it is accepted"),
            )
        }
        Outcome::NotAsked(_, reason, message) => (
            Verdict::yes("Accepted", "the spec is sound"),
            Verdict::no(reason, message.clone()),
        ),
        Outcome::Probed(_, result) => (
            Verdict::yes("Accepted", "the spec is sound"),
            match result {
                Ok(_) => Verdict::yes("Connected", "the server answers"),
                Err(Failure { reason, message }) => Verdict::no(reason, message.clone()),
            },
        ),
    };
    let ready = match (accepted.holds(), connected.holds()) {
        (false, _) => Verdict::no(&accepted.reason, accepted.message.clone()),
        (_, false) => Verdict::no(&connected.reason, connected.message.clone()),
        _ => Verdict::yes("Ready", usable(outcome)),
    };
    vec![
        ("Accepted", accepted),
        ("Connected", connected),
        (READY, ready),
    ]
}

/// What of the server's tools can be used, in words.
fn usable(outcome: &Outcome) -> String {
    let mut said = "its tools can be called".to_owned();
    let Outcome::Probed(compiled, Ok(findings)) = outcome else {
        return said;
    };
    let lets_through = |name: &str| compiled.tools.lets_through(name);
    if !findings.tools.is_empty() && !findings.tools.iter().any(|tool| lets_through(&tool.name)) {
        return format!(
            "it has {} tools, and spec.tools lets none of them through",
            findings.tools.len()
        );
    }
    let left_out: Vec<String> = findings
        .left_out
        .iter()
        .filter(|(name, _)| lets_through(name))
        .map(|(name, reason)| format!("{name:?} ({reason})"))
        .collect();
    if !left_out.is_empty() {
        said.push_str(", but for ");
        said.push_str(&left_out.join(", "));
    }
    said
}

fn found(compiled: &CompiledConduit, findings: &Findings) -> ConduitStatus {
    // By name: one tool once, and in an order that does not change with the server's mood.
    let tools: BTreeMap<&str, ToolInfo> = findings
        .tools
        .iter()
        .filter(|tool| compiled.tools.lets_through(&tool.name))
        .map(|tool| {
            let info = ToolInfo {
                name: tool.name.clone(),
                description: Some(
                    tool.description
                        .chars()
                        .take(DESCRIPTION)
                        .collect::<String>(),
                )
                .filter(|text| !text.is_empty()),
                schema_hash: hash_of(&tool.schema)
                    .map(|hash| hash[..16].to_owned())
                    .unwrap_or_default(),
            };
            (tool.name.as_str(), info)
        })
        .collect();
    ConduitStatus {
        url: Some(compiled.url.clone()),
        protocol_version: Some(findings.protocol_version.clone()),
        server: Some(ServerInfo {
            name: findings.server.clone(),
            version: findings.server_version.clone(),
        }),
        tool_count: Some(i32::try_from(tools.len()).unwrap_or(i32::MAX)),
        tools: tools.into_values().take(TOOLS).collect(),
        ..ConduitStatus::default()
    }
}
