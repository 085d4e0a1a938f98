//! The `eywa` command.

mod attend;
mod chat;
mod cluster;
mod completing;
mod desk_api;
mod discovery;
mod load;
mod lore;
mod name;
mod refusal;
mod terminal;
mod up;
mod validate;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Conversational agents, from a folder of YAML or a cluster of them.
#[derive(Parser)]
#[command(
    name = "eywa",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 used wrongly, 3 refused: a permission is missing, or somebody else was there first."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    reach: attend::Reach,
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
    /// Bring documents into a Spirit's Lore, and see what is found in it.
    Lore(lore::LoreArgs),
    #[command(flatten)]
    Attend(attend::Attend),
    /// Print a script that completes this command in a shell, names of the cluster included.
    Completion(completing::Completion),
}

fn main() -> ExitCode {
    if let Some(read) = eywa_lore::documents::answer() {
        return read;
    }
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("error: TLS was set up twice; this is a fault of this program");
        return ExitCode::FAILURE;
    }
    completing::answer();
    let matches = Cli::command().bin_name(name::command()).get_matches();
    let Cli { reach, command } = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match command {
        Command::Up(up) => up.run(),
        Command::Chat(chat) => chat.run(reach.cluster),
        Command::Validate(validate) => return validate.run(reach.cluster),
        Command::Lore(lore) => lore.run(reach.cluster),
        Command::Attend(attend) => attend.run(reach),
        Command::Completion(completion) => completion.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if terminal::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            refusal::exit(&error)
        }
    }
}
