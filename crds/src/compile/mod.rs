//! Compiling a Spirit: resolving what it refers to, checking it, and rendering the runtime's configuration.
//!
//! It is one pure function, [`compile`], which the operator, `eywa up` and `eywa validate` share: what one of them
//! accepts, all do. It reads no secret values, only which keys there are.

mod address;
mod cloud;
mod conduit;
mod problem;
mod references;
mod secrets;
mod spirit;

use std::collections::{BTreeMap, BTreeSet};

use eywa_guard::Policy;
use kube::ResourceExt;

use self::{
    address::Addresses, conduit::resolve_conduit, problem::Problems, spirit::SpiritCompiler,
};
pub use self::{
    problem::{ConditionType, Problem, ProblemReason},
    references::{
        conduit_secrets, referenced_conduits, referenced_config_maps, referenced_secrets,
        referenced_spirits,
    },
};
use crate::{
    conduit::Conduit,
    expression::When,
    runtime_config::{
        CompiledConduit, CompiledMongo, RUNTIME_CONFIG_VERSION, RedisUrls, RuntimeConfig,
        SecretFile, StoresConfig,
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
    let routes = spec
        .pathfinder
        .iter()
        .flat_map(|pathfinder| &pathfinder.routes);
    for (index, route) in routes.enumerate() {
        if let Err(error) = When::parse(&route.when) {
            let field = format!("spec.pathfinder.routes[{index}].when");
            problems.push(
                field,
                ProblemReason::ExpressionInvalid,
                format!("{:?}: {error}", route.when),
            );
        }
        if spirits.contains_key(&route.spirit) || route.spirit == name {
            continue;
        }
        match around.spirits.get(&route.spirit) {
            None => problems.push(
                format!("spec.pathfinder.routes[{index}].spirit"),
                ProblemReason::SpiritNotFound,
                format!(
                    "there is no Spirit {:?} in this namespace; create it, or take the route out",
                    route.spirit
                ),
            ),
            Some(routed) => {
                match SpiritCompiler::new(&route.spirit, around, &addresses).routed(routed) {
                    Ok(compiled) => {
                        spirits.insert(route.spirit.clone(), compiled);
                    }
                    Err(found) => problems.extend(found),
                }
            }
        }
    }
    let stores = stores(spec, around, &mut problems);
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
    Some(StoresConfig::Redis { urls, ca, mongo })
}
