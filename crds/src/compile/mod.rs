//! Compiling a Spirit: resolving what it refers to, checking it, and rendering the runtime's configuration.
//!
//! It is one pure function, [`compile`], which the operator, `eywa up` and `eywa validate` share: what one of them
//! accepts, all do. It reads no secret values, only which keys there are.

mod address;
mod problem;
mod references;

use std::collections::{BTreeMap, BTreeSet};

use eywa_guard::Policy;
use kube::ResourceExt;
use serde_json::Value;

use self::{address::Addresses, problem::Problems};
pub use self::{
    problem::{ConditionType, Problem, ProblemReason},
    references::{conduit_secrets, referenced_conduits, referenced_config_maps, referenced_secrets, referenced_spirits},
};
use crate::{
    conduit::Conduit,
    expression::When,
    reference::{ConfigMapKeyRef, HeaderFrom, SecretKeyRef},
    runtime_config::{
        CompiledAction, CompiledChannel, CompiledConduit, CompiledHttp, CompiledOracle, CompiledScout, CompiledSpirit,
        CompiledVoice, CompiledWhatsApp, OpenaiOracle, RUNTIME_CONFIG_VERSION, RedisUrls, RuntimeConfig, ScriptedOracle,
        SecretFile, SecretHeader, StoresConfig,
    },
    script::{CompiledScript, Script},
    spirit::{Action, ConduitUse, Oracle, Provider, Scout, Spirit, SpiritSpec, Voice, WhatsAppVoice},
    template::{Template, Vocabulary},
};

/// Where OpenAI itself is, when no other server is named.
const OPENAI_URL: &str = "https://api.openai.com/v1";

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
/// Everything that is wrong, in the order of the spec's fields.
pub fn compile(name: &str, spec: &SpiritSpec, around: &Surroundings) -> Result<RuntimeConfig, Vec<Problem>> {
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
    let routes = spec.pathfinder.iter().flat_map(|pathfinder| &pathfinder.routes);
    for (index, route) in routes.enumerate() {
        if let Err(error) = When::parse(&route.when) {
            let field = format!("spec.pathfinder.routes[{index}].when");
            problems.push(field, ProblemReason::ExpressionInvalid, format!("{:?}: {error}", route.when));
        }
        if spirits.contains_key(&route.spirit) || route.spirit == name {
            continue;
        }
        match around.spirits.get(&route.spirit) {
            None => problems.push(
                format!("spec.pathfinder.routes[{index}].spirit"),
                ProblemReason::SpiritNotFound,
                format!("there is no Spirit {:?} in this namespace; create it, or take the route out", route.spirit),
            ),
            Some(routed) => match SpiritCompiler::new(&route.spirit, around, &addresses).routed(routed) {
                Ok(compiled) => {
                    spirits.insert(route.spirit.clone(), compiled);
                }
                Err(found) => problems.extend(found),
            },
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
pub fn compile_spirit(spirit: &Spirit, around: &Surroundings) -> Result<RuntimeConfig, Vec<Problem>> {
    compile(&spirit.name_any(), &spirit.spec, around)
}

/// Checks a Conduit by itself, and says where and how it is reached. All of its tools are used.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile_conduit(conduit: &Conduit, around: &Surroundings) -> Result<CompiledConduit, Vec<Problem>> {
    let addresses = Addresses::new(around, network(around));
    let uses = vec!["*".to_owned()];
    resolve_conduit(&conduit.name_any(), conduit, uses, around, &addresses, ConditionType::Accepted)
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

fn stores(spec: &SpiritSpec, around: &Surroundings, problems: &mut Problems) -> Option<StoresConfig> {
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
    Some(StoresConfig::Redis { urls })
}

/// Reports the secrets that are not there, once per Secret, with the keys it must have.
fn check_secrets(needed: impl Iterator<Item = (String, SecretKeyRef)>, around: &Surroundings, problems: &mut Problems) {
    let mut absent: Vec<(String, String, Vec<String>)> = Vec::new();
    for (field, reference) in needed {
        match around.secrets.get(&reference.name) {
            Some(keys) if keys.contains(&reference.key) => {}
            Some(_) => problems.push(
                field,
                ProblemReason::SecretKeyMissing,
                format!("Secret {:?} has no key {:?}; add it", reference.name, reference.key),
            ),
            None => match absent.iter_mut().find(|(_, name, _)| *name == reference.name) {
                Some((_, _, keys)) if keys.contains(&reference.key) => {}
                Some((_, _, keys)) => keys.push(reference.key),
                None => absent.push((field, reference.name, vec![reference.key])),
            },
        }
    }
    for (field, name, keys) in absent {
        let noun = if keys.len() == 1 { "key" } else { "keys" };
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        problems.push(
            field,
            ProblemReason::SecretNotFound,
            format!("there is no Secret {name:?} in this namespace; create it with the {noun} {}", keys.join(", ")),
        );
    }
}

fn secret_headers(headers: &[HeaderFrom]) -> Vec<SecretHeader> {
    headers
        .iter()
        .map(|header| SecretHeader {
            name: header.name.clone(),
            value: SecretFile::from(&header.secret_ref),
        })
        .collect()
}

fn resolve_conduit(
    name: &str,
    conduit: &Conduit,
    uses: Vec<String>,
    around: &Surroundings,
    addresses: &Addresses<'_>,
    condition: ConditionType,
) -> Result<CompiledConduit, Vec<Problem>> {
    let mut problems = Problems::of("Conduit", name, condition);
    let spec = &conduit.spec;
    let (field, written) = match (&spec.url, &spec.server) {
        (Some(url), None) => ("spec.url", url.clone()),
        (None, Some(server)) => {
            let service = conduit_service_name(name);
            ("spec.server", format!("http://{service}:{}{}", server.port, server.path))
        }
        _ => {
            problems.push("spec", ProblemReason::SpecInvalid, "exactly one of url and server is needed");
            return Err(problems.into_found());
        }
    };
    let url = match addresses.url(&written) {
        Ok(url) => url,
        Err((reason, message)) => {
            problems.push(field, reason, message);
            written
        }
    };
    check_secrets(references::headers("spec.headersFrom", &spec.headers_from), around, &mut problems);
    let found = problems.into_found();
    if !found.is_empty() {
        return Err(found);
    }
    Ok(CompiledConduit {
        name: name.to_owned(),
        url,
        headers: secret_headers(&spec.headers_from),
        tools: spec.tools.clone(),
        uses,
        timeout: spec.timeout,
    })
}

/// Compiles one Spirit of a configuration.
struct SpiritCompiler<'a> {
    name: &'a str,
    around: &'a Surroundings,
    addresses: &'a Addresses<'a>,
    problems: Problems,
}

impl<'a> SpiritCompiler<'a> {
    fn new(name: &'a str, around: &'a Surroundings, addresses: &'a Addresses<'a>) -> Self {
        Self {
            name,
            around,
            addresses,
            problems: Problems::of("Spirit", name, ConditionType::Accepted),
        }
    }

    /// The Spirit whose Voices are served.
    fn front(mut self, spec: &SpiritSpec) -> Result<CompiledSpirit, Vec<Problem>> {
        let embedded = self.around.defaults.stores == DefaultStores::Embedded;
        let serving = references::serving_secrets(spec).filter(|(field, _)| !(embedded && field.starts_with("spec.stores")));
        check_secrets(references::answering_secrets(spec).chain(serving), self.around, &mut self.problems);
        let voices = spec.voices.iter().enumerate().filter_map(|(index, voice)| self.voice(index, voice)).collect();
        let mut compiled = self.answering(spec);
        compiled.voices = voices;
        compiled.pathfinder = spec.pathfinder.clone();
        self.finish(compiled)
    }

    /// A Spirit that is routed to: it answers, and is served by the front Spirit's Voices.
    fn routed(mut self, spec: &SpiritSpec) -> Result<CompiledSpirit, Vec<Problem>> {
        check_secrets(references::answering_secrets(spec), self.around, &mut self.problems);
        let compiled = self.answering(spec);
        self.finish(compiled)
    }

    fn finish(self, compiled: CompiledSpirit) -> Result<CompiledSpirit, Vec<Problem>> {
        let found = self.problems.into_found();
        if found.is_empty() { Ok(compiled) } else { Err(found) }
    }

    fn answering(&mut self, spec: &SpiritSpec) -> CompiledSpirit {
        let persona = self.persona(spec);
        let oracles = references::oracles(spec).filter_map(|(field, oracle)| self.oracle(&field, oracle)).collect();
        let scouts = spec.scouts.iter().enumerate().map(|(index, scout)| self.scout(index, scout)).collect();
        let actions = spec.actions.iter().enumerate().map(|(index, action)| self.action(index, action)).collect();
        let conduits = spec.conduits.iter().enumerate().filter_map(|(index, used)| self.conduit(index, used)).collect();
        CompiledSpirit {
            name: self.name.to_owned(),
            persona,
            oracles,
            limits: spec.limits.clone(),
            voices: Vec::new(),
            bond: spec.bond.clone(),
            scouts,
            actions,
            conduits,
            pathfinder: None,
            vigil: spec.vigil.clone(),
        }
    }

    fn persona(&mut self, spec: &SpiritSpec) -> String {
        let (field, text) = match (&spec.persona.text, &spec.persona.config_map_ref) {
            (Some(text), None) => ("spec.persona.text", Some(text.clone())),
            (None, Some(reference)) => {
                let field = "spec.persona.configMapRef";
                (field, self.config_map_value(field, reference))
            }
            _ => {
                self.problems.push(
                    "spec.persona",
                    ProblemReason::SpecInvalid,
                    "exactly one of text and configMapRef is needed",
                );
                return String::new();
            }
        };
        let Some(text) = text else {
            return String::new();
        };
        if let Err(error) = Template::parse(&text, Vocabulary::PERSONA) {
            self.problems.push(field, ProblemReason::TemplateInvalid, error.to_string());
        }
        text
    }

    fn config_map_value(&mut self, field: &str, reference: &ConfigMapKeyRef) -> Option<String> {
        let ConfigMapKeyRef { name, key } = reference;
        let value = match self.around.config_maps.get(name) {
            None => Err((
                ProblemReason::ConfigMapNotFound,
                format!("there is no ConfigMap {name:?} in this namespace; create it with the key {key:?}"),
            )),
            Some(data) => data.get(key).cloned().ok_or_else(|| {
                let message = format!("ConfigMap {name:?} has no key {key:?}; add it");
                (ProblemReason::ConfigMapKeyMissing, message)
            }),
        };
        self.noting(field, value)
    }

    /// Notes what is wrong, and gives what is right.
    fn noting<T>(&mut self, field: &str, result: Result<T, (ProblemReason, String)>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err((reason, message)) => {
                self.problems.push(field, reason, message);
                None
            }
        }
    }

    fn url(&mut self, field: &str, written: &str) -> String {
        let checked = self.addresses.url(written);
        self.noting(field, checked).unwrap_or_default()
    }

    fn url_template(&mut self, field: &str, written: &str, vocabulary: Vocabulary) -> String {
        let checked = self.addresses.template(written, vocabulary);
        self.noting(field, checked).unwrap_or_default()
    }

    fn oracle(&mut self, field: &str, oracle: &Oracle) -> Option<CompiledOracle> {
        match oracle.provider {
            Provider::Openai => {
                let base_url = self.url(&format!("{field}.baseUrl"), oracle.base_url.as_deref().unwrap_or(OPENAI_URL));
                let Some(model) = oracle.model.clone() else {
                    self.problems.push(
                        format!("{field}.model"),
                        ProblemReason::SpecInvalid,
                        "model is needed for provider openai",
                    );
                    return None;
                };
                Some(CompiledOracle::Openai(OpenaiOracle {
                    model,
                    base_url,
                    api_key: oracle.api_key.as_ref().map(|key| SecretFile::from(&key.secret_ref)),
                    temperature: oracle.temperature,
                    max_tokens: oracle.max_tokens,
                    timeout: oracle.timeout,
                }))
            }
            Provider::Scripted => {
                let script = self.script(field, oracle)?;
                Some(CompiledOracle::Scripted(ScriptedOracle {
                    model: oracle.model.clone().unwrap_or_else(|| "scripted".to_owned()),
                    script,
                    timeout: oracle.timeout,
                }))
            }
        }
    }

    fn script(&mut self, field: &str, oracle: &Oracle) -> Option<Script> {
        let field = format!("{field}.script");
        let Some(source) = &oracle.script else {
            self.problems.push(field, ProblemReason::SpecInvalid, "script is needed for provider scripted");
            return None;
        };
        let (field, script) = match (&source.config_map_ref, source.inline()) {
            (Some(reference), None) => {
                let field = format!("{field}.configMapRef");
                let text = self.config_map_value(&field, reference)?;
                let read = Script::from_yaml(&text).map_err(|error| (ProblemReason::ScriptInvalid, error));
                let script = self.noting(&field, read)?;
                (field, script)
            }
            (None, Some(script)) => (field, script),
            _ => {
                self.problems.push(
                    field,
                    ProblemReason::SpecInvalid,
                    "exactly one of configMapRef and rules is needed",
                );
                return None;
            }
        };
        match CompiledScript::compile(&script) {
            Ok(_) => Some(script),
            Err(found) => {
                for problem in found {
                    let place = format!("{field}.{}", problem.path);
                    self.problems.push(place, ProblemReason::ScriptInvalid, problem.reason);
                }
                None
            }
        }
    }

    fn voice(&mut self, index: usize, voice: &Voice) -> Option<CompiledVoice> {
        let field = format!("spec.voices[{index}]");
        let channel = match (&voice.whatsapp, &voice.http) {
            (Some(whatsapp), None) => {
                let graph_url = self.url(&format!("{field}.whatsapp.graphUrl"), &whatsapp.graph_url);
                let [access_token, app_secret, verify_token] = WhatsAppVoice::SECRET_KEYS.map(|key| SecretFile {
                    name: whatsapp.secret_ref.name.clone(),
                    key: key.to_owned(),
                });
                CompiledChannel::Whatsapp(CompiledWhatsApp {
                    phone_number_id: whatsapp.phone_number_id.clone(),
                    graph_url,
                    access_token,
                    app_secret,
                    verify_token,
                })
            }
            (None, Some(http)) => {
                let reply_url = http.reply_url.as_deref();
                CompiledChannel::Http(CompiledHttp {
                    signing_key: SecretFile::from(&http.secret_ref),
                    reply_url: reply_url.map(|url| self.url(&format!("{field}.http.replyUrl"), url)),
                })
            }
            _ => {
                self.problems.push(
                    field,
                    ProblemReason::SpecInvalid,
                    "exactly one of whatsapp and http is needed",
                );
                return None;
            }
        };
        Some(CompiledVoice {
            name: voice.name.clone(),
            channel,
        })
    }

    fn scout(&mut self, index: usize, scout: &Scout) -> CompiledScout {
        let field = format!("spec.scouts[{index}]");
        let url = self.url_template(&format!("{field}.http.url"), &scout.http.url, Vocabulary::SCOUT_URL);
        if let Some(Err(error)) = scout.when.as_deref().map(When::parse) {
            self.problems.push(format!("{field}.when"), ProblemReason::ExpressionInvalid, error.to_string());
        }
        CompiledScout {
            name: scout.name.clone(),
            url,
            headers: secret_headers(&scout.http.headers_from),
            timeout: scout.timeout,
            when: scout.when.clone(),
        }
    }

    fn action(&mut self, index: usize, action: &Action) -> CompiledAction {
        let field = format!("spec.actions[{index}]");
        let url = self.url_template(&format!("{field}.http.url"), &action.http.url, Vocabulary::ACTION_URL);
        let checked = check_parameters(action);
        self.noting(&format!("{field}.parameters"), checked);
        CompiledAction {
            name: action.name.clone(),
            description: action.description.clone(),
            parameters: action.parameters.clone(),
            method: action.http.method,
            url,
            headers: secret_headers(&action.http.headers_from),
            timeout: action.timeout,
        }
    }

    fn conduit(&mut self, index: usize, used: &ConduitUse) -> Option<CompiledConduit> {
        let Some(conduit) = self.around.conduits.get(&used.name) else {
            self.problems.push(
                format!("spec.conduits[{index}].name"),
                ProblemReason::ConduitNotFound,
                format!("there is no Conduit {:?} in this namespace; create it", used.name),
            );
            return None;
        };
        let resolved = resolve_conduit(
            &used.name,
            conduit,
            used.tools.clone(),
            self.around,
            self.addresses,
            ConditionType::ConduitsReady,
        );
        match resolved {
            Ok(compiled) => Some(compiled),
            Err(found) => {
                self.problems.extend(found);
                None
            }
        }
    }
}

fn check_parameters(action: &Action) -> Result<(), (ProblemReason, String)> {
    let invalid = |message: String| Err((ProblemReason::SchemaInvalid, message));
    if action.parameters.get("type").and_then(Value::as_str) != Some("object") {
        return invalid("a tool's parameters are a JSON Schema of an object: add type: object".to_owned());
    }
    match jsonschema::validator_for(&Value::Object(action.parameters.clone())) {
        Ok(_) => Ok(()),
        Err(error) => invalid(format!("it is not a JSON Schema: {}: {error}", error.instance_path())),
    }
}
