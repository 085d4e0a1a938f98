//! Checking a manifest against a structural schema, as the API server does, and filling in its defaults.
//!
//! The API server's way is kept: a null is no value, an unknown field is an error (with `kubectl`'s strict field
//! validation, its default), defaults are filled in before anything is required. CEL rules come after, and elsewhere.

use regex::Regex;
use serde_json::{Map, Value};

use super::node::{Node, NodeValue};

/// What is wrong at one place.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: u64,
    pub(crate) field: String,
    pub(crate) message: String,
}

/// The keywords [`check`] understands. A test holds every schema of this crate to them, so that none is ignored.
#[cfg(test)]
pub(crate) const KEYWORDS: [&str; 26] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
    "x-kubernetes-embedded-resource",
];

/// Checks `node` against `schema`. What it gives back has the schema's defaults filled in; it is what the API server
/// would keep, if `faults` stays empty.
pub(crate) fn check(node: &Node, schema: &Value, field: &str, faults: &mut Vec<Fault>) -> Value {
    let mut checker = Checker { faults };
    checker.value(node, schema, field)
}

struct Checker<'a> {
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, line: u64, field: &str, message: impl Into<String>) {
        self.faults.push(Fault {
            line,
            field: field.to_owned(),
            message: message.into(),
        });
    }

    fn value(&mut self, node: &Node, schema: &Value, field: &str) -> Value {
        if !self.has_type(node, schema, field) {
            return Value::Null;
        }
        let value = match &node.value {
            NodeValue::Object(_) => self.object(node, schema, field),
            NodeValue::List(items) => self.list(node, items, schema, field),
            NodeValue::String(text) => {
                self.text(node, text, schema, field);
                Value::String(text.clone())
            }
            NodeValue::Number(number) => {
                self.number(node, number.as_f64().unwrap_or_default(), schema, field);
                Value::Number(number.clone())
            }
            NodeValue::Bool(_) | NodeValue::Null => node.to_json(),
        };
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(&value)
        {
            let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            self.fault(
                node.line,
                field,
                format!("{value} is not one of {}", allowed.join(", ")),
            );
        }
        value
    }

    fn has_type(&mut self, node: &Node, schema: &Value, field: &str) -> bool {
        let found = match &node.value {
            NodeValue::Null => "null",
            NodeValue::Bool(_) => "boolean",
            NodeValue::Number(number) if number.is_f64() => "number",
            NodeValue::Number(_) => "integer",
            NodeValue::String(_) => "string",
            NodeValue::List(_) => "array",
            NodeValue::Object(_) => "object",
        };
        let expected = match schema["type"].as_str() {
            Some(expected) => expected,
            None if schema["x-kubernetes-int-or-string"] == true => {
                if matches!(found, "integer" | "string") {
                    return true;
                }
                "string"
            }
            None => return true,
        };
        if found == expected || (expected == "number" && found == "integer") {
            return true;
        }
        let advice = match (expected, found) {
            ("string", "integer" | "number" | "boolean") => "; put it in quotes",
            (_, "null") => "; give it a value or leave the field out",
            _ => "",
        };
        self.fault(
            node.line,
            field,
            format!("must be of type {expected}, and is {found}{advice}"),
        );
        false
    }

    fn object(&mut self, node: &Node, schema: &Value, field: &str) -> Value {
        let NodeValue::Object(fields) = &node.value else {
            return Value::Null;
        };
        let no_properties = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&no_properties);
        let others = &schema["additionalProperties"];
        let anything = schema["x-kubernetes-preserve-unknown-fields"] == true || *others == true;
        let mut object = Map::new();
        for (key, child) in fields {
            let path = join(field, &key.name);
            let value = match properties.get(&key.name) {
                // The API server takes a null for a field that has a default as no value at all.
                Some(property)
                    if property.get("default").is_some()
                        && matches!(child.value, NodeValue::Null) =>
                {
                    continue;
                }
                Some(property) => self.value(child, property, &path),
                None if others.is_object() => self.value(child, others, &path),
                None if anything => child.to_json(),
                None => {
                    let hint = nearest(&key.name, properties.keys())
                        .map(|name| format!("; did you mean {name}?"))
                        .unwrap_or_default();
                    self.fault(key.line, &path, format!("unknown field{hint}"));
                    continue;
                }
            };
            object.insert(key.name.clone(), value);
        }
        for (name, property) in properties {
            if !object.contains_key(name)
                && let Some(default) = property.get("default")
            {
                object.insert(name.clone(), with_defaults(default.clone(), property));
            }
        }
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !object.contains_key(name) && node.field(name).is_none() {
                self.fault(node.line, &join(field, name), "this field is needed");
            }
        }
        self.size(
            node,
            field,
            "fields",
            object.len(),
            schema,
            ["minProperties", "maxProperties"],
        );
        Value::Object(object)
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &Value, field: &str) -> Value {
        self.size(
            node,
            field,
            "items",
            items.len(),
            schema,
            ["minItems", "maxItems"],
        );
        let values: Vec<Value> = items
            .iter()
            .enumerate()
            .map(|(index, item)| self.value(item, &schema["items"], &format!("{field}[{index}]")))
            .collect();
        let keys: Option<Vec<&str>> = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Some(Vec::new()),
            Some("map") => schema["x-kubernetes-list-map-keys"]
                .as_array()
                .map(|keys| keys.iter().filter_map(Value::as_str).collect()),
            _ => None,
        };
        if let Some(keys) = keys {
            let identity = |value: &Value| match keys.as_slice() {
                [] => value.to_string(),
                keys => keys
                    .iter()
                    .map(|key| value[key].to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            for (index, item) in items.iter().enumerate() {
                let own = identity(&values[index]);
                if values[..index]
                    .iter()
                    .any(|earlier| identity(earlier) == own)
                {
                    self.fault(
                        item.line,
                        &format!("{field}[{index}]"),
                        format!("{own} is there twice"),
                    );
                }
            }
        }
        Value::Array(values)
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Value, field: &str) {
        self.size(
            node,
            field,
            "characters",
            text.chars().count(),
            schema,
            ["minLength", "maxLength"],
        );
        let Some(pattern) = schema["pattern"].as_str() else {
            return;
        };
        // Patterns are this crate's own or Kubernetes', and a test compiles each of them.
        if Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
            let advice = if pattern == crate::duration::DURATION_PATTERN {
                "is not a duration: write a number and a unit, such as 800ms, 30s, 15m or 1h30m"
                    .to_owned()
            } else {
                format!("must match {pattern}")
            };
            self.fault(node.line, field, format!("{text:?} {advice}"));
        }
    }

    fn number(&mut self, node: &Node, number: f64, schema: &Value, field: &str) {
        if let Some(minimum) = schema["minimum"].as_f64()
            && number < minimum
        {
            self.fault(node.line, field, format!("{number} is less than {minimum}"));
        }
        if let Some(maximum) = schema["maximum"].as_f64()
            && number > maximum
        {
            let advice = if schema["x-kubernetes-int-or-string"] == true {
                "; a duration needs a unit, such as 30m"
            } else {
                ""
            };
            self.fault(
                node.line,
                field,
                format!("{number} is more than {maximum}{advice}"),
            );
        }
    }

    fn size(
        &mut self,
        node: &Node,
        field: &str,
        what: &str,
        size: usize,
        schema: &Value,
        [least, most]: [&str; 2],
    ) {
        let limit = |keyword: &str| {
            schema[keyword]
                .as_u64()
                .and_then(|limit| usize::try_from(limit).ok())
        };
        if let Some(least) = limit(least)
            && size < least
        {
            self.fault(
                node.line,
                field,
                format!("has {size} {what}, and needs at least {least}"),
            );
        }
        if let Some(most) = limit(most)
            && size > most
        {
            self.fault(
                node.line,
                field,
                format!("has {size} {what}, and may have at most {most}"),
            );
        }
    }
}

/// A default may have defaults in it.
fn with_defaults(mut value: Value, schema: &Value) -> Value {
    if let (Some(object), Some(properties)) =
        (value.as_object_mut(), schema["properties"].as_object())
    {
        for (name, property) in properties {
            if let Some(inner) = object.remove(name) {
                object.insert(name.clone(), with_defaults(inner, property));
            } else if let Some(default) = property.get("default") {
                object.insert(name.clone(), with_defaults(default.clone(), property));
            }
        }
    }
    value
}

pub(crate) fn join(field: &str, name: &str) -> String {
    if field.is_empty() {
        name.to_owned()
    } else {
        format!("{field}.{name}")
    }
}

/// The candidate that `name` is most likely a misspelling of.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a String>,
) -> Option<&'a String> {
    let lower = name.to_lowercase();
    candidates
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance: insertions, removals and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
