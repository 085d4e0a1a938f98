//! The Spirits of the folder: loading them, and loading them again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, bail};
use eywa_crds::{
    compile::{Defaults, conduit_service_name},
    runtime_config::{CompiledChannel, RuntimeConfig, SecretFile},
};
use eywa_runtime::{
    metrics::Metrics,
    roster::Roster,
    secrets::{HeldSecrets, Secrets as _},
    wiring::{Shared, Stores, wire},
};
use eywa_weave::SpiritName;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    GRACE,
    lore::Librarian,
    rites::Board,
    servers::{self, Server},
    stores::Kept,
    vigils::Files,
};
use crate::{
    discovery::{self, Announced, DeskReach, Reach, Running},
    load::{self, Loaded},
};

/// The namespace that the objects are taken to be in.
pub(super) const NAMESPACE: &str = "default";

/// All that runs, and what it was made from.
pub(super) struct Household {
    dir: PathBuf,
    url: String,
    desk: DeskReach,
    roster: Roster,
    defaults: Defaults,
    shared: Shared,
    kept: Kept,
    librarian: Librarian,
    /// What each Spirit's stores are, so that a reload goes on with the same Bonds.
    stores: BTreeMap<String, Stores>,
    running: BTreeMap<String, Recipe>,
    servers: BTreeMap<String, Server>,
    vigils: Files,
    rites: Board,
    announced: Option<Announced>,
}

/// What a Spirit was wired from.
struct Recipe {
    config: RuntimeConfig,
    secrets: HeldSecrets,
}

impl Recipe {
    fn is(&self, config: &RuntimeConfig, secrets: &HeldSecrets) -> bool {
        self.config == *config && same(&self.secrets, secrets)
    }
}

impl Household {
    pub(super) fn new(
        dir: PathBuf,
        data: &Path,
        url: String,
        desk: DeskReach,
        roster: Roster,
        metrics: Metrics,
        defaults: Defaults,
    ) -> Result<Self> {
        let kept = Kept::open(data)?;
        Ok(Self {
            dir,
            url,
            desk,
            roster,
            shared: Shared::new(defaults.network.clone(), metrics).with_lore(kept.lore()),
            defaults,
            kept,
            librarian: Librarian::new()?,
            stores: BTreeMap::new(),
            running: BTreeMap::new(),
            servers: BTreeMap::new(),
            vigils: Files::default(),
            rites: Board::default(),
            announced: None,
        })
    }

    /// Loads the folder for the first time.
    pub(super) async fn load(&mut self) -> Result<()> {
        let loaded = self.read().await?;
        if !loaded.problems.is_empty() {
            for problem in &loaded.problems {
                eprintln!("{problem}");
            }
            bail!("{} problem(s); nothing was started", loaded.problems.len());
        }
        for ignored in &loaded.manifests.ignored {
            eprintln!("note: {ignored} is not of a kind that Eywa runs; it is left out");
        }
        self.apply(loaded).await
    }

    /// Loads the folder again. What is wrong is told, and what ran before goes on.
    pub(super) async fn reload(&mut self) {
        let applied = match self.read().await {
            Ok(loaded) if loaded.problems.is_empty() => self.apply(loaded).await,
            Ok(loaded) => {
                for problem in &loaded.problems {
                    eprintln!("{problem}");
                }
                eprintln!(
                    "{} problem(s); what ran before the edit goes on",
                    loaded.problems.len()
                );
                return;
            }
            Err(error) => Err(error),
        };
        if let Err(error) = applied {
            eprintln!("error: {error:#}; what ran before the edit goes on");
        }
    }

    /// Ends what does not end by itself.
    pub(super) async fn stop(&mut self) {
        self.announced = None;
        self.librarian.stop();
        for server in std::mem::take(&mut self.servers).into_values() {
            server.stop().await;
        }
    }

    async fn read(&mut self) -> Result<Loaded> {
        let mut manifests = load::read(&self.dir)?;
        let (wanted, missing) = servers::recipes(&manifests);
        manifests.problems.extend(missing);
        // Before compiling, which needs their addresses; nothing is started for a folder that is unsound.
        if manifests.problems.is_empty() {
            let stale: Vec<String> = self
                .servers
                .iter()
                .filter(|(name, server)| wanted.get(*name) != Some(&server.recipe))
                .map(|(name, _)| name.clone())
                .collect();
            for name in stale {
                if let Some(server) = self.servers.remove(&name) {
                    server.stop().await;
                }
            }
            for (name, recipe) in wanted {
                if !self.servers.contains_key(&name) {
                    let server = Server::start(&name, recipe, &self.dir)?;
                    self.servers.insert(name, server);
                }
            }
        }
        let services: Vec<(String, SocketAddr)> = self
            .servers
            .iter()
            .map(|(name, server)| (conduit_service_name(name), server.address))
            .collect();
        Ok(load::compile(
            manifests,
            NAMESPACE,
            &self.defaults,
            &services,
        ))
    }

    async fn apply(&mut self, loaded: Loaded) -> Result<()> {
        let Loaded {
            manifests,
            configs,
            lore,
            ..
        } = loaded;
        self.vigils.set(&manifests.vigils).await;
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|name| !configs.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            self.running.remove(&name);
            self.retire(&name);
            println!("spirit    {name} is gone");
        }
        for (name, config) in configs {
            let secrets = held(config.secret_files(), &manifests.secrets);
            if self
                .running
                .get(&name)
                .is_some_and(|recipe| recipe.is(&config, &secrets))
            {
                continue;
            }
            let stores = self
                .stores
                .entry(name.clone())
                .or_insert_with(|| self.kept.stores(&name))
                .clone();
            let wired = wire(&config, &secrets, stores, &self.shared)?;
            let serving = wired.serving.clone();
            serving.tend();
            let ledger = wired.ledger(Arc::new(self.rites.clone()));
            serving.keep_rites(ledger, self.rites.follow(&name).await);
            let changes = self.vigils.follow(&name).await;
            serving.keep_vigils(wired.rota(Arc::new(self.vigils.clone())), changes);
            let again = self.running.contains_key(&name);
            if let Some(before) = self.roster.enlist(serving) {
                tokio::spawn(async move { before.retire(GRACE).await });
            }
            if again {
                println!("spirit    {name} runs as edited");
            } else {
                self.introduce(&config);
            }
            self.running.insert(name, Recipe { config, secrets });
        }
        self.librarian.keep(lore, &manifests, &self.shared);
        match &self.announced {
            Some(announced) => announced.update(&self.reach()),
            None => {
                self.announced = Some(discovery::announce(&self.reach())?);
                Ok(())
            }
        }
    }

    fn retire(&self, name: &str) {
        if let Some(before) = self.roster.dismiss(&SpiritName::from(name)) {
            tokio::spawn(async move { before.retire(GRACE).await });
        }
    }

    fn introduce(&self, config: &RuntimeConfig) {
        let name = &config.front;
        println!("spirit    {name}");
        for voice in config.front().iter().flat_map(|front| &front.voices) {
            match &voice.channel {
                CompiledChannel::Http(_) => {
                    println!(
                        "  voice   {}: POST {}/spirits/{name}/pulses, or: eywa chat {name}",
                        voice.name, self.url
                    );
                }
                CompiledChannel::Whatsapp(_) => {
                    println!(
                        "  voice   {}: webhook {}/voices/{name}/{}",
                        voice.name, self.url, voice.name
                    );
                }
            }
        }
    }

    /// How `eywa chat` reaches the Spirits.
    fn reach(&self) -> Running {
        let spirits =
            self.running.iter().filter_map(|(name, recipe)| {
                let (voice, http) = recipe.config.front()?.voices.iter().find_map(|voice| {
                    match &voice.channel {
                        CompiledChannel::Http(http) => Some((&voice.name, http)),
                        CompiledChannel::Whatsapp(_) => None,
                    }
                })?;
                let key = recipe
                    .secrets
                    .get(&http.signing_key)
                    .ok()?
                    .expose_secret()
                    .to_owned();
                Some((
                    name.clone(),
                    Reach {
                        voice: voice.clone(),
                        key,
                    },
                ))
            });
        Running {
            pid: std::process::id(),
            url: self.url.clone(),
            spirits: spirits.collect(),
            desk: Some(self.desk.clone()),
        }
    }
}

/// The secrets that a configuration needs.
pub(super) fn held(
    needed: BTreeSet<SecretFile>,
    secrets: &BTreeMap<String, BTreeMap<String, SecretString>>,
) -> HeldSecrets {
    HeldSecrets(
        needed
            .into_iter()
            .filter_map(|file| {
                Some((
                    file.clone(),
                    secrets.get(&file.name)?.get(&file.key)?.clone(),
                ))
            })
            .collect(),
    )
}

/// Whether two hold the same values.
pub(super) fn same(one: &HeldSecrets, other: &HeldSecrets) -> bool {
    let plain = |held: &HeldSecrets| -> Vec<(SecretFile, String)> {
        held.0
            .iter()
            .map(|(file, value)| (file.clone(), value.expose_secret().to_owned()))
            .collect()
    };
    plain(one) == plain(other)
}
