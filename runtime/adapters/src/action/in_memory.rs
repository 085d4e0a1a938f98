//! An Action that is a function.

use std::{fmt, future::Future};

use async_trait::async_trait;
use eywa_weave::{
    Pulse,
    ports::action::{Action, ActionError, Call, Done},
    tool::{InvalidSchema, Tool, ToolSpec},
};
use futures::future::BoxFuture;
use serde_json::Value;

use crate::in_memory::Shared;

/// A call that was made of an Action.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The Pulse that led to it.
    pub pulse: Pulse,
    /// The call's id.
    pub id: String,
    /// The arguments.
    pub arguments: Value,
}

type Do = dyn Fn(Made) -> BoxFuture<'static, Result<String, ActionError>> + Send + Sync;

/// An Action for tests: it does what its function does, and remembers its calls.
pub struct InMemoryAction {
    tool: Tool,
    make: Box<Do>,
    made: Shared<Vec<Made>>,
}

impl InMemoryAction {
    /// An Action of this name, whose arguments keep to the JSON Schema `parameters`.
    ///
    /// # Errors
    /// When `parameters` is not a JSON Schema.
    pub fn new<F, R>(name: &str, parameters: Value, make: F) -> Result<Self, InvalidSchema>
    where
        F: Fn(Made) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, ActionError>> + Send + 'static,
    {
        let spec = ToolSpec {
            name: name.to_owned(),
            description: format!("Does {name}."),
            parameters,
        };
        let make = Box::new(move |made| -> BoxFuture<'static, _> { Box::pin(make(made)) });
        Ok(Self {
            tool: Tool::new(spec)?,
            make,
            made: Shared::default(),
        })
    }

    /// The calls that were made, oldest first.
    pub fn made(&self) -> Vec<Made> {
        self.made.lock().clone()
    }
}

impl fmt::Debug for InMemoryAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryAction")
            .field("tool", &self.tool.spec().name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Action for InMemoryAction {
    fn tool(&self) -> &Tool {
        &self.tool
    }

    async fn call(&self, call: Call<'_>) -> Result<Done, ActionError> {
        let made = Made {
            pulse: call.pulse.clone(),
            id: call.id.to_owned(),
            arguments: call.arguments.clone(),
        };
        self.made.lock().push(made.clone());
        (self.make)(made).await.map(Done::from)
    }
}
