//! YAML with the place of everything in it.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value, and the line it is on.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: u64,
    /// Where it begins in the source, in bytes; nothing for what an alias stands for.
    pub(crate) at: Option<usize>,
    pub(crate) value: NodeValue,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeValue {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    Object(Vec<(Key, Node)>),
}

/// A field's name, and the line it is on.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) line: u64,
    /// As a [`Node`]'s.
    pub(crate) at: Option<usize>,
    pub(crate) name: String,
}

impl Node {
    pub(crate) fn field(&self, name: &str) -> Option<(&Key, &Node)> {
        match &self.value {
            NodeValue::Object(fields) => fields
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(key, node)| (key, node)),
            _ => None,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)?.1.value {
            NodeValue::String(ref text) => Some(text),
            _ => None,
        }
    }

    /// The line of a field such as `spec.voices[0].name`; of the nearest one above it where it is not written.
    pub(crate) fn line_of(&self, path: &str) -> u64 {
        let mut node = self;
        let mut line = self.line;
        for step in steps(path) {
            let next = match (&node.value, step) {
                (NodeValue::List(items), Step::Item(index)) => {
                    items.get(index).map(|item| (item.line, item))
                }
                (_, Step::Field(name)) => node.field(name).map(|(key, node)| (key.line, node)),
                _ => None,
            };
            let Some((next_line, next_node)) = next else {
                break;
            };
            line = next_line;
            node = next_node;
        }
        line
    }

    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Number(value) => Value::Number(value.clone()),
            NodeValue::String(value) => Value::String(value.clone()),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '['])
        .filter(|step| !step.is_empty())
        .map(
            |step| match step.strip_suffix(']').and_then(|index| index.parse().ok()) {
                Some(index) => Step::Item(index),
                None => Step::Field(step),
            },
        )
}

fn beginning<T>(spanned: &Spanned<T>) -> Option<usize> {
    if spanned.referenced != spanned.defined {
        return None;
    }
    let at = spanned.referenced.span().byte_offset()?;
    usize::try_from(at).ok()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<NodeValue>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line(),
            at: beginning(&spanned),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = NodeValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<NodeValue, E> {
                Ok(NodeValue::Null)
            }

            fn visit_none<E: de::Error>(self) -> Result<NodeValue, E> {
                Ok(NodeValue::Null)
            }

            fn visit_some<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<NodeValue, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<NodeValue, E> {
                Ok(NodeValue::Bool(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<NodeValue, E> {
                Ok(NodeValue::Number(value.into()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<NodeValue, E> {
                Ok(NodeValue::Number(value.into()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<NodeValue, E> {
                Number::from_f64(value)
                    .map(NodeValue::Number)
                    .ok_or_else(|| E::custom("a number must be finite"))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<NodeValue, E> {
                Ok(NodeValue::String(value.to_owned()))
            }

            fn visit_string<E: de::Error>(self, value: String) -> Result<NodeValue, E> {
                Ok(NodeValue::String(value))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<NodeValue, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(NodeValue::List(list))
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut entries: A,
            ) -> Result<NodeValue, A::Error> {
                let mut fields = Vec::new();
                while let Some(key) = entries.next_key::<Spanned<String>>()? {
                    let key = Key {
                        line: key.referenced.line(),
                        at: beginning(&key),
                        name: key.value,
                    };
                    fields.push((key, entries.next_value()?));
                }
                Ok(NodeValue::Object(fields))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
