//! `eywa chat`: a conversation in the terminal.

mod cluster;
mod show;
mod talk;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rustyline::error::ReadlineError;

use self::{show::Telling, talk::Talk};
use crate::{cluster::ClusterFlags, discovery, name};

/// Talks to a Spirit.
#[derive(Args)]
pub(crate) struct Chat {
    /// The Spirit.
    spirit: String,
    /// Talk to the cluster of the current kubeconfig, even where `eywa up` runs.
    #[arg(long)]
    cluster: bool,
    #[command(flatten)]
    flags: ClusterFlags,
    /// Who you are to the Spirit. A conversation is kept by this name.
    #[arg(long = "as", default_value = "you", value_name = "NAME")]
    user: String,
    /// Say this, print the answer, and leave. May be given more than once.
    #[arg(short, long = "message", value_name = "TEXT")]
    messages: Vec<String>,
}

impl Chat {
    /// Runs it. `before` are the options that stood before the command's name.
    pub(crate) fn run(mut self, before: ClusterFlags) -> Result<()> {
        self.flags = self.flags.or(before);
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
        let local = if self.cluster || self.flags.any() || name::is_plugin() {
            None
        } else {
            discovery::find()
        };
        let Some(running) = local else {
            return cluster::find(&self.spirit, &self.flags, &self.user).await;
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
            self.say(talk, message).await?;
        }
        Ok(())
    }

    async fn say(&self, talk: &Talk, text: &str) -> Result<()> {
        let mut telling = Telling::of(&self.spirit);
        let answer = talk.say(text, &mut |piece| telling.piece(piece)).await;
        match answer {
            Ok(answer) => telling.end(&answer),
            Err(error) => {
                telling.break_off();
                return Err(error);
            }
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
            if let Err(error) = self.say(talk, &line).await {
                eprintln!("error: {error:#}");
            }
        }
    }
}
