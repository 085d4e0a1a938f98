//! From a folder of manifests to what a runtime runs, by the same checks and the same `compile` as a cluster's.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result};
use clap::Args;
use eywa_crds::{
    compile::{self, DefaultStores, Defaults, Problem, ProblemReason},
    manifest::{ManifestProblem, Manifests},
    runtime_config::{IngestConfig, RedisUrls, RuntimeConfig},
};
use eywa_guard::{IpNet, Policy};

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

/// What the admin of a cluster allows beyond what every manifest may point at: the chart's network.allow.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Allowances {
    /// A private network that manifests may point at, as in network.allow.cidrs of the chart; may be repeated.
    #[arg(long = "allow-cidr", value_name = "CIDR", value_delimiter = ',')]
    cidrs: Vec<IpNet>,
    /// A private host that manifests may point at, such as *.shared.svc, as in network.allow.hosts of the chart; may be
    /// repeated.
    #[arg(long = "allow-host", value_name = "HOST", value_delimiter = ',')]
    hosts: Vec<String>,
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
            Err(wrong) => problems.extend(wrong.iter().map(|problem| locate(&manifests, problem))),
        }
    }
    Loaded {
        manifests,
        configs,
        lore,
        problems,
    }
}

/// A problem with its place; and where an allowance would mend it, how that is said here.
pub(crate) fn locate(manifests: &Manifests, problem: &Problem) -> ManifestProblem {
    let mut located = manifests.locate(problem);
    if problem.reason == ProblemReason::AddressNotAllowed
        && problem.message.contains("network.allow")
    {
        located
            .message
            .push_str("; what a cluster allows is said here with --allow-host and --allow-cidr");
    }
    located
}

impl Allowances {
    /// What `eywa up` decides for every Spirit: state in this process, and loopback within reach.
    pub(crate) fn on_this_machine(&self) -> Defaults {
        let network = Policy {
            loopback: true,
            ..self.network()
        };
        Defaults {
            network,
            stores: DefaultStores::Embedded,
        }
    }

    /// What a cluster decides that allows this, and has the chart's own values for the rest.
    pub(crate) fn in_a_cluster(&self) -> Defaults {
        let stores = DefaultStores::Redis(RedisUrls::Plain("redis://the-charts-own".to_owned()));
        Defaults {
            network: self.network(),
            stores,
        }
    }

    fn network(&self) -> Policy {
        Policy {
            allow_cidrs: self.cidrs.clone(),
            allow_hosts: self.hosts.clone(),
            ..Policy::default()
        }
    }
}
