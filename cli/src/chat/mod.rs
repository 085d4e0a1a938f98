//! `eywa chat`: a conversation in the terminal.

mod cluster;
mod show;
mod talk;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rustyline::error::ReadlineError;

use self::talk::Talk;
use crate::discovery;

/// Talks to a Spirit.
#[derive(Args)]
pub(crate) struct Chat {
    /// The Spirit.
    spirit: String,
    /// Talk to the cluster of the current kubeconfig, even where `eywa up` runs.
    #[arg(long)]
    cluster: bool,
    /// The Spirit's namespace in the cluster; the kubeconfig's own otherwise.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Who you are to the Spirit. A conversation is kept by this name.
    #[arg(long = "as", default_value = "you", value_name = "NAME")]
    user: String,
    /// Say this, print the answer, and leave. May be given more than once.
    #[arg(short, long = "message", value_name = "TEXT")]
    messages: Vec<String>,
}

impl Chat {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let talk = self.find().await?;
            if self.messages.is_empty() {
                self.converse(&talk).await
            } else {
                self.say_all(&talk).await
            }
        })
    }

    async fn find(&self) -> Result<Talk> {
        let local = if self.cluster || self.namespace.is_some() {
            None
        } else {
            discovery::find()
        };
        let Some(running) = local else {
            return cluster::find(&self.spirit, self.namespace.as_deref(), &self.user).await;
        };
        let Some(reach) = running.spirits.get(&self.spirit) else {
            let known: Vec<&str> = running.spirits.keys().map(String::as_str).collect();
            bail!(
                "eywa up runs no Spirit {:?} with an http voice; it runs: {}. For one in a cluster, add --cluster",
                self.spirit,
                known.join(", ")
            );
        };
        Talk::new(
            &running.url,
            &self.spirit,
            &reach.voice,
            &reach.key,
            &self.user,
        )
    }

    async fn say_all(&self, talk: &Talk) -> Result<()> {
        for message in &self.messages {
            show::answer(&self.spirit, &talk.say(message).await?);
        }
        Ok(())
    }

    async fn converse(&self, talk: &Talk) -> Result<()> {
        println!(
            "You talk to {} as {}. Ctrl-D ends it.",
            self.spirit, self.user
        );
        let mut editor = rustyline::DefaultEditor::new()
            .context("the terminal cannot be used; try --message")?;
        loop {
            // Reading a line blocks; a task on the runtime's own thread goes on meanwhile.
            let line = tokio::task::block_in_place(|| editor.readline("> "));
            let line = match line {
                Ok(line) => line,
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
                Err(error) => return Err(error).context("the terminal cannot be read"),
            };
            if line.trim().is_empty() {
                continue;
            }
            let _ = editor.add_history_entry(line.as_str());
            match talk.say(&line).await {
                Ok(answer) => show::answer(&self.spirit, &answer),
                Err(error) => eprintln!("error: {error:#}"),
            }
        }
    }
}
