//! Keeping something in mind.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    ports::action::{Action, ActionError, Call, Done, Effect},
    tool::{InvalidSchema, Tool, ToolSpec},
};

/// The Action `remember`: the Oracle keeps something in the session's Memory.
#[derive(Debug)]
pub struct Remember(Tool);

impl Remember {
    /// The Action.
    ///
    /// # Errors
    /// Never for the schema that stands here.
    pub fn new() -> Result<Self, InvalidSchema> {
        Tool::new(ToolSpec {
            name: "remember".to_owned(),
            description: "Keeps something in mind for the rest of this conversation, so that you know it even when the \
                          message it came from is no longer shown to you. The same name again replaces what it held; \
                          an empty value forgets it."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "name": {
                        "type": "string",
                        "pattern": "^[a-z][a-z0-9_]{0,63}$",
                        "description": "What it is, such as preferred_milk."
                    },
                    "value": {
                        "type": "string",
                        "maxLength": 1000,
                        "description": "What is to be kept in mind."
                    }
                },
                "required": ["name", "value"],
                "additionalProperties": false
            }),
        })
        .map(Self)
    }
}

#[async_trait]
impl Action for Remember {
    fn tool(&self) -> &Tool {
        &self.0
    }

    fn is_inward(&self) -> bool {
        true
    }

    async fn call(&self, call: Call<'_>) -> Result<Done, ActionError> {
        let text = |field: &str| call.arguments.get(field).and_then(Value::as_str);
        let (Some(name), Some(value)) = (text("name"), text("value")) else {
            return Err(ActionError("name and value are texts".to_owned()));
        };
        let (said, value) = if value.trim().is_empty() {
            ("It is forgotten.", Value::Null)
        } else {
            ("It is kept in mind.", value.into())
        };
        let name = name.to_owned();
        Ok(Done::with(said, Effect::Remember { name, value }))
    }
}
