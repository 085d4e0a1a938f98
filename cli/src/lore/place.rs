//! Which Lore a command is about: a Spirit's, by its manifest.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use eywa_adapters::redb::{OpenError, Redb};
use eywa_crds::{
    compile::{self, DefaultStores, Defaults, referenced_secrets},
    manifest::Manifests,
    runtime_config::{CompiledLoreStore, IngestConfig, SecretFile},
};
use eywa_runtime::{
    metrics::Metrics,
    secrets::HeldSecrets,
    wiring::{
        Shared,
        lore::{Opened, open},
    },
};
use secrecy::SecretString;

use crate::{load, up};

/// Where a Spirit's manifest is, and its store.
#[derive(Args)]
pub(crate) struct Manifest {
    /// The manifests: a folder, or one file. Secrets that are not among them are taken from the environment: the key
    /// api-key of the Secret openai from EYWA_SECRET_OPENAI_API_KEY.
    #[arg(short, long, value_name = "FILE", default_value = ".")]
    file: PathBuf,
    /// The namespace that the manifests are for.
    #[arg(long, value_name = "NAME", default_value = "default")]
    kube_namespace: String,
    /// Use the store that `eywa up` keeps for this folder, not the one that the manifest names.
    #[arg(long)]
    local: bool,
    /// The folder that `eywa up --data` was given; with --local.
    #[arg(long, value_name = "FOLDER", requires = "local")]
    data: Option<PathBuf>,
    /// Reach the store at this URL instead, such as that of a port-forward.
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    store_url: Option<String>,
}

/// A Spirit's Lore.
pub(crate) struct Place {
    pub(crate) config: IngestConfig,
    pub(crate) opened: Opened,
    pub(crate) shared: Shared,
}

impl Manifest {
    /// Opens the Lore of the Spirit of this name, or of the only one.
    pub(crate) fn open(&self, spirit: Option<&str>) -> Result<Place> {
        let mut manifests = load::read(&self.file)?;
        let spirit = only(&manifests, spirit)?;
        let mut spec = manifests.spirits[&spirit].spec.clone();
        for needed in referenced_secrets(&spec) {
            let keys = manifests.secrets.entry(needed.name.clone()).or_default();
            if !keys.contains_key(&needed.key)
                && let Some(value) = from_environment(&needed.name, &needed.key)
            {
                keys.insert(needed.key, value);
            }
        }
        if let Some(lore) = &mut spec.lore {
            // Those that are brought in by themselves need not be here.
            lore.sources.clear();
        }
        let defaults = Defaults {
            stores: if self.local {
                DefaultStores::Embedded
            } else {
                DefaultStores::None
            },
            ..load::local_defaults()
        };
        let around = manifests.surroundings(&self.kube_namespace, defaults);
        let config = compile::compile_lore(&spirit, &spec, &around).map_err(|problems| {
            let problems: Vec<String> = problems
                .iter()
                .map(|problem| manifests.locate(problem).to_string())
                .collect();
            anyhow::anyhow!("{}", problems.join("\n"))
        })?;
        let mut config = config
            .with_context(|| format!("the Spirit {spirit} has no spec.lore: say there where its passages are kept and what embeds them"))?;
        if let Some(url) = &self.store_url {
            reach_at(&mut config.lore.store, url)?;
        }
        let mut shared = Shared::new(config.network.clone(), Metrics::new()?);
        if config.lore.store == CompiledLoreStore::Embedded {
            shared = shared.with_lore(self.embedded()?);
        }
        let held = config.secret_files().into_iter().filter_map(|file| {
            let value = manifests.secrets.get(&file.name)?.get(&file.key)?.clone();
            Some((file, value))
        });
        let secrets = HeldSecrets(held.collect::<std::collections::BTreeMap<SecretFile, _>>());
        let opened = open(&spirit, &config.lore, &secrets, &shared)?;
        Ok(Place {
            config,
            opened,
            shared,
        })
    }

    /// What `eywa up` keeps, while it does not run.
    fn embedded(&self) -> Result<eywa_runtime::wiring::lore::EmbeddedLore> {
        let folder = match &self.data {
            Some(data) => data.clone(),
            None => up::default_data(&folder(&self.file)?),
        };
        let redb = Redb::open(&folder, "").map_err(|error| match error {
            OpenError::InUse(folder) => anyhow::anyhow!(
                "eywa up has {} open, which one process can have at a time. Name the documents in spec.lore.sources, which eywa up brings in by itself whenever they change; or stop it, and try again",
                folder.display()
            ),
            error => error.into(),
        })?;
        Ok(up::embedded_lore(redb))
    }
}

/// The folder that `eywa up` would be given.
fn folder(file: &Path) -> Result<PathBuf> {
    let path = file
        .canonicalize()
        .with_context(|| format!("there is no {}", file.display()))?;
    match path.parent() {
        Some(parent) if path.is_file() => Ok(parent.to_owned()),
        _ => Ok(path),
    }
}

/// The Spirit of this name, or the only one that has Lore.
fn only(manifests: &Manifests, name: Option<&str>) -> Result<String> {
    let all = || {
        let names: Vec<&str> = manifests.spirits.keys().map(String::as_str).collect();
        match names.join(", ") {
            none if none.is_empty() => "there is none".to_owned(),
            names => format!("there are {names}"),
        }
    };
    if let Some(name) = name {
        if manifests.spirits.contains_key(name) {
            return Ok(name.to_owned());
        }
        // Why it is not there, if something is wrong with it.
        for problem in &manifests.problems {
            eprintln!("{problem}");
        }
        bail!(
            "the manifests have no Spirit {name:?}: {}; name them with -f",
            all()
        );
    }
    let with_lore = manifests
        .spirits
        .iter()
        .filter(|(_, spirit)| spirit.spec.lore.is_some());
    let names: Vec<&String> = with_lore.map(|(name, _)| name).collect();
    match names[..] {
        [name] => Ok(name.clone()),
        _ => bail!("name the Spirit with --spirit: {}", all()),
    }
}

fn reach_at(store: &mut CompiledLoreStore, at: &str) -> Result<()> {
    match store {
        CompiledLoreStore::Qdrant(collection) | CompiledLoreStore::Weaviate(collection) => {
            at.clone_into(&mut collection.url);
        }
        CompiledLoreStore::Pinecone { url, .. } => at.clone_into(url),
        CompiledLoreStore::Pgvector { .. } | CompiledLoreStore::Embedded => {
            bail!(
                "--store-url is for stores that are reached by HTTP; a PostgreSQL's URL is in its Secret"
            )
        }
    }
    Ok(())
}

/// A Secret's value, by the name of a variable: upper case, with `_` for what is neither letter nor digit.
fn from_environment(name: &str, key: &str) -> Option<SecretString> {
    let word = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect()
    };
    let variable = format!("EYWA_SECRET_{}_{}", word(name), word(key));
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
        .map(SecretString::from)
}
