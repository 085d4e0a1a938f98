//! Asking for a human.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    ports::action::{Action, ActionError, Call, Done, Effect},
    tool::{InvalidSchema, Tool, ToolSpec},
};

/// Why a Spirit may ask for a human: what the Oracle picks, and what people read. What was said is not in it, since it
/// stands where conversations do not belong, such as the status of an object.
const REASONS: [(&str, &str); 5] = [
    ("asked_for_human", "the person asked for a human"),
    ("cannot_help", "the agent cannot help"),
    ("complaint", "the person is dissatisfied"),
    ("sensitive", "the matter needs a human's judgement"),
    ("other", "the agent asks for a human"),
];

/// The Action `summon_human`: the Oracle asks for a human to come.
#[derive(Debug)]
pub struct SummonHuman(Tool);

impl SummonHuman {
    /// The Action.
    ///
    /// # Errors
    /// Never for the schema that stands here.
    pub fn new() -> Result<Self, InvalidSchema> {
        let reasons = REASONS.map(|(name, _)| name);
        Tool::new(ToolSpec {
            name: "summon_human".to_owned(),
            description: "Asks a human colleague to take over this conversation. Use it when the person asks for a human, \
                          when you cannot help, or when the matter needs a human's judgement. You go on answering until \
                          the colleague is there: tell the person that a colleague was asked to come."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "reason": {"type": "string", "enum": reasons, "description": "Why a human is needed."},
                    "note": {
                        "type": "string",
                        "maxLength": 1000,
                        "description": "What the colleague should know, in a sentence or two."
                    }
                },
                "required": ["reason"],
                "additionalProperties": false
            }),
        })
        .map(Self)
    }
}

#[async_trait]
impl Action for SummonHuman {
    fn tool(&self) -> &Tool {
        &self.0
    }

    fn is_inward(&self) -> bool {
        true
    }

    async fn call(&self, call: Call<'_>) -> Result<Done, ActionError> {
        let picked = call.arguments.get("reason").and_then(Value::as_str);
        let reason = REASONS
            .iter()
            .find(|(name, _)| Some(*name) == picked)
            .map_or("the agent asks for a human", |(_, reason)| reason);
        Ok(Done::with(
            "A human colleague is asked to come. Until they are there, you go on answering.",
            Effect::Summon {
                reason: reason.to_owned(),
            },
        ))
    }
}
