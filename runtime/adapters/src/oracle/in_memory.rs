//! An Oracle that is a function.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use eywa_weave::{
    ports::oracle::{OnText, Oracle, OracleError, Question, Reply, Turn},
    tool::ToolSpec,
};
use futures::future::BoxFuture;

use crate::in_memory::Shared;

/// A [`Question`] that an Oracle was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Who the Spirit is and what it knows.
    pub system: String,
    /// The conversation.
    pub turns: Vec<Turn>,
    /// The tools.
    pub tools: Vec<Arc<ToolSpec>>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// The most tokens of the reply.
    pub max_tokens: Option<u32>,
}

type Answer = dyn Fn(Asked) -> BoxFuture<'static, Result<Reply, OracleError>> + Send + Sync;

/// An Oracle for tests: it answers what its function answers, and remembers what it was asked. Where the question wants
/// the text as it comes, it comes in one piece.
pub struct InMemoryOracle {
    model: String,
    answer: Box<Answer>,
    takes: Vec<String>,
    asked: Shared<Vec<Asked>>,
}

impl InMemoryOracle {
    /// An Oracle that answers with `answer`.
    pub fn new<F, R>(answer: F) -> Self
    where
        F: Fn(Asked) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply, OracleError>> + Send + 'static,
    {
        let answer = Box::new(move |asked| -> BoxFuture<'static, _> { Box::pin(answer(asked)) });
        Self {
            model: "in-memory".to_owned(),
            answer,
            takes: Vec::new(),
            asked: Shared::default(),
        }
    }

    /// Makes it take files of these media types.
    #[must_use]
    pub fn taking(mut self, media_types: &[&str]) -> Self {
        self.takes = media_types.iter().map(ToString::to_string).collect();
        self
    }

    /// What it was asked, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

impl fmt::Debug for InMemoryOracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryOracle")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Oracle for InMemoryOracle {
    fn provider(&self) -> &'static str {
        "in-memory"
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn takes(&self, media_type: &str) -> bool {
        self.takes.iter().any(|taken| taken == media_type)
    }

    async fn ask(
        &self,
        question: Question<'_>,
        on_text: Option<OnText<'_>>,
    ) -> Result<Reply, OracleError> {
        let asked = Asked {
            system: question.system.to_owned(),
            turns: question.turns.to_vec(),
            tools: question.tools.to_vec(),
            temperature: question.temperature,
            max_tokens: question.max_tokens,
        };
        self.asked.lock().push(asked.clone());
        let reply = (self.answer)(asked).await?;
        if let Some(on_text) = on_text {
            on_text(&reply.text);
        }
        Ok(reply)
    }
}
