//! Which Lore a command is about: a Spirit's, by its manifest.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use eywa_adapters::redb::{OpenError, Redb};
use eywa_crds::{
    compile::{self, DefaultStores, Defaults, Surroundings, referenced_secrets},
    manifest::Manifests,
    runtime_config::{CompiledLoreStore, IngestConfig, SecretFile},
    spirit::LoreStore,
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
use url::{Host, Url};

use crate::{
    cluster::ClusterFlags,
    load::{self, Allowances},
    up,
};

/// Where a Spirit's manifest is, and its store.
#[derive(Args)]
pub(crate) struct Manifest {
    /// The manifests: a folder, or one file. Secrets that are not among them are taken from the environment: the key
    /// api-key of the Secret openai from EYWA_SECRET_OPENAI_API_KEY.
    #[arg(short, long, value_name = "FILE", default_value = ".")]
    file: PathBuf,
    /// The namespace of Kubernetes that the manifests are for; default, unless given. Also -n before the command: eywa -n
    /// cafe lore …
    #[arg(long, value_name = "NAME")]
    kube_namespace: Option<String>,
    #[command(flatten)]
    allow: Allowances,
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
    /// Opens the Lore of the Spirit of this name, or of the only one. `before` are the options that stood before the
    /// command's name.
    pub(crate) fn open(&self, spirit: Option<&str>, before: ClusterFlags) -> Result<Place> {
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
        let defaults = Defaults {
            stores: if self.local {
                DefaultStores::Embedded
            } else {
                DefaultStores::None
            },
            ..self.allow.on_this_machine()
        };
        let namespace = self.kube_namespace.clone().or(before.namespace);
        let namespace = namespace.as_deref().unwrap_or("default");
        let mut around = manifests.surroundings(namespace, defaults);
        if let Some(lore) = &mut spec.lore {
            // Those that are brought in by themselves need not be here.
            lore.sources.clear();
            if let Some(url) = &self.store_url {
                reach_at(url, &mut lore.store, &mut around)?;
            }
        }
        let config = compile::compile_lore(&spirit, &spec, &around).map_err(|problems| {
            let problems: Vec<String> = problems
                .iter()
                .map(|problem| load::locate(&manifests, problem).to_string())
                .collect();
            anyhow::anyhow!("{}", problems.join("\n"))
        })?;
        let config = config
            .with_context(|| format!("the Spirit {spirit} has no spec.lore: say there where its passages are kept and what embeds them"))?;
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

/// The store is at this URL: so says whoever runs this, and its host is let through for it.
fn reach_at(at: &str, store: &mut LoreStore, around: &mut Surroundings) -> Result<()> {
    let url = Url::parse(at).with_context(|| format!("--store-url {at:?} is not a URL"))?;
    let written = [
        store.qdrant.as_mut().map(|qdrant| &mut qdrant.url),
        store.weaviate.as_mut().map(|weaviate| &mut weaviate.url),
        store.pinecone.as_mut().map(|pinecone| &mut pinecone.url),
    ];
    let Some(written) = written.into_iter().flatten().next() else {
        bail!(
            "--store-url is for stores that are reached by HTTP; a PostgreSQL's URL is in its Secret"
        )
    };
    at.clone_into(written);
    let network = &mut around.defaults.network;
    let mut allow = |address: IpAddr| network.allow_cidrs.push(address.to_canonical().into());
    match url.host() {
        Some(Host::Ipv4(address)) => allow(address.into()),
        Some(Host::Ipv6(address)) => allow(address.into()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_owned();
            // A name without a dot is this machine's to look up, and no Service.
            let port = url.port().map(|port| format!(":{port}"));
            let address = name.clone() + &port.unwrap_or_default();
            around.services.insert(name.clone(), address);
            network.allow_hosts.push(name);
        }
        None => {}
    }
    network.check_url(&url).context("--store-url")?;
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
