//! Compiling one Spirit of a configuration: each part of its spec, in turn.

use super::{
    ConditionType, DefaultStores, Problem, ProblemReason, Problems, Surroundings,
    address::Addresses, cloud, conduit::resolve_conduit, references, secrets::check_secrets,
};
use crate::{
    conduit::glob_matches,
    expression::When,
    reference::{ConfigMapKeyRef, SecretKeyRef},
    runtime_config::{
        AnthropicOracle, Asked, BedrockAuth, BedrockOracle, CompiledChannel, CompiledConduit,
        CompiledHttp, CompiledNotify, CompiledOracle, CompiledSpirit, CompiledVigil, CompiledVoice,
        CompiledWhatsApp, GeminiOracle, OpenaiOracle, ScriptedOracle, SecretFile, VertexaiOracle,
    },
    script::{CompiledScript, Script},
    spirit::{
        ConduitUse, Oracle, Provider, ShownAttachments, SpiritSpec, VigilSettings, Voice,
        WhatsAppVoice,
    },
    template::{Template, Vocabulary},
};

/// Where Anthropic itself is, when no other server is named.
const ANTHROPIC_URL: &str = "https://api.anthropic.com/v1";

/// Where OpenAI itself is, when no other server is named.
pub(super) const OPENAI_URL: &str = "https://api.openai.com/v1";

/// Compiles one Spirit of a configuration.
pub(super) struct SpiritCompiler<'a> {
    name: &'a str,
    pub(super) around: &'a Surroundings,
    addresses: &'a Addresses<'a>,
    pub(super) problems: Problems,
}

impl<'a> SpiritCompiler<'a> {
    pub(super) fn new(
        name: &'a str,
        around: &'a Surroundings,
        addresses: &'a Addresses<'a>,
    ) -> Self {
        Self {
            name,
            around,
            addresses,
            problems: Problems::of("Spirit", name, ConditionType::Accepted),
        }
    }

    /// The Spirit whose Voices are served.
    pub(super) fn front(mut self, spec: &SpiritSpec) -> Result<CompiledSpirit, Vec<Problem>> {
        let embedded = self.around.defaults.stores == DefaultStores::Embedded;
        let serving = references::serving_secrets(spec)
            .filter(|(field, _)| !(embedded && field.starts_with("spec.stores")));
        check_secrets(
            self.answering_secrets(spec).chain(serving),
            self.around,
            &mut self.problems,
        );
        let voices = spec
            .voices
            .iter()
            .enumerate()
            .filter_map(|(index, voice)| self.voice(index, voice))
            .collect();
        let mut compiled = self.answering(spec);
        compiled.voices = voices;
        compiled.vigil = self.vigil(&spec.vigil);
        self.finish(compiled)
    }

    /// A Spirit that is routed to: it answers, and is served by the front Spirit's Voices.
    pub(super) fn routed(mut self, spec: &SpiritSpec) -> Result<CompiledSpirit, Vec<Problem>> {
        check_secrets(
            self.answering_secrets(spec),
            self.around,
            &mut self.problems,
        );
        let compiled = self.answering(spec);
        self.finish(compiled)
    }

    /// The Secrets that answering needs here: not those of a vector store that is not asked.
    fn answering_secrets<'s>(
        &self,
        spec: &'s SpiritSpec,
    ) -> impl Iterator<Item = references::Reference<SecretKeyRef>> + use<'s> {
        let embedded = self.around.defaults.stores == DefaultStores::Embedded;
        references::answering_secrets(spec)
            .filter(move |(field, _)| !(embedded && field.starts_with("spec.lore.store")))
    }

    fn finish(self, compiled: CompiledSpirit) -> Result<CompiledSpirit, Vec<Problem>> {
        let found = self.problems.into_found();
        if found.is_empty() {
            Ok(compiled)
        } else {
            Err(found)
        }
    }

    fn answering(&mut self, spec: &SpiritSpec) -> CompiledSpirit {
        let persona = self.persona(spec);
        let oracles = references::oracles(spec)
            .filter_map(|(field, oracle)| self.oracle(&field, oracle))
            .collect();
        let scouts = spec
            .scouts
            .iter()
            .enumerate()
            .filter_map(|(index, scout)| self.scout(index, scout))
            .collect();
        let actions = spec
            .actions
            .iter()
            .enumerate()
            .map(|(index, action)| self.action(index, action))
            .collect();
        let conduits = spec
            .conduits
            .iter()
            .enumerate()
            .filter_map(|(index, used)| self.conduit(index, used))
            .collect();
        self.rites(spec);
        let lore = spec.lore.as_ref().and_then(|lore| self.lore(lore));
        let imprint = self.imprint(&spec.imprint);
        let pathfinder = spec.pathfinder.as_ref();
        let pathfinder = pathfinder.map(|pathfinder| self.pathfinder(pathfinder));
        CompiledSpirit {
            lore,
            imprint,
            name: self.name.to_owned(),
            persona,
            oracles,
            limits: spec.limits.clone(),
            voices: Vec::new(),
            bond: spec.bond.clone(),
            scouts,
            actions,
            conduits,
            offer_choices: spec.offer_choices,
            rites: spec.rites.clone(),
            pathfinder,
            memory: spec.memory,
            vigil: CompiledVigil::default(),
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
            self.problems
                .push(field, ProblemReason::TemplateInvalid, error.to_string());
        }
        text
    }

    pub(super) fn config_map_value(
        &mut self,
        field: &str,
        reference: &ConfigMapKeyRef,
    ) -> Option<String> {
        let ConfigMapKeyRef { name, key } = reference;
        let value = match self.around.config_maps.get(name) {
            None => Err((
                ProblemReason::ConfigMapNotFound,
                format!(
                    "there is no ConfigMap {name:?} in this namespace; create it with the key {key:?}"
                ),
            )),
            Some(data) => data.get(key).cloned().ok_or_else(|| {
                let message = format!("ConfigMap {name:?} has no key {key:?}; add it");
                (ProblemReason::ConfigMapKeyMissing, message)
            }),
        };
        self.noting(field, value)
    }

    /// Notes what is wrong, and gives what is right.
    pub(super) fn noting<T>(
        &mut self,
        field: &str,
        result: Result<T, (ProblemReason, String)>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err((reason, message)) => {
                self.problems.push(field, reason, message);
                None
            }
        }
    }

    pub(super) fn url(&mut self, field: &str, written: &str) -> String {
        let checked = self.addresses.url(written);
        self.noting(field, checked).unwrap_or_default()
    }

    pub(super) fn url_template(
        &mut self,
        field: &str,
        written: &str,
        vocabulary: Vocabulary,
    ) -> String {
        let checked = self.addresses.template(written, vocabulary);
        self.noting(field, checked).unwrap_or_default()
    }

    pub(super) fn oracle(&mut self, field: &str, oracle: &Oracle) -> Option<CompiledOracle> {
        match oracle.provider {
            Provider::Anthropic => {
                let base_url = self.base_url(field, oracle, ANTHROPIC_URL);
                Some(CompiledOracle::Anthropic(AnthropicOracle {
                    model: self.model(field, oracle)?,
                    base_url,
                    api_key: key_of(oracle),
                    asked: asked(oracle, ShownAttachments::All),
                    prompt_caching: oracle.prompt_caching.unwrap_or(true),
                    timeout: oracle.timeout,
                }))
            }
            Provider::Bedrock => {
                let region = self.needed(field, "region", oracle, oracle.region.as_ref())?;
                let base_url = self.base_url(field, oracle, &cloud::bedrock_url(&region));
                let credentials = credentials_of(oracle).map(BedrockAuth::Credentials);
                Some(CompiledOracle::Bedrock(BedrockOracle {
                    model: self.model(field, oracle)?,
                    base_url,
                    region,
                    auth: (key_of(oracle).map(BedrockAuth::ApiKey))
                        .or(credentials)
                        .unwrap_or(BedrockAuth::Pod),
                    asked: asked(oracle, ShownAttachments::All),
                    prompt_caching: oracle.prompt_caching.unwrap_or(true),
                    timeout: oracle.timeout,
                }))
            }
            Provider::Gemini => {
                let base_url = self.base_url(field, oracle, cloud::GEMINI_URL);
                Some(CompiledOracle::Gemini(GeminiOracle {
                    model: self.model(field, oracle)?,
                    base_url,
                    api_key: key_of(oracle),
                    asked: asked(oracle, ShownAttachments::All),
                    timeout: oracle.timeout,
                }))
            }
            Provider::Vertexai => {
                let project = self.needed(field, "project", oracle, oracle.project.as_ref());
                let location = self.needed(field, "location", oracle, oracle.location.as_ref())?;
                let base_url = self.base_url(field, oracle, &cloud::vertexai_url(&location));
                Some(CompiledOracle::Vertexai(VertexaiOracle {
                    model: self.model(field, oracle)?,
                    base_url,
                    project: project?,
                    location,
                    credentials: credentials_of(oracle),
                    asked: asked(oracle, ShownAttachments::All),
                    prompt_caching: oracle.prompt_caching.unwrap_or(true),
                    timeout: oracle.timeout,
                }))
            }
            Provider::Openai => {
                let base_url = self.base_url(field, oracle, OPENAI_URL);
                // Of the servers that speak its interface, few read PDFs.
                let shown = if oracle.base_url.is_none() {
                    ShownAttachments::All
                } else {
                    ShownAttachments::Images
                };
                Some(CompiledOracle::Openai(OpenaiOracle {
                    model: self.model(field, oracle)?,
                    base_url,
                    api_key: key_of(oracle),
                    asked: asked(oracle, shown),
                    timeout: oracle.timeout,
                }))
            }
            Provider::Scripted => {
                let script = self.script(field, oracle)?;
                Some(CompiledOracle::Scripted(ScriptedOracle {
                    model: oracle
                        .model
                        .clone()
                        .unwrap_or_else(|| "scripted".to_owned()),
                    script,
                    timeout: oracle.timeout,
                }))
            }
        }
    }

    fn base_url(&mut self, field: &str, oracle: &Oracle, own: &str) -> String {
        let written = oracle.base_url.as_deref().unwrap_or(own);
        self.url(&format!("{field}.baseUrl"), written)
    }

    fn model(&mut self, field: &str, oracle: &Oracle) -> Option<String> {
        self.needed(field, "model", oracle, oracle.model.as_ref())
    }

    fn needed(
        &mut self,
        field: &str,
        name: &str,
        oracle: &Oracle,
        value: Option<&String>,
    ) -> Option<String> {
        if value.is_none() {
            self.problems.push(
                format!("{field}.{name}"),
                ProblemReason::SpecInvalid,
                format!("{name} is needed for provider {}", oracle.provider.as_str()),
            );
        }
        value.cloned()
    }

    fn script(&mut self, field: &str, oracle: &Oracle) -> Option<Script> {
        let field = format!("{field}.script");
        let Some(source) = &oracle.script else {
            self.problems.push(
                field,
                ProblemReason::SpecInvalid,
                "script is needed for provider scripted",
            );
            return None;
        };
        let (field, script) = match (&source.config_map_ref, source.inline()) {
            (Some(reference), None) => {
                let field = format!("{field}.configMapRef");
                let text = self.config_map_value(&field, reference)?;
                let read =
                    Script::from_yaml(&text).map_err(|error| (ProblemReason::ScriptInvalid, error));
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
                    self.problems
                        .push(place, ProblemReason::ScriptInvalid, problem.reason);
                }
                None
            }
        }
    }

    fn voice(&mut self, index: usize, voice: &Voice) -> Option<CompiledVoice> {
        let field = format!("spec.voices[{index}]");
        let channel = match (&voice.whatsapp, &voice.http) {
            (Some(whatsapp), None) => {
                let graph_url =
                    self.url(&format!("{field}.whatsapp.graphUrl"), &whatsapp.graph_url);
                let [access_token, app_secret, verify_token] =
                    WhatsAppVoice::SECRET_KEYS.map(|key| SecretFile {
                        name: whatsapp.secret_ref.name.clone(),
                        key: key.to_owned(),
                    });
                CompiledChannel::Whatsapp(Box::new(CompiledWhatsApp {
                    phone_number_id: whatsapp.phone_number_id.clone(),
                    graph_url,
                    access_token,
                    app_secret,
                    verify_token,
                    typing: whatsapp.typing.unwrap_or(true),
                    media: whatsapp.media.clone().unwrap_or_default(),
                    template: whatsapp.template.clone(),
                    list_label: whatsapp.list_label().to_owned(),
                }))
            }
            (None, Some(http)) => {
                let reply_url = http.reply_url.as_deref();
                CompiledChannel::Http(CompiledHttp {
                    signing_key: SecretFile::from(&http.secret_ref),
                    reply_url: reply_url
                        .map(|url| self.url(&format!("{field}.http.replyUrl"), url)),
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

    fn vigil(&mut self, vigil: &VigilSettings) -> CompiledVigil {
        if let Some(Err(error)) = vigil.summon_when.as_deref().map(When::parse) {
            self.problems.push(
                "spec.vigil.summonWhen",
                ProblemReason::ExpressionInvalid,
                error.to_string(),
            );
        }
        CompiledVigil {
            summon: vigil.summon,
            summon_when: vigil.summon_when.clone(),
            notify: vigil.notify.as_ref().map(|notify| CompiledNotify {
                url: self.url("spec.vigil.notify.url", &notify.url),
                signing_key: SecretFile::from(&notify.secret_ref),
                include_text: notify.include_text,
            }),
            release_phrases: vigil.release_phrases.clone(),
            release_after: vigil.release_after,
        }
    }

    /// A rule that nothing answers to guards nothing, and a slip of the pen in it would go unseen. What a Conduit offers is
    /// known only while it runs.
    fn rites(&mut self, spec: &SpiritSpec) {
        if !spec.conduits.is_empty() {
            return;
        }
        for (index, rule) in spec.rites.iter().enumerate() {
            for glob in &rule.actions {
                if !spec
                    .actions
                    .iter()
                    .any(|action| glob_matches(glob, &action.name))
                {
                    self.problems.push(
                        format!("spec.rites[{index}].actions"),
                        ProblemReason::SpecInvalid,
                        format!(
                            "no action of this Spirit is named {glob:?}: name one of spec.actions, where * stands for anything"
                        ),
                    );
                }
            }
        }
    }

    fn conduit(&mut self, index: usize, used: &ConduitUse) -> Option<CompiledConduit> {
        let Some(conduit) = self.around.conduits.get(&used.name) else {
            self.problems.push(
                format!("spec.conduits[{index}].name"),
                ProblemReason::ConduitNotFound,
                format!(
                    "there is no Conduit {:?} in this namespace; create it",
                    used.name
                ),
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

fn key_of(oracle: &Oracle) -> Option<SecretFile> {
    let key = oracle.api_key.as_ref()?;
    Some(SecretFile::from(&key.secret_ref))
}

fn credentials_of(oracle: &Oracle) -> Option<SecretFile> {
    let credentials = oracle.credentials.as_ref()?;
    Some(SecretFile::from(&credentials.secret_ref))
}

/// How a model is asked; it is shown these files unless the Spirit says.
fn asked(oracle: &Oracle, shown: ShownAttachments) -> Asked {
    Asked {
        temperature: oracle.temperature,
        max_tokens: oracle.max_tokens,
        effort: oracle.effort,
        attachments: oracle.attachments.unwrap_or(shown),
    }
}
