//! Compiling a Spirit: resolving what it refers to, checking it, and rendering the runtime's configuration.
//!
//! It is one pure function, [`compile`], which the operator, `eywa up` and `eywa validate` share: what one of them
//! accepts, all do. It reads no secret values, only which keys there are.

mod address;
mod cloud;
mod conduit;
mod google;
mod lore;
mod pathfinder;
mod problem;
mod references;
mod secrets;
mod spirit;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use eywa_guard::Policy;
use kube::ResourceExt;

use self::{
    address::Addresses, conduit::resolve_conduit, problem::Problems, spirit::SpiritCompiler,
};
pub use self::{
    pathfinder::MOST_SPIRITS,
    problem::{ConditionType, Problem, ProblemReason},
    references::{
        conduit_secrets, referenced_conduits, referenced_config_maps, referenced_documents,
        referenced_secrets, referenced_spirits,
    },
};
use crate::{
    conduit::Conduit,
    runtime_config::{
        CompiledConduit, CompiledMongo, IngestConfig, RUNTIME_CONFIG_VERSION, RedisUrls,
        RuntimeConfig, SecretFile, StoresConfig,
    },
    spirit::{Spirit, SpiritSpec},
};

/// What a Spirit may refer to, as far as it is there. All of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Their namespace.
    pub namespace: String,
    /// Spirits by name.
    pub spirits: BTreeMap<String, SpiritSpec>,
    /// ConfigMaps by name, with their data.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Secrets by name, with their keys. Never their values.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// Conduits by name.
    pub conduits: BTreeMap<String, Conduit>,
    /// Services that are not in the cluster, by name, with their address (`127.0.0.1:40001`): `eywa up` runs the servers of
    /// Conduits as processes of its own, named as their Service would be by [`conduit_service_name`].
    pub services: BTreeMap<String, String>,
    /// What the cluster's admin, or `eywa up`, decided for every Spirit.
    pub defaults: Defaults,
}

/// What is decided for every Spirit, not by it.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Where requests may go. Its namespace is set by [`compile`].
    pub network: Policy,
    /// Where state is kept.
    pub stores: DefaultStores,
}

/// Where state is kept, as far as the Spirit has no say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultStores {
    /// Only where Spirits say: one that does not cannot be run.
    #[default]
    None,
    /// In this Redis, unless the Spirit names its own. A secret is taken as being there.
    Redis(RedisUrls),
    /// In this process, whatever the Spirit says.
    Embedded,
}

/// Name of the Service, and the Deployment, of a Conduit whose server is run for it.
#[must_use]
pub fn conduit_service_name(conduit: &str) -> String {
    format!("{conduit}-conduit")
}

/// Compiles a Spirit.
///
/// # Errors
/// Everything that is wrong, not only the first of it.
pub fn compile(
    name: &str,
    spec: &SpiritSpec,
    around: &Surroundings,
) -> Result<RuntimeConfig, Vec<Problem>> {
    let addresses = Addresses::new(around, network(around));
    let mut problems = Problems::of("Spirit", name, ConditionType::Accepted);
    let front = SpiritCompiler::new(name, around, &addresses).front(spec);
    let mut spirits = BTreeMap::new();
    match front {
        Ok(front) => {
            spirits.insert(name.to_owned(), front);
        }
        Err(found) => problems.extend(found),
    }
    pathfinder::routed(name, spec, &addresses, &mut spirits, &mut problems);
    let stores = stores(spec, around, &addresses, &mut problems);
    let mut found = problems.into_found();
    match stores {
        Some(stores) if found.is_empty() => Ok(RuntimeConfig {
            version: RUNTIME_CONFIG_VERSION,
            namespace: around.namespace.clone(),
            front: name.to_owned(),
            spirits,
            stores,
            network: addresses.into_network(),
        }),
        _ => {
            // Two routes to one unsound Spirit tell of it once.
            let mut seen = BTreeSet::new();
            found.retain(|problem| seen.insert(problem.to_string()));
            Err(found)
        }
    }
}

/// Compiles a Spirit's Lore by itself, for those that bring documents into it and need nothing else of the Spirit; none
/// where it has no Lore.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile_lore(
    name: &str,
    spec: &SpiritSpec,
    around: &Surroundings,
) -> Result<Option<IngestConfig>, Vec<Problem>> {
    let addresses = Addresses::new(around, network(around));
    let lore = SpiritCompiler::new(name, around, &addresses).lore_alone(spec)?;
    Ok(lore.map(|lore| IngestConfig {
        version: RUNTIME_CONFIG_VERSION,
        namespace: around.namespace.clone(),
        spirit: name.to_owned(),
        lore,
        network: addresses.into_network(),
    }))
}

/// Compiles a Spirit as it came from the API server.
///
/// # Errors
/// As [`compile`].
pub fn compile_spirit(
    spirit: &Spirit,
    around: &Surroundings,
) -> Result<RuntimeConfig, Vec<Problem>> {
    compile(&spirit.name_any(), &spirit.spec, around)
}

/// Checks a Conduit by itself, and says where and how it is reached. All of its tools are used.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile_conduit(
    conduit: &Conduit,
    around: &Surroundings,
) -> Result<CompiledConduit, Vec<Problem>> {
    let addresses = Addresses::new(around, network(around));
    let uses = vec!["*".to_owned()];
    resolve_conduit(
        &conduit.name_any(),
        conduit,
        uses,
        around,
        &addresses,
        ConditionType::Accepted,
    )
}

fn network(around: &Surroundings) -> Policy {
    let mut network = around.defaults.network.clone();
    // `eywa up` has no cluster, and so no Services to reach.
    network.namespace = match around.defaults.stores {
        DefaultStores::Embedded => None,
        _ => Some(around.namespace.clone()),
    };
    network
}

fn stores(
    spec: &SpiritSpec,
    around: &Surroundings,
    addresses: &Addresses<'_>,
    problems: &mut Problems,
) -> Option<StoresConfig> {
    let urls = match (&around.defaults.stores, &spec.stores) {
        (DefaultStores::Embedded, _) => return Some(StoresConfig::Embedded),
        (_, Some(stores)) => RedisUrls::Secret(SecretFile::from(&stores.redis.urls.secret_ref)),
        (DefaultStores::Redis(urls), None) => urls.clone(),
        (DefaultStores::None, None) => {
            problems.push(
                "spec.stores",
                ProblemReason::StoresMissing,
                "no Redis is named: set spec.stores.redis.urls.secretRef, or redis.enabled or redis.urlSecretRef in the chart's values",
            );
            return None;
        }
    };
    let ca = spec
        .stores
        .as_ref()
        .and_then(|stores| stores.redis.ca.as_ref());
    let ca = ca.map(|ca| SecretFile::from(&ca.secret_ref));
    let mongo = spec
        .stores
        .as_ref()
        .and_then(|stores| stores.mongo.as_ref());
    let mongo = mongo.map(|mongo| CompiledMongo {
        url: SecretFile::from(&mongo.url.secret_ref),
        database: mongo.database.clone(),
        retention: mongo.retention,
    });
    let google = spec
        .stores
        .as_ref()
        .and_then(|stores| stores.google.as_ref());
    let tasks = google.and_then(|google| google.tasks.as_ref());
    let storage = google.and_then(|google| google.storage.as_ref());
    Some(StoresConfig::Redis {
        urls,
        ca,
        mongo,
        tasks: tasks.map(|tasks| Box::new(google::tasks(tasks, addresses, problems))),
        storage: storage.map(|storage| Box::new(google::storage(storage, addresses, problems))),
    })
}
