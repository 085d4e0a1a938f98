//! From the chunks of a streamed answer to a [`Reply`].
//!
//! Source: OpenAI, API reference, "The chat completion chunk object".

use eywa_weave::ports::oracle::{OnText, OracleError, Question, Reply};
use serde::Deserialize;
use serde_json::Value;

use super::{
    WIRE, errors,
    response::{Arguments, Made, Parts, Tokens, null_as_default},
};

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default, deserialize_with = "null_as_default")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
    /// A failure after the answer had begun.
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default, deserialize_with = "null_as_default")]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    tool_calls: Vec<CallPiece>,
}

#[derive(Debug, Deserialize)]
struct CallPiece {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    function: FunctionPiece,
}

#[derive(Debug, Default, Deserialize)]
struct FunctionPiece {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

/// An answer that is being heard.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    parts: Parts,
    /// The calls so far, each with the index that its pieces carry.
    calls: Vec<(usize, Made)>,
    done: bool,
}

impl Hearing {
    /// Takes in the data of one event. `true` when it was the last.
    pub(super) fn hear(
        &mut self,
        data: &str,
        question: &Question<'_>,
        on_text: &mut OnText<'_>,
    ) -> Result<bool, OracleError> {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(true);
        }
        let chunk: Chunk = serde_json::from_str(data)
            .map_err(|error| WIRE.unreadable("a chunk of its answer", &error))?;
        if let Some(error) = chunk.error {
            let told = errors::in_stream(&error);
            return Err(WIRE.said("it failed while it was answering", told, question));
        }
        if let Some(usage) = chunk.usage {
            self.parts.usage = usage;
        }
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(false);
        };
        if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
            on_text(&text);
            self.parts.text.push_str(&text);
        }
        if let Some(words) = choice.delta.refusal {
            self.parts.refusal.get_or_insert_default().push_str(&words);
        }
        for piece in choice.delta.tool_calls {
            self.call(piece);
        }
        if choice.finish_reason.is_some() {
            self.parts.finish = choice.finish_reason;
        }
        Ok(false)
    }

    fn call(&mut self, piece: CallPiece) {
        let FunctionPiece { name, arguments } = piece.function;
        let id = piece.id.filter(|id| !id.is_empty());
        let index = piece
            .index
            .unwrap_or_else(|| match (&id, self.calls.last()) {
                (None, Some((last, _))) => *last,
                (_, last) => last.map_or(0, |(last, _)| last + 1),
            });
        let known = self.calls.iter_mut().rev().find(|(at, made)| {
            // Some compatible servers give every parallel call the index 0, and only the ids differ.
            *at == index
                && id
                    .as_ref()
                    .is_none_or(|id| made.id.is_empty() || *id == made.id)
        });
        let made = match known {
            Some((_, made)) => made,
            None => {
                let made = Made {
                    id: String::new(),
                    name: String::new(),
                    arguments: Arguments::Text(String::new()),
                };
                &mut self.calls.push_mut((index, made)).1
            }
        };
        if let Some(id) = id {
            made.id = id;
        }
        // The name comes whole, and from some servers with every piece.
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            made.name = name;
        }
        if let (Arguments::Text(text), Some(more)) = (&mut made.arguments, arguments) {
            text.push_str(&more);
        }
    }

    /// The reply, if all of it was heard.
    pub(super) fn reply(mut self, question: &Question<'_>) -> Result<Reply, OracleError> {
        if !self.done && self.parts.finish.is_none() {
            return Err(WIRE.broke_off());
        }
        self.parts.calls = self.calls.into_iter().map(|(_, made)| made).collect();
        Ok(self.parts.reply(question))
    }
}
