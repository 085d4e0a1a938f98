//! The object of a Rite, and what it is told.

use std::collections::BTreeMap;

use eywa_crds::{
    Rite as RiteObject, labels,
    reference::SpiritRef,
    rite::{Decision, RiteOutcome as OutcomeStatus, RitePhase, RiteSpec, RiteStatus},
};
use eywa_weave::{
    SpiritName,
    names::RiteId,
    ports::rite::{Rite, RiteOutcome, Standing},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

/// The most bytes of arguments that an object shows; the desk shows them all.
const LONGEST_ARGUMENTS: usize = 64 * 1024;

/// The name of a Rite's object.
#[must_use]
pub fn object_name(spirit: &SpiritName, id: &RiteId) -> String {
    format!("{spirit}-{id}")
}

/// The id of the Rite whose object has this name.
pub(super) fn id_of(spirit: &SpiritName, name: &str) -> Option<RiteId> {
    let id = name.strip_prefix(spirit.as_str())?.strip_prefix('-')?;
    Some(RiteId::from(id))
}

/// The object of a Rite of the Spirit whose conversation it is.
pub(super) fn object(spirit: &SpiritName, rite: &Rite) -> RiteObject {
    let mut object = RiteObject::new(
        &object_name(spirit, &rite.asked.id),
        RiteSpec {
            spirit_ref: SpiritRef {
                name: spirit.to_string(),
            },
            session: rite.asked.session.to_string(),
            action: rite.asked.call.name.clone(),
            arguments: arguments(rite),
            decision: Decision::Undecided,
            by: None,
            comment: None,
        },
    );
    let label = (labels::SPIRIT.to_owned(), spirit.to_string());
    object.metadata.labels = Some(BTreeMap::from([label]));
    object
}

/// Whether the object asks what the Rite asks: a word on anything else is no word on it.
pub(super) fn is_of(object: &RiteObject, rite: &Rite) -> bool {
    object.spec.session == rite.asked.session.to_string()
        && object.spec.action == rite.asked.call.name
        && same(
            &Value::Object(object.spec.arguments.clone()),
            &Value::Object(arguments(rite)),
        )
}

/// What the object is told.
pub(super) fn status(rite: &Rite) -> RiteStatus {
    let verdict = rite.verdict.as_ref();
    RiteStatus {
        phase: Some(phase(rite.standing)),
        expires_at: Some(seconds(rite.asked.expires_at)),
        by: verdict
            .map(|verdict| verdict.by.clone())
            .filter(|by| !by.is_empty()),
        decided_at: verdict.map(|verdict| seconds(verdict.at)),
        outcome: rite.outcome.map(|outcome| match outcome {
            RiteOutcome::Succeeded => OutcomeStatus::Succeeded,
            RiteOutcome::Failed => OutcomeStatus::Failed,
        }),
    }
}

/// What an object is told that no Rite belongs to: nothing can come of it.
pub(super) fn orphaned(object: &RiteObject) -> RiteStatus {
    RiteStatus {
        phase: Some(RitePhase::Void),
        ..object.status.clone().unwrap_or_default()
    }
}

/// When nothing more came of the Rite; `None` while something may.
pub(super) fn ended_at(rite: &Rite) -> Option<Timestamp> {
    if !rite.standing.is_over() {
        return None;
    }
    let decided = rite.verdict.as_ref().map(|verdict| verdict.at);
    Some(rite.settled_at.or(decided).unwrap_or(rite.asked.expires_at))
}

pub(super) fn phase(standing: Standing) -> RitePhase {
    match standing {
        Standing::Pending => RitePhase::Pending,
        Standing::Approved => RitePhase::Approved,
        Standing::Denied => RitePhase::Denied,
        Standing::Expired => RitePhase::Expired,
        Standing::Void => RitePhase::Void,
        Standing::Consumed => RitePhase::Consumed,
    }
}

/// The arguments as people may see them, and as an object can hold them.
fn arguments(rite: &Rite) -> Map<String, Value> {
    let shown = match rite.asked.shown_arguments() {
        Value::Object(shown) => shown,
        other => Map::from_iter([("arguments".to_owned(), other)]),
    };
    let length = json!(shown).to_string().len();
    if length <= LONGEST_ARGUMENTS {
        return shown;
    }
    let note =
        format!("{length} bytes of arguments are too long for an object; the desk shows them");
    Map::from_iter([("tooLong".to_owned(), Value::from(note))])
}

/// Whether two values are the same to an API server, which may write a number another way.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

/// Whole seconds, as the API server keeps times.
fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_an_api_server_wrote_another_way_is_the_same() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert!(same(
            &parse(r#"{"a": [1.0, 2]}"#),
            &parse(r#"{"a": [1, 2]}"#)
        ));
        for other in [
            r#"{"a": [1.5, 2]}"#,
            r#"{"a": [1]}"#,
            r#"{"a": [1, 2], "b": 1}"#,
        ] {
            assert!(!same(&parse(r#"{"a": [1, 2]}"#), &parse(other)), "{other}");
        }
        let large = (9_007_199_254_740_993_u64, 9_007_199_254_740_992_u64);
        assert!(!same(&large.0.into(), &large.1.into()));
    }

    #[test]
    fn an_object_is_named_after_its_rite_and_found_by_its_name() {
        let (spirit, id) = (SpiritName::from("barista"), RiteId::from("0af3"));
        assert_eq!(object_name(&spirit, &id), "barista-0af3");
        assert_eq!(id_of(&spirit, "barista-0af3"), Some(id));
        assert_eq!(id_of(&spirit, "other-0af3"), None);
    }
}
