//! Handing a conversation to another Spirit.

use std::fmt::Write as _;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    names::SpiritName,
    ports::action::{Action, ActionError, Call, Done, Effect},
    tool::{InvalidSchema, Tool, ToolSpec},
};

/// The Action `switch_spirit`: the Oracle hands the conversation to another Spirit, which goes on with this very Pulse and
/// keeps the session until a rule or an Action says otherwise.
#[derive(Debug)]
pub struct SwitchSpirit(Tool);

impl SwitchSpirit {
    /// The Action, for handing over to one of `others`: there is at least one, and the Weave has each. What each is for may
    /// be empty.
    ///
    /// # Errors
    /// Never for the schema that stands here.
    pub fn new(others: &[(SpiritName, String)]) -> Result<Self, InvalidSchema> {
        let names: Vec<&SpiritName> = others.iter().map(|(name, _)| name).collect();
        let mut which = "The agent that goes on.".to_owned();
        for (name, description) in others.iter().filter(|(_, what)| !what.is_empty()) {
            let _ = write!(which, " {name}: {description}");
        }
        Tool::new(ToolSpec {
            name: "switch_spirit".to_owned(),
            description: "Hands this conversation to another agent, which answers from here on, this message included. \
                          Use it when the matter is theirs. Say nothing to the person about it."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "spirit": {"type": "string", "enum": names, "description": which}
                },
                "required": ["spirit"],
                "additionalProperties": false
            }),
        })
        .map(Self)
    }
}

#[async_trait]
impl Action for SwitchSpirit {
    fn tool(&self) -> &Tool {
        &self.0
    }

    fn is_inward(&self) -> bool {
        true
    }

    async fn call(&self, call: Call<'_>) -> Result<Done, ActionError> {
        let to = call.arguments.get("spirit").and_then(Value::as_str);
        let to = to.ok_or_else(|| ActionError("spirit is a text".to_owned()))?;
        Ok(Done::with(
            format!("{to} has the conversation now."),
            Effect::HandOver { to: to.into() },
        ))
    }
}
