//! Completing words in the shell, names from the cluster or from `eywa up` among them.

use std::{
    ffi::{OsStr, OsString},
    future::Future,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::{
    CompleteEnv,
    engine::{self, CompletionCandidate},
    env::Shells,
};
use kube::ResourceExt as _;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::{
    Cli,
    attend::{Place, Reach},
    cluster::ClusterFlags,
    terminal::{safe, say},
};

/// The variable by which a shell's script asks for candidates.
const VARIABLE: &str = "EYWA_COMPLETE";
/// A person at a prompt waits no longer; then there are no names.
const PATIENCE: Duration = Duration::from_secs(2);
/// kubectl's word for: these, and no files.
const NO_FILES: &str = ":4";

/// Prints a script that makes a shell complete this command.
#[derive(Args)]
pub(crate) struct Completion {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Completion {
    pub(crate) fn run(&self) -> Result<()> {
        let named = self.shell.to_possible_value();
        let shells = Shells::builtins();
        let shell = named
            .as_ref()
            .and_then(|shell| shells.completer(shell.get_name()))
            .context("this shell is not known")?;
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, "eywa", "eywa", "eywa", &mut script)?;
        say(String::from_utf8_lossy(&script).trim_end())
    }
}

/// Answers a shell, or kubectl, when one of them asks; then the process is done.
pub(crate) fn answer() {
    if crate::name::is_completing_for_kubectl() {
        for candidate in for_kubectl().unwrap_or_default() {
            println!("{candidate}");
        }
        println!("{NO_FILES}");
        std::process::exit(0);
    }
    CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .complete();
}

/// kubectl gives the words after `kubectl eywa`, the one at the cursor last.
fn for_kubectl() -> Result<Vec<String>> {
    let words = std::env::args_os().skip(1);
    let words: Vec<OsString> = std::iter::once("eywa".into()).chain(words).collect();
    let at = words.len() - 1;
    let found = engine::complete(&mut Cli::command(), words, at, None)?;
    let shown = found.into_iter().map(|candidate| {
        let value = candidate.get_value().to_string_lossy().into_owned();
        match candidate.get_help() {
            Some(help) => format!("{value}\t{}", safe::line(&help.to_string())),
            None => value,
        }
    });
    Ok(shown.collect())
}

/// Spirits.
pub(crate) fn spirits(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, async |reach: Reach| {
        Ok(match reach.place().await? {
            Place::Cluster(cluster) => names(
                cluster
                    .spirits()
                    .await?
                    .iter()
                    .map(|one| (one.name_any(), None)),
            ),
            Place::Local(desk) => {
                let me = desk.get(&["me"], &[]).await?;
                let spirits: Vec<String> = serde_json::from_value(me["spirits"].clone())?;
                names(spirits.into_iter().map(|one| (one, None)))
            }
        })
    })
}

/// Sessions and Vigils.
pub(crate) fn conversations(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, async |reach: Reach| {
        let place = reach.place().await?;
        let spirit = reach.spirit.as_deref();
        let mut found = Vec::new();
        if let Place::Cluster(cluster) = &place {
            for vigil in cluster.vigils(spirit).await? {
                let about = format!("{} of {}", vigil.spec.session, vigil.spec.spirit_ref.name);
                found.push((vigil.name_any(), Some(about)));
                found.push((vigil.spec.session, Some(vigil.spec.spirit_ref.name)));
            }
        }
        // Those of the cluster that nobody has taken or is asked to take take a port-forward each; what can be had is had.
        for (_, desk) in place.desks(spirit).await.unwrap_or_default() {
            let mut query = vec![("limit", "100")];
            query.extend(spirit.map(|spirit| ("spirit", spirit)));
            let Ok(page) = desk.get(&["conversations"], &query).await else {
                continue;
            };
            let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
            let listed = page["conversations"].as_array().into_iter().flatten();
            found.extend(
                listed.filter_map(|one| Some((text(&one["session"])?, text(&one["user"]["name"])))),
            );
        }
        Ok(names(found))
    })
}

/// Rites that wait for a decision.
pub(crate) fn rites(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, async |reach: Reach| {
        let spirit = reach.spirit.as_deref();
        Ok(match reach.place().await? {
            Place::Cluster(cluster) => {
                let rites = cluster.rites(spirit).await?;
                let waiting = rites.iter().filter(|rite| {
                    crate::cluster::rites::phase(rite) == eywa_crds::rite::RitePhase::Pending
                });
                names(waiting.map(|rite| {
                    (
                        rite.name_any(),
                        Some(format!("{} in {}", rite.spec.action, rite.spec.session)),
                    )
                }))
            }
            Place::Local(desk) => {
                let listed = desk.get(&["rites"], &[]).await?;
                let rites = listed["rites"].as_array().cloned().unwrap_or_default();
                let waiting = rites.iter().filter(|rite| rite["phase"] == "Pending");
                let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
                names(waiting.filter_map(|rite| Some((text(&rite["id"])?, text(&rite["action"])))))
            }
        })
    })
}

/// Each name once, with what is known of it. A name that a terminal would act on is no help to anybody.
fn names(found: impl IntoIterator<Item = (String, Option<String>)>) -> Vec<CompletionCandidate> {
    let mut seen = std::collections::BTreeMap::new();
    for (name, about) in found {
        if safe::line(&name) == name {
            seen.entry(name).or_insert(about);
        }
    }
    seen.into_iter()
        .map(|(name, about)| {
            CompletionCandidate::new(name).help(about.map(|about| safe::line(&about).into()))
        })
        .collect()
}

/// Asks for names in the time that a person at a prompt has; none when that fails, since there is nowhere to say why.
fn candidates<F>(current: &OsStr, ask: impl FnOnce(Reach) -> F) -> Vec<CompletionCandidate>
where
    F: Future<Output = Result<Vec<CompletionCandidate>>>,
{
    let found = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow!(error))
        .and_then(|runtime| {
            let asked = runtime.block_on(async { timeout(PATIENCE, ask(reach())).await });
            runtime.shutdown_background();
            asked?
        });
    let current = current.to_string_lossy();
    let mut found = found.unwrap_or_default();
    found.retain(|one| one.get_value().to_string_lossy().starts_with(&*current));
    found
}

/// What the words typed so far say of where to look. They may not parse yet, so only these flags are looked for.
fn reach() -> Reach {
    let words: Vec<String> = std::env::args().collect();
    let value = |names: &[&str]| {
        words.iter().enumerate().find_map(|(at, word)| {
            let given = word
                .split_once('=')
                .filter(|(name, _)| names.contains(name));
            match given {
                Some((_, value)) => Some(value.to_owned()),
                None if names.contains(&word.as_str()) => words.get(at + 1).cloned(),
                None => None,
            }
        })
    };
    Reach {
        cluster: ClusterFlags {
            namespace: value(&["-n", "--namespace"]),
            context: value(&["--context"]),
            kubeconfig: value(&["--kubeconfig"]).map(PathBuf::from),
        },
        spirit: value(&["--spirit"]),
        local: value(&["--local"]).and_then(|url| Url::parse(&url).ok()),
        token: value(&["--token"])
            .or_else(|| std::env::var("EYWA_TOKEN").ok())
            .map(Into::into),
        ..Reach::default()
    }
}
