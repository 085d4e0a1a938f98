//! A class, its objects and the conditions of a query, as Weaviate writes them.

use eywa_weave::{
    StoreError,
    ports::lore::{LoreError, Match, Passage},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{InvalidName, STORE};

/// What the UUIDs of objects are made below.
const OBJECTS: Uuid = Uuid::from_u128(0x9b0e_7c52_11d4_4a63_a3a5_64c1_7d0c_2f18);

/// What a class's description says before the number of dimensions.
pub(super) const DESCRIPTION: &str = "Passages of Eywa. Dimensions: ";

#[derive(Serialize)]
pub(super) struct Object<'a> {
    pub(super) class: &'a str,
    pub(super) id: Uuid,
    pub(super) vector: &'a [f32],
    pub(super) properties: Properties<'a>,
}

#[derive(Serialize)]
pub(super) struct Properties<'a> {
    pub(super) namespace: &'a str,
    pub(super) set: String,
    pub(super) labels: Vec<String>,
    pub(super) key: Uuid,
    pub(super) passage: &'a str,
    pub(super) source: &'a str,
    pub(super) text: &'a str,
    pub(super) metadata: String,
}

#[derive(Deserialize)]
pub(super) struct Inserted {
    pub(super) result: Outcome,
}

#[derive(Deserialize)]
pub(super) struct Outcome {
    #[serde(default)]
    pub(super) status: String,
    pub(super) errors: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Removed {
    pub(super) results: Counts,
}

#[derive(Deserialize)]
pub(super) struct Counts {
    #[serde(default)]
    pub(super) failed: u64,
}

#[derive(Deserialize)]
pub(super) struct Kept {
    pub(super) set: String,
    pub(super) passage: String,
    pub(super) source: String,
    pub(super) text: String,
    pub(super) metadata: String,
    #[serde(rename = "_additional")]
    pub(super) additional: Distance,
}

#[derive(Deserialize)]
pub(super) struct Distance {
    pub(super) distance: f32,
}

#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) passage: String,
}

/// What queries may hold unquoted: a capital, letters, digits and underscores.
pub(super) fn class_name(collection: &str) -> Result<String, InvalidName> {
    let mut letters = collection.chars();
    let class: String = letters
        .next()
        .filter(char::is_ascii_alphabetic)
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect();
    let fine = class.starts_with(|first: char| first.is_ascii_uppercase())
        && class.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && class.len() <= 255;
    if !fine {
        return Err(InvalidName {
            store: STORE,
            name: collection.to_owned(),
            rule: "a letter, then letters, digits and underscores, at most 255",
        });
    }
    Ok(class)
}

pub(super) fn schema(class: &str, dimensions: usize) -> Value {
    let filtered = |name: &str, kind: &str| {
        json!({
            "name": name,
            "dataType": [kind],
            "tokenization": "field",
            "indexFilterable": true,
            "indexSearchable": false,
        })
    };
    let kept = |name: &str| {
        json!({
            "name": name,
            "dataType": ["text"],
            "indexFilterable": false,
            "indexSearchable": false,
        })
    };
    json!({
        "class": class,
        "description": format!("{DESCRIPTION}{dimensions}"),
        "vectorizer": "none",
        "vectorIndexType": "hnsw",
        "vectorIndexConfig": { "distance": "cosine" },
        "properties": [
            filtered("namespace", "text"),
            filtered("set", "text"),
            filtered("labels", "text[]"),
            filtered("key", "text"),
            kept("passage"),
            kept("source"),
            kept("text"),
            kept("metadata"),
        ],
    })
}

pub(super) fn object(namespace: &str, id: &str) -> Uuid {
    Uuid::new_v5(&OBJECTS, json!([namespace, id]).to_string().as_bytes())
}

/// A condition of GraphQL. The value is a JSON string of printable ASCII, and so is its quotation a string of GraphQL.
pub(super) fn equal(property: &str, value: &str) -> String {
    let value = Value::from(value);
    format!("{{path:[\"{property}\"],operator:Equal,valueText:{value}}}")
}

pub(super) fn all(conditions: &[String]) -> String {
    format!("where:{{operator:And,operands:[{}]}}", conditions.join(","))
}

impl Kept {
    pub(super) fn found(self) -> Result<Match, LoreError> {
        let unreadable = |error: serde_json::Error| -> LoreError {
            StoreError::unreadable(STORE, &self.passage, error).into()
        };
        Ok(Match {
            score: 1.0 - self.additional.distance,
            passage: Passage {
                set: serde_json::from_str(&self.set).map_err(unreadable)?,
                metadata: serde_json::from_str(&self.metadata).map_err(unreadable)?,
                id: self.passage,
                source: self.source,
                text: self.text,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_be_read_as_a_query_is_no_class() {
        assert_eq!(class_name("menu").unwrap(), "Menu");
        assert_eq!(class_name("Menu_2").unwrap(), "Menu_2");
        for name in ["", "2menu", "_menu", "menu{x}", "me nu", "größe", "../x"] {
            let refused = class_name(name).unwrap_err();
            assert!(refused.to_string().contains("letter"), "{refused}");
        }
    }
}
