//! What a Vigil object is told.

use eywa_crds::vigil::{VigilPhase, VigilReleaseReason, VigilStatus};
use eywa_weave::ports::vigil::{Phase, ReleaseReason, Watch};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::order::Order;

pub(super) const READY: &str = "Ready";
const TAKEN_OVER: &str = "TakenOver";
/// Another, older object is about the same conversation.
pub(super) const SUPERSEDED: &str = "Superseded";
/// Somebody other than the object says has the conversation.
pub(super) const HELD_BY_ANOTHER: &str = "HeldByAnother";

/// Makes the status of one object. Times are whole seconds, as the API server keeps them.
pub(super) struct Report<'a> {
    pub(super) order: &'a Order,
    pub(super) before: Option<&'a VigilStatus>,
    pub(super) now: Timestamp,
}

impl Report<'_> {
    /// The store says `watch`. With `carried_out`, this generation of the spec is done.
    pub(super) fn of(&self, watch: &Watch, carried_out: bool) -> VigilStatus {
        let released = watch.phase == Phase::Released;
        let human = watch.since.is_some();
        let taken = self.condition(
            TAKEN_OVER,
            watch.phase == Phase::Active,
            &reason(watch),
            message(watch),
        );
        let ready = if let Some(holder) = self.held_by_another(watch) {
            let message = format!(
                "{holder} has the conversation: they give it back first, or somebody does in their place (takeover: false), and then it can be taken over again"
            );
            self.condition(READY, false, HELD_BY_ANOTHER, message)
        } else if carried_out && watch.phase != Phase::TakingOver {
            self.condition(
                READY,
                true,
                "CarriedOut",
                "the conversation is as the spec asks, or has moved on since".to_owned(),
            )
        } else {
            let message = "a reply in flight is waited for".to_owned();
            self.condition(READY, false, "TakingOver", message)
        };
        VigilStatus {
            observed_generation: if carried_out {
                Some(self.order.generation)
            } else {
                self.observed_before()
            },
            phase: Some(phase(watch.phase)),
            requested_at: watch.requested_at.map(seconds),
            request_reason: some(&watch.request_reason),
            since: watch.since.map(seconds),
            by: some(&watch.by),
            last_pulse_time: watch.last_pulse_at.map(seconds),
            unanswered: human.then(|| i64::try_from(watch.unanswered).unwrap_or(i64::MAX)),
            released_at: watch.released_at.filter(|_| released).map(seconds),
            released_by: released
                .then(|| some(&watch.released_by).unwrap_or_else(|| nobody(watch))),
            release_reason: released.then(|| release_reason(watch)),
            conditions: vec![ready, taken],
        }
    }

    /// Who has the conversation that this object orders somebody else to have.
    fn held_by_another<'w>(&self, watch: &'w Watch) -> Option<&'w str> {
        let Order { takeover, by, .. } = self.order;
        let another = *takeover
            && watch.phase.is_human()
            && !by.is_empty()
            && !watch.by.is_empty()
            && watch.by != *by;
        another.then_some(watch.by.as_str())
    }

    /// An older object, `rival`, is about the same conversation: this one is not acted on.
    pub(super) fn superseded(&self, rival: &str) -> VigilStatus {
        let message = format!(
            "the Vigil {rival} is older and about the same conversation, and it is the one that counts: use that, or delete it"
        );
        VigilStatus {
            observed_generation: Some(self.order.generation),
            phase: Some(VigilPhase::Watching),
            conditions: vec![
                self.condition(READY, false, SUPERSEDED, message.clone()),
                self.condition(TAKEN_OVER, false, SUPERSEDED, message),
            ],
            ..VigilStatus::default()
        }
    }

    /// The store cannot be reached: nothing but that is new.
    pub(super) fn unreachable(&self, error: &str) -> VigilStatus {
        let message = format!("not carried out yet; it is tried again: {error}");
        let ready = self.condition(READY, false, "StoreUnavailable", message);
        let mut status = ours(self.before);
        status
            .conditions
            .retain(|condition| condition.type_ != READY);
        status.conditions.insert(0, ready);
        status
    }

    /// Whether the object says this already.
    pub(super) fn is_known(&self, status: &VigilStatus) -> bool {
        let mut before = ours(self.before);
        before.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        before == *status
    }

    fn observed_before(&self) -> Option<i64> {
        self.before.and_then(|status| status.observed_generation)
    }

    /// Keeps the time of the last transition for as long as the condition's status stays.
    fn condition(&self, kind: &str, holds: bool, reason: &str, message: String) -> Condition {
        let status = if holds { "True" } else { "False" };
        let before = self
            .before
            .into_iter()
            .flat_map(|status| &status.conditions)
            .find(|condition| condition.type_ == kind);
        let since = before
            .filter(|before| before.status == status)
            .map(|before| before.last_transition_time.clone());
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(self.order.generation),
            last_transition_time: since.unwrap_or_else(|| seconds(self.now)),
        }
    }
}

/// The part of a status that is the runtime's: the operator's `Accepted` is not.
fn ours(status: Option<&VigilStatus>) -> VigilStatus {
    let mut status = status.cloned().unwrap_or_default();
    status
        .conditions
        .retain(|condition| [READY, TAKEN_OVER].contains(&condition.type_.as_str()));
    status
}

pub(super) fn phase(phase: Phase) -> VigilPhase {
    match phase {
        Phase::Watching => VigilPhase::Watching,
        Phase::Requested => VigilPhase::Requested,
        Phase::TakingOver => VigilPhase::TakingOver,
        Phase::Active => VigilPhase::Active,
        Phase::Released => VigilPhase::Released,
    }
}

fn reason(watch: &Watch) -> String {
    match watch.phase {
        Phase::Active => "TakenOver".to_owned(),
        Phase::Released => match release_reason(watch) {
            VigilReleaseReason::Human => "Released",
            VigilReleaseReason::Idle => "Idle",
            VigilReleaseReason::User => "User",
        }
        .to_owned(),
        other => format!("{other:?}"),
    }
}

fn message(watch: &Watch) -> String {
    match watch.phase {
        Phase::Watching => "the Spirit answers",
        Phase::Requested => "the Spirit answers, and asks for a human",
        Phase::TakingOver => "a reply in flight is waited for",
        Phase::Active => "people answer; the Spirit does not",
        Phase::Released => match release_reason(watch) {
            VigilReleaseReason::Human => "the Spirit answers again",
            VigilReleaseReason::Idle => {
                "the Spirit answers again: nobody had spoken for releaseAfter; edit the spec to take over again"
            }
            VigilReleaseReason::User => {
                "the Spirit answers again: the person asked for it; edit the spec to take over again"
            }
        },
    }
    .to_owned()
}

fn release_reason(watch: &Watch) -> VigilReleaseReason {
    match watch.release_reason {
        Some(ReleaseReason::Human) => VigilReleaseReason::Human,
        Some(ReleaseReason::User) => VigilReleaseReason::User,
        Some(ReleaseReason::Idle) => VigilReleaseReason::Idle,
        // Written by a release that did not know of reasons.
        None if watch.released_by.is_empty() => VigilReleaseReason::Idle,
        None => VigilReleaseReason::Human,
    }
}

/// Who gave a conversation back when none of the Spirit's people did.
fn nobody(watch: &Watch) -> String {
    match release_reason(watch) {
        VigilReleaseReason::User => "user",
        VigilReleaseReason::Human | VigilReleaseReason::Idle => "idle",
    }
    .to_owned()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}
