//! The arguments of calls: what models write is not always JSON, and never certainly an object.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Arguments that came as JSON text. What is no JSON stays the text that it was, which no tool's schema lets through: the
/// model is told so and may try again. Models call tools that need no arguments without any.
pub(in crate::oracle) fn read(text: String) -> Value {
    if text.trim().is_empty() {
        return Value::Object(Map::new());
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The arguments of an earlier call as an object, which servers insist on for as long as it is in the history. What the
/// model wrote stays visible to it.
pub(in crate::oracle) fn object(arguments: &Value) -> Cow<'_, Value> {
    match arguments {
        object @ Value::Object(_) => Cow::Borrowed(object),
        other => Cow::Owned(json!({ "unreadable": other })),
    }
}

/// The id of a call that came without one: without an id its result could not find it.
pub(in crate::oracle) fn new_id() -> String {
    format!("call_{}", Uuid::new_v4().simple())
}
