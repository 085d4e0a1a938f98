//! A Conduit that is a list of tools and a function.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use eywa_weave::{
    ports::{
        action::ActionError,
        conduit::{Conduit, ConduitError},
    },
    tool::Tool,
};
use futures::future::BoxFuture;
use serde_json::Value;

type Serve = dyn Fn(String, Value) -> BoxFuture<'static, Result<String, ActionError>> + Send + Sync;

/// A Conduit for tests: it has the tools it was given, and its function answers for all of them.
pub struct InMemoryConduit {
    name: String,
    tools: Arc<[Tool]>,
    serve: Box<Serve>,
}

impl InMemoryConduit {
    /// A Conduit of this name with these tools; `serve` is called with a tool's name and its arguments.
    pub fn new<F, R>(name: &str, tools: Vec<Tool>, serve: F) -> Self
    where
        F: Fn(String, Value) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, ActionError>> + Send + 'static,
    {
        let serve = Box::new(move |tool, arguments| -> BoxFuture<'static, _> {
            Box::pin(serve(tool, arguments))
        });
        Self {
            name: name.to_owned(),
            tools: tools.into(),
            serve,
        }
    }
}

impl fmt::Debug for InMemoryConduit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryConduit")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Conduit for InMemoryConduit {
    fn name(&self) -> &str {
        &self.name
    }

    async fn tools(&self) -> Result<Arc<[Tool]>, ConduitError> {
        Ok(self.tools.clone())
    }

    async fn call(&self, tool: &str, arguments: &Value) -> Result<String, ActionError> {
        (self.serve)(tool.to_owned(), arguments.clone()).await
    }
}
