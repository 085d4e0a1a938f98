//! Schemas of fields whose inside is somebody else's.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// An object of any shape.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// An object of a few short texts, by name.
pub(crate) fn short_strings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 256 },
    })
}

/// JSON pointers by label. A label stands at the beginning of a line.
pub(crate) fn pointers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 256, "pattern": "^(/([^~/]|~[01])*)*$" },
    })
}

/// Templates by name.
pub(crate) fn templates(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 1024 },
    })
}

/// A Kubernetes type, without the descriptions its own reference has: they would be most of the CRD.
pub(crate) fn undescribed<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    strip_descriptions(schema.ensure_object());
    schema
}

fn strip_descriptions(schema: &mut serde_json::Map<String, serde_json::Value>) {
    schema.remove("description");
    for (key, value) in schema.iter_mut() {
        match value {
            // The names below `properties` are fields; one of them may be called "description".
            serde_json::Value::Object(fields) if key == "properties" => {
                for field in fields
                    .values_mut()
                    .filter_map(serde_json::Value::as_object_mut)
                {
                    strip_descriptions(field);
                }
            }
            serde_json::Value::Object(inner) => strip_descriptions(inner),
            serde_json::Value::Array(items) => {
                for item in items
                    .iter_mut()
                    .filter_map(serde_json::Value::as_object_mut)
                {
                    strip_descriptions(item);
                }
            }
            _ => {}
        }
    }
}
