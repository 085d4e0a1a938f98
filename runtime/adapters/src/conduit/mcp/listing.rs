//! The tools of a server, as far as they can be used.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use eywa_weave::tool::{Tool, ToolSpec};
use serde_json::Value;

/// How many tools of one server are listened to.
pub(super) const MOST_TOOLS: usize = 512;
/// The longest name of a tool, in characters: what the protocol advises.
const LONGEST_NAME: usize = 128;
/// The most of a tool's description that an Oracle reads, in bytes.
const LONGEST_DESCRIPTION: usize = 8 * 1024;
/// The longest JSON Schema of one tool, and of all tools of a server, in bytes: an Oracle reads all of it at each turn.
const LONGEST_SCHEMA: usize = 64 * 1024;
const LONGEST_SCHEMAS: usize = 1024 * 1024;
/// How many tools that are left out are told of, and the longest reason, in characters: it may hold the server's words.
const LONGEST_REASON: usize = 300;
const MOST_LEFT_OUT: usize = 16;

/// A tool that a server offers and nobody can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name, or the beginning of it.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The tools of a server, as far as they can be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) tools: Vec<Tool>,
    /// The names of those that the server says may be called twice without harm. It says so of itself, and a lie falls
    /// on nobody else.
    pub(super) repeatable: BTreeSet<String>,
    /// What is left out, the first of it.
    pub(super) left_out: Vec<LeftOut>,
    names: HashSet<String>,
    schemas: usize,
}

impl Listing {
    /// Whether no more tools are listened to.
    pub(super) fn is_full(&self) -> bool {
        self.tools.len() >= MOST_TOOLS
    }

    /// Takes a tool in, if it can be used.
    pub(super) fn add(&mut self, tool: rmcp::model::Tool) {
        let name = tool.name.clone().into_owned();
        if let Err(reason) = self.try_add(tool) {
            self.leave_out(&name, reason);
        }
    }

    /// Tells of something that is left out.
    pub(super) fn leave_out(&mut self, name: &str, reason: String) {
        if self.left_out.len() < MOST_LEFT_OUT {
            self.left_out.push(LeftOut {
                name: name.chars().take(LONGEST_NAME).collect(),
                reason: reason.chars().take(LONGEST_REASON).collect(),
            });
        }
    }

    fn try_add(&mut self, tool: rmcp::model::Tool) -> Result<(), String> {
        let name = tool.name.into_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(format!("its name is not of 1 to {LONGEST_NAME} characters"));
        }
        if self.is_full() {
            return Err(format!("the server has more than {MOST_TOOLS} tools"));
        }
        if self.names.contains(&name) {
            return Err("another tool has the same name".to_owned());
        }
        let parameters = Value::Object(Arc::unwrap_or_clone(tool.input_schema));
        let size = parameters.to_string().len();
        if size > LONGEST_SCHEMA {
            return Err(format!("its schema is longer than {LONGEST_SCHEMA} bytes"));
        }
        if self.schemas + size > LONGEST_SCHEMAS {
            return Err(format!(
                "the schemas of the server's tools are longer than {LONGEST_SCHEMAS} bytes together"
            ));
        }
        let mut description = tool
            .description
            .or(tool.title.map(Into::into))
            .unwrap_or_default()
            .into_owned();
        description.truncate(description.floor_char_boundary(LONGEST_DESCRIPTION));
        let spec = ToolSpec {
            name: name.clone(),
            description,
            parameters,
        };
        let tool_made = Tool::new(spec)
            .map_err(|error| format!("its schema is not a JSON Schema: {}", error.reason))?;
        if tool.annotations.is_some_and(|hints| {
            hints.read_only_hint == Some(true) || hints.idempotent_hint == Some(true)
        }) {
            self.repeatable.insert(name.clone());
        }
        self.schemas += size;
        self.names.insert(name);
        self.tools.push(tool_made);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing(tools: Value) -> Listing {
        let tools: Vec<rmcp::model::Tool> = serde_json::from_value(tools).unwrap();
        let mut listing = Listing::default();
        for tool in tools {
            listing.add(tool);
        }
        listing
    }

    fn named(name: &str, schema: Value) -> Value {
        json!({"name": name, "inputSchema": schema})
    }

    fn names(listing: &Listing) -> Vec<&str> {
        let specs = listing.tools.iter().map(Tool::spec);
        specs.map(|spec| spec.name.as_str()).collect()
    }

    #[test]
    fn a_tool_that_nobody_can_use_is_left_out_and_told() {
        let object = || json!({"type": "object"});
        let found = listing(json!([
            named("menu_list", object()),
            named("broken", json!({"type": "nothing that there is"})),
            named(
                "elsewhere",
                json!({"$ref": "https://schemas.example/order.json"})
            ),
            named("menu_list", object()),
            named("", object()),
            named(&"n".repeat(129), object()),
            named(
                "vast",
                json!({"type": "object", "description": "x".repeat(LONGEST_SCHEMA)})
            ),
            named("refund", object()),
        ]));
        assert_eq!(names(&found), ["menu_list", "refund"]);
        let told: Vec<_> = found
            .left_out
            .iter()
            .map(|left| (left.name.chars().take(9).collect(), left.reason.as_str()))
            .collect::<Vec<(String, &str)>>();
        assert_eq!(told.len(), 6, "{told:?}");
        assert!(told[0].0 == "broken" && told[0].1.contains("is not a JSON Schema"));
        assert!(told[1].0 == "elsewhere" && told[1].1.contains("is not a JSON Schema"));
        assert_eq!(told[2].1, "another tool has the same name");
        assert_eq!(told[4].1, "its name is not of 1 to 128 characters");
        assert_eq!(told[5].1, "its schema is longer than 65536 bytes");
    }

    #[test]
    fn there_is_an_end_to_what_is_listened_to() {
        let many = (0..600).map(|index| named(&format!("tool_{index}"), json!({})));
        let found = listing(many.collect());
        assert_eq!(
            (found.tools.len(), found.left_out.len()),
            (MOST_TOOLS, MOST_LEFT_OUT)
        );
        let long = json!({"type": "object", "description": "x".repeat(60_000)});
        let found = listing(
            (0..20)
                .map(|index| named(&format!("t{index}"), long.clone()))
                .collect(),
        );
        assert!(found.tools.len() == 17, "{}", found.tools.len());
        assert!(found.left_out[0].reason.contains("together"));
        let found =
            listing(json!([{"name": "a", "description": "é".repeat(9000), "inputSchema": {}}]));
        assert_eq!(found.tools[0].spec().description.len(), LONGEST_DESCRIPTION);
    }

    #[test]
    fn what_a_server_says_may_be_called_twice_is_remembered() {
        let hinted = |name: &str, hints: Value| json!({"name": name, "inputSchema": {}, "annotations": hints});
        let found = listing(json!([
            hinted("read", json!({"readOnlyHint": true})),
            hinted(
                "put",
                json!({"idempotentHint": true, "destructiveHint": true})
            ),
            hinted("order", json!({"readOnlyHint": false})),
            named("silent", json!({})),
        ]));
        let repeatable: Vec<_> = found.repeatable.iter().map(String::as_str).collect();
        assert_eq!(repeatable, ["put", "read"]);
    }
}
