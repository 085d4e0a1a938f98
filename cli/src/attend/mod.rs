//! The human's side: taking conversations over, answering in them, giving them back, and deciding Rites.
//!
//! In a cluster, who has a conversation and what a Rite's decision is are changed by their objects, through the Kubernetes
//! API: RBAC decides, any user of the kubeconfig will do, and an order stands while no runtime pod is ready. What holds
//! message text (transcripts, replies, traces) is in no object; it comes from the desk of the Spirit's pods, by port-forward
//! and with the user's token. Against `eywa up`, which has no Kubernetes API, all of it goes through its desk.

mod conversations;
mod conversing;
mod desk;
mod handover;
mod imprint;
mod place;
mod rites;
mod trace;
mod transcript;
mod watch;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use self::place::{Place, Reach, Subject, only_spirit};

/// The commands for the people who attend to conversations.
#[derive(Subcommand)]
pub(crate) enum Attend {
    /// List the conversations of a Spirit, or of all: those that wait for a human first.
    Conversations(conversations::List),
    /// Take a conversation over: from then on the agent is silent in it. Waits until that is so.
    Takeover(handover::Takeover),
    /// Give a conversation back to the agent.
    Release(handover::Release),
    /// Say something in a conversation that you have taken over.
    Reply(conversing::Reply),
    /// Follow a conversation, or all, as it happens.
    Watch(watch::Watch),
    /// List the Rites: actions that wait, or waited, for a human's yes.
    Rites(rites::List),
    /// Say yes to a Rite: exactly that call is made.
    Approve(rites::Approve),
    /// Say no to a Rite.
    Deny(rites::Deny),
    /// Show, correct and forget what a Spirit remembers of a person.
    Imprint(imprint::Imprint),
    /// Show what was done with a message, step by step.
    Trace(trace::TracePulse),
    /// Serve the desk, a web page, for all Spirits of a namespace, on this machine.
    Desk(desk::ServeDesk),
}

impl Attend {
    /// Runs it. `before` are the options that stood before the command's name.
    pub(crate) fn run(self, before: Reach) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let done = runtime.block_on(async {
            match self {
                Self::Conversations(command) => command.run(before).await,
                Self::Takeover(command) => command.run(before).await,
                Self::Release(command) => command.run(before).await,
                Self::Reply(command) => command.run(before).await,
                Self::Watch(command) => command.run(before).await,
                Self::Rites(command) => command.run(before).await,
                Self::Approve(command) => command.run(before).await,
                Self::Deny(command) => command.run(before).await,
                Self::Imprint(command) => command.run(before).await,
                Self::Trace(command) => command.run(before).await,
                Self::Desk(command) => command.run(before).await,
            }
        });
        // A read of the terminal that is still waiting must not keep the process.
        runtime.shutdown_background();
        done
    }
}
