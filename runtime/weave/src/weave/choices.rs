//! Offering a person answers to pick from: a tool, so that every Oracle can, in a form that no voice has to parse out of
//! its words.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ports::action::{Action, ActionError, Call, Done},
    pulse::Choice,
    tool::{InvalidSchema, Tool, ToolCall, ToolResult, ToolSpec},
};

/// The tool's name.
pub const OFFER_CHOICES: &str = "offer_choices";

/// The most choices that are offered at a time: WhatsApp's longest list.
const MOST_CHOICES: usize = 10;

/// The tool by which a Spirit says something and offers answers to it. The Weave gives both to the voice when it has run.
pub struct OfferChoices(Tool);

#[derive(Deserialize)]
struct Offer {
    text: String,
    choices: Vec<Choice>,
}

impl OfferChoices {
    /// The tool.
    ///
    /// # Errors
    /// Never, as long as its schema is one.
    pub fn new() -> Result<Self, InvalidSchema> {
        Tool::new(ToolSpec {
            name: OFFER_CHOICES.to_owned(),
            description: "Answers the person with a text and with choices that they can tap: use it when there are a few \
                          clear answers to your question. It ends your turn."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "text": {"type": "string", "minLength": 1, "maxLength": 4096,
                        "description": "What you say to the person, the question included."},
                    "choices": {
                        "type": "array", "minItems": 1, "maxItems": MOST_CHOICES,
                        "items": {
                            "type": "object",
                            "properties": {
                                "title": {"type": "string", "minLength": 1, "maxLength": 200,
                                    "description": "What the person taps, best within 20 characters. It comes back as their answer."},
                                "description": {"type": "string", "maxLength": 72,
                                    "description": "A line below it, when the title does not say enough."},
                            },
                            "required": ["title"],
                            "additionalProperties": false,
                        },
                    },
                },
                "required": ["text", "choices"],
                "additionalProperties": false,
            }),
        })
        .map(Self)
    }
}

#[async_trait]
impl Action for OfferChoices {
    fn tool(&self) -> &Tool {
        &self.0
    }

    async fn call(&self, _: Call<'_>) -> Result<Done, ActionError> {
        Ok("The person is shown the text and the choices.".into())
    }
}

/// What was offered in this round, if it was.
pub(super) fn offered(calls: &[ToolCall], results: &[ToolResult]) -> Option<(String, Vec<Choice>)> {
    let call = calls.iter().rfind(|call| call.name == OFFER_CHOICES)?;
    let made = results
        .iter()
        .any(|result| result.call == call.id && !result.failed);
    let offer = |arguments: &Value| serde_json::from_value::<Offer>(arguments.clone()).ok();
    let Offer { text, choices } = made.then(|| offer(&call.arguments))??;
    Some((text, choices))
}
