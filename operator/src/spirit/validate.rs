//! Deciding whether a Spirit can run. Pure.

use super::dereference::{DefaultRedis, Dereferenced};
use crate::{
    apply::hash_of,
    conditions::{self, Verdict},
};
use eywa_crds::{
    Conduit, Spirit,
    compile::{ConditionType, Problem, compile},
    runtime_config::{IngestConfig, PodIdentities, RuntimeConfig, SecretFile},
};
use k8s_openapi::ByteString;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The condition `Accepted`.
pub const ACCEPTED: &str = "Accepted";
/// The condition `SecretsResolved`.
pub const SECRETS_RESOLVED: &str = "SecretsResolved";
/// The condition `ConduitsReady`.
pub const CONDUITS_READY: &str = "ConduitsReady";

/// The reason of `ConduitsReady` when a Conduit is there and sound, but does not answer.
pub const CONDUIT_NOT_READY: &str = "ConduitNotReady";

/// The condition `LoreReady`: not one of those that `Ready` waits for, since answers go on without Lore.
pub const LORE_READY: &str = "LoreReady";

/// What can be told of a Spirit without its pods.
pub struct Validated {
    /// The verdicts of `Accepted`, `SecretsResolved` and `ConduitsReady`.
    pub verdicts: Vec<(&'static str, Verdict)>,
    /// What to run; none when something is wrong.
    pub plan: Option<Plan>,
    /// The names of the tools that the Oracle is offered, as far as the Conduits were heard of.
    pub tools: Vec<String>,
}

/// A sound Spirit, compiled.
pub struct Plan {
    /// The runtime's configuration as JSON.
    pub config: String,
    /// Its hash.
    pub config_hash: String,
    /// Which clouds' identities of pods they use.
    pub pod_identities: PodIdentities,
    /// The Secrets to mount, and of each the keys.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// One hash over all their values.
    pub secrets_hash: String,
    /// What its documents are brought in with, if it has Lore.
    pub lore: Option<LorePlan>,
}

/// What a Spirit's documents are brought in with.
pub struct LorePlan {
    /// The configuration as JSON.
    pub config: String,
    /// The Secrets to mount, and of each the keys.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// One hash over all their values.
    pub secrets_hash: String,
    /// The ConfigMaps that hold documents.
    pub config_maps: BTreeSet<String>,
}

/// Compiles the Spirit with what was read.
///
/// # Errors
/// When the configuration cannot be written as JSON, which would be a bug.
pub fn validate(spirit: &Spirit, name: &str, read: &Dereferenced) -> serde_json::Result<Validated> {
    let (problems, config) = match compile(name, &spirit.spec, &read.around) {
        Ok(config) => (Vec::new(), Some(config)),
        Err(problems) => (problems, None),
    };
    let mut secrets = verdict(
        &problems,
        ConditionType::SecretsResolved,
        "Resolved",
        "every Secret and key is there",
    );
    if let DefaultRedis::Missing(message) = &read.default_redis {
        secrets = if secrets.holds() {
            Verdict::no("DefaultRedisMissing", message.clone())
        } else {
            Verdict::no(&secrets.reason, format!("{}; {message}", secrets.message))
        };
    }
    let resolved = secrets.holds();
    let verdicts = vec![
        (
            ACCEPTED,
            verdict(
                &problems,
                ConditionType::Accepted,
                "Accepted",
                "the spec is sound",
            ),
        ),
        (SECRETS_RESOLVED, secrets),
        (CONDUITS_READY, conduits(&problems, &read.around.conduits)),
    ];
    let tools = config
        .as_ref()
        .map(|config| tools(config, &read.around.conduits))
        .unwrap_or_default();
    let plan = match config {
        Some(config) if resolved => Some(plan(&config, read)?),
        _ => None,
    };
    Ok(Validated {
        verdicts,
        plan,
        tools,
    })
}

fn plan(config: &RuntimeConfig, read: &Dereferenced) -> serde_json::Result<Plan> {
    let files = config.secret_files();
    let lore = IngestConfig::of(config)
        .map(|ingest| lore(&ingest, read))
        .transpose()?;
    Ok(Plan {
        lore,
        config: config.to_json()?,
        config_hash: config.config_hash(),
        pod_identities: config.pod_identities(),
        secrets_hash: hash_of_values(&files, read)?,
        secrets: keys_by_secret(&files),
    })
}

fn lore(ingest: &IngestConfig, read: &Dereferenced) -> serde_json::Result<LorePlan> {
    let files = ingest.secret_files();
    let config_maps = ingest.config_maps();
    Ok(LorePlan {
        config: ingest.to_json()?,
        secrets_hash: hash_of_values(&files, read)?,
        secrets: keys_by_secret(&files),
        config_maps: config_maps.into_iter().map(str::to_owned).collect(),
    })
}

fn keys_by_secret(files: &BTreeSet<SecretFile>) -> BTreeMap<String, BTreeSet<String>> {
    let mut secrets = BTreeMap::<_, BTreeSet<_>>::new();
    for file in files {
        secrets
            .entry(file.name.clone())
            .or_default()
            .insert(file.key.clone());
    }
    secrets
}

/// One hash over all values at once. A hash of each would let anyone who may read pods check a guess at a short one.
fn hash_of_values(files: &BTreeSet<SecretFile>, read: &Dereferenced) -> serde_json::Result<String> {
    use secrecy::ExposeSecret;
    let mut digest = Sha256::new();
    for file in files {
        let value = read
            .values
            .get(&file.name)
            .and_then(|data| data.get(&file.key));
        match (value, &read.default_redis) {
            (Some(ByteString(value)), _) => digest.update(Sha256::digest(value)),
            (None, DefaultRedis::Url(url)) => digest.update(Sha256::digest(url.expose_secret())),
            (None, _) => {}
        }
    }
    hash_of(&hex::encode(digest.finalize()))
}

/// False when a problem says so, with the first problem's reason and every such problem's message.
fn verdict(problems: &[Problem], condition: ConditionType, good: &str, message: &str) -> Verdict {
    let mut found = problems
        .iter()
        .filter(|problem| problem.condition == condition)
        .peekable();
    match found.peek() {
        None => Verdict::yes(good, message),
        Some(first) => {
            let reason = first.reason.as_str();
            Verdict::no(
                reason,
                found
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; "),
            )
        }
    }
}

/// Compiling tells whether the Conduits are there and sound; their own status, whether they answer.
fn conduits(problems: &[Problem], used: &BTreeMap<String, Conduit>) -> Verdict {
    let compiled = verdict(
        problems,
        ConditionType::ConduitsReady,
        "Ready",
        "every Conduit answers",
    );
    if !compiled.holds() {
        return compiled;
    }
    let mut silent = used.iter().filter_map(|(name, conduit)| {
        let ready = conduit
            .status
            .as_ref()
            .and_then(|status| conditions::find(&status.conditions, "Ready"));
        match ready {
            Some(ready) if ready.status == "True" => None,
            Some(ready) => Some(format!("Conduit {name:?} is not ready: {}", ready.message)),
            None => Some(format!("Conduit {name:?} has not been probed yet")),
        }
    });
    match (silent.next(), used.is_empty()) {
        (Some(first), _) => Verdict::no(
            CONDUIT_NOT_READY,
            silent.fold(first, |all, next| format!("{all}; {next}")),
        ),
        (None, true) => Verdict::yes("NoneUsed", "no Conduit is used"),
        (None, false) => compiled,
    }
}

fn tools(config: &RuntimeConfig, conduits: &BTreeMap<String, Conduit>) -> Vec<String> {
    let Some(front) = config.front() else {
        return Vec::new();
    };
    let mut names: Vec<String> = front
        .actions
        .iter()
        .map(|action| action.name.clone())
        .collect();
    for conduit in &front.conduits {
        let status = conduits
            .get(&conduit.name)
            .and_then(|known| known.status.as_ref());
        let offered = status
            .iter()
            .flat_map(|status| &status.tools)
            .filter(|tool| conduit.offers(&tool.name));
        names.extend(offered.map(|tool| tool.name.clone()));
    }
    names
}
