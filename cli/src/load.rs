//! From a folder of manifests to what a runtime runs, by the same checks and the same `compile` as a cluster's.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result};
use eywa_crds::{
    compile::{self, DefaultStores, Defaults},
    manifest::{ManifestProblem, Manifests},
    runtime_config::{IngestConfig, RedisUrls, RuntimeConfig},
};
use eywa_guard::Policy;

/// A folder, read and compiled.
pub(crate) struct Loaded {
    pub(crate) manifests: Manifests,
    /// What each Spirit that has voices runs, by its name. Only those without problems.
    pub(crate) configs: BTreeMap<String, RuntimeConfig>,
    /// The Lore of each Spirit that has any, with voices or without.
    pub(crate) lore: BTreeMap<String, IngestConfig>,
    /// Everything that is wrong, with its file and line.
    pub(crate) problems: Vec<ManifestProblem>,
}

/// Reads a folder.
pub(crate) fn read(dir: &Path) -> Result<Manifests> {
    Manifests::read(dir).with_context(|| {
        format!(
            "{} cannot be read; name the folder that your Spirit's YAML is in",
            dir.display()
        )
    })
}

/// Compiles what was read. `services` are the Conduits' servers that run on this machine.
pub(crate) fn compile(
    manifests: Manifests,
    namespace: &str,
    defaults: &Defaults,
    services: &[(String, SocketAddr)],
) -> Loaded {
    let mut surroundings = manifests.surroundings(namespace, defaults.clone());
    surroundings.services = services
        .iter()
        .map(|(name, address)| (name.clone(), address.to_string()))
        .collect();
    let mut problems = manifests.problems.clone();
    let mut configs = BTreeMap::new();
    let mut lore = BTreeMap::new();
    for (name, spirit) in &manifests.spirits {
        let compiled = compile::compile(name, &spirit.spec, &surroundings);
        if let Some(ingest) = compiled.as_ref().ok().and_then(IngestConfig::of) {
            lore.insert(name.clone(), ingest);
        }
        match compiled {
            Ok(config) if config.front().is_some_and(|front| !front.voices.is_empty()) => {
                configs.insert(name.clone(), config);
            }
            Ok(_) => {}
            Err(wrong) => problems.extend(wrong.iter().map(|problem| manifests.locate(problem))),
        }
    }
    Loaded {
        manifests,
        configs,
        lore,
        problems,
    }
}

/// What `eywa up` decides for every Spirit: state in this process, and loopback within reach.
pub(crate) fn local_defaults() -> Defaults {
    let network = Policy {
        loopback: true,
        ..Policy::default()
    };
    Defaults {
        network,
        stores: DefaultStores::Embedded,
    }
}

/// What a cluster with the chart's own values decides.
pub(crate) fn cluster_defaults() -> Defaults {
    let stores = DefaultStores::Redis(RedisUrls::Plain("redis://the-charts-own".to_owned()));
    Defaults {
        network: Policy::default(),
        stores,
    }
}
