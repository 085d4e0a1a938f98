//! The `eywa` command.

mod chat;
mod discovery;
mod load;
mod up;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Conversational agents, from a folder of YAML or a cluster of them.
#[derive(Parser)]
#[command(name = "eywa", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the Spirits of a folder on this machine; nothing else is needed. Edits take effect at once.
    Up(up::Up),
    /// Talk to a Spirit: one that `eywa up` runs, or one in a cluster.
    Chat(chat::Chat),
    /// Say everything the API server and the operator would say of a folder's manifests.
    Validate(validate::Validate),
}

fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("error: TLS was set up twice; this is a fault of this program");
        return ExitCode::FAILURE;
    }
    let done = match Cli::parse().command {
        Command::Up(up) => up.run(),
        Command::Chat(chat) => chat.run(),
        Command::Validate(validate) => return validate.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
