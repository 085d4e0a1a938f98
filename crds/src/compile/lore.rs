//! Compiling what a Spirit looks up and what it remembers.

use super::{
    DefaultStores, Problem, ProblemReason, cloud, references,
    secrets::check_secrets,
    spirit::{OPENAI_URL, SpiritCompiler},
};
use crate::{
    expression::When,
    runtime_config::{
        BedrockAuth, BedrockEmbedder, CompiledCollection, CompiledDocuments, CompiledEmbedder,
        CompiledImprint, CompiledLore, CompiledLoreSource, CompiledLoreStore, KeyedEmbedder,
        SecretFile, VertexaiEmbedder,
    },
    spirit::{
        ApiKey, CollectionStore, Credentials, Embedder, EmbedderProvider, Imprint, Lore,
        LoreSource, LoreStore, SpiritSpec,
    },
    template::{Template, Vocabulary},
};

impl SpiritCompiler<'_> {
    /// The Lore by itself, with the Secrets that it needs.
    pub(super) fn lore_alone(
        mut self,
        spec: &SpiritSpec,
    ) -> Result<Option<CompiledLore>, Vec<Problem>> {
        let embedded = self.around.defaults.stores == DefaultStores::Embedded;
        let needed = references::lore(spec)
            .filter(|(field, _)| !(embedded && field.starts_with("spec.lore.store")));
        check_secrets(needed, self.around, &mut self.problems);
        let compiled = spec.lore.as_ref().and_then(|lore| self.lore(lore));
        let found = self.problems.into_found();
        if found.is_empty() {
            Ok(compiled)
        } else {
            Err(found)
        }
    }

    pub(super) fn lore(&mut self, lore: &Lore) -> Option<CompiledLore> {
        if let Some(Err(error)) = lore.when.as_deref().map(When::parse) {
            self.problems.push(
                "spec.lore.when",
                ProblemReason::ExpressionInvalid,
                error.to_string(),
            );
        }
        let namespace = lore.namespace.clone().unwrap_or_default();
        let checked = Template::parse(&namespace, Vocabulary::LORE_NAMESPACE)
            .map(drop)
            .map_err(|error| (ProblemReason::TemplateInvalid, error.to_string()));
        self.noting("spec.lore.namespace", checked);
        let sources = lore.sources.iter().enumerate();
        let sources = sources
            .filter_map(|(index, source)| self.lore_source(index, source, &namespace))
            .collect();
        let store = self.lore_store(&lore.store);
        Some(CompiledLore {
            embedder: self.embedder(&lore.embedder)?,
            store: store?,
            top_k: lore.top_k,
            min_score: lore.min_score,
            filter: lore.filter.clone(),
            namespace,
            cite: lore.cite,
            timeout: lore.timeout,
            when: lore.when.clone(),
            sources,
            chunks: lore.chunks.clone(),
        })
    }

    fn lore_store(&mut self, store: &LoreStore) -> Option<CompiledLoreStore> {
        // It is not asked, and a Service of the cluster is no address here.
        if self.around.defaults.stores == DefaultStores::Embedded {
            return Some(CompiledLoreStore::Embedded);
        }
        let compiled = match (
            &store.qdrant,
            &store.weaviate,
            &store.pinecone,
            &store.pgvector,
        ) {
            (Some(qdrant), None, None, None) => {
                CompiledLoreStore::Qdrant(self.collection("qdrant", qdrant))
            }
            (None, Some(weaviate), None, None) => {
                CompiledLoreStore::Weaviate(self.collection("weaviate", weaviate))
            }
            (None, None, Some(pinecone), None) => CompiledLoreStore::Pinecone {
                url: self.url("spec.lore.store.pinecone.url", &pinecone.url),
                api_key: SecretFile::from(&pinecone.api_key.secret_ref),
            },
            (None, None, None, Some(pgvector)) => CompiledLoreStore::Pgvector {
                url: SecretFile::from(&pgvector.url.secret_ref),
                table: pgvector.table.clone(),
            },
            _ => {
                self.problems.push(
                    "spec.lore.store",
                    ProblemReason::SpecInvalid,
                    "exactly one of qdrant, weaviate, pinecone and pgvector is needed",
                );
                return None;
            }
        };
        Some(compiled)
    }

    fn collection(&mut self, store: &str, written: &CollectionStore) -> CompiledCollection {
        CompiledCollection {
            url: self.url(&format!("spec.lore.store.{store}.url"), &written.url),
            collection: written.collection.clone(),
            api_key: written.api_key.as_ref().map(secret_of),
        }
    }

    fn embedder(&mut self, embedder: &Embedder) -> Option<CompiledEmbedder> {
        let base_url = |compiler: &mut Self, own: &str| {
            let written = embedder.base_url.as_deref().unwrap_or(own);
            compiler.url("spec.lore.embedder.baseUrl", written)
        };
        let api_key = embedder.api_key.as_ref().map(secret_of);
        let credentials = embedder.credentials.as_ref().map(credentials_of);
        Some(match embedder.provider {
            EmbedderProvider::Hashing => CompiledEmbedder::Hashing,
            EmbedderProvider::Openai | EmbedderProvider::Gemini => {
                let model = self.embedder_needs("model", embedder, embedder.model.as_ref());
                let dimensions =
                    self.embedder_needs("dimensions", embedder, embedder.dimensions.as_ref());
                let openai = embedder.provider == EmbedderProvider::Openai;
                let own = if openai {
                    OPENAI_URL
                } else {
                    cloud::GEMINI_URL
                };
                let keyed = KeyedEmbedder {
                    base_url: base_url(self, own),
                    model: model?,
                    api_key,
                    dimensions: dimensions?,
                };
                if openai {
                    CompiledEmbedder::Openai(keyed)
                } else {
                    CompiledEmbedder::Gemini(keyed)
                }
            }
            EmbedderProvider::Bedrock => {
                let region = self.embedder_needs("region", embedder, embedder.region.as_ref())?;
                let dimensions =
                    self.embedder_needs("dimensions", embedder, embedder.dimensions.as_ref());
                CompiledEmbedder::Bedrock(BedrockEmbedder {
                    base_url: base_url(self, &cloud::bedrock_url(&region)),
                    region,
                    model: embedder.model.clone(),
                    auth: (api_key.map(BedrockAuth::ApiKey))
                        .or(credentials.map(BedrockAuth::Credentials))
                        .unwrap_or(BedrockAuth::Pod),
                    dimensions: dimensions?,
                })
            }
            EmbedderProvider::Vertexai => {
                let model = self.embedder_needs("model", embedder, embedder.model.as_ref());
                let project = self.embedder_needs("project", embedder, embedder.project.as_ref());
                let dimensions =
                    self.embedder_needs("dimensions", embedder, embedder.dimensions.as_ref());
                let location =
                    self.embedder_needs("location", embedder, embedder.location.as_ref())?;
                CompiledEmbedder::Vertexai(VertexaiEmbedder {
                    base_url: base_url(self, &cloud::vertexai_url(&location)),
                    location,
                    model: model?,
                    project: project?,
                    credentials,
                    dimensions: dimensions?,
                })
            }
        })
    }

    fn embedder_needs<T: Clone>(
        &mut self,
        name: &str,
        embedder: &Embedder,
        value: Option<&T>,
    ) -> Option<T> {
        if value.is_none() {
            self.problems.push(
                format!("spec.lore.embedder.{name}"),
                ProblemReason::SpecInvalid,
                format!(
                    "{name} is needed for provider {}",
                    embedder.provider.as_str()
                ),
            );
        }
        value.cloned()
    }

    fn lore_source(
        &mut self,
        index: usize,
        source: &LoreSource,
        searched: &str,
    ) -> Option<CompiledLoreSource> {
        let field = format!("spec.lore.sources[{index}]");
        let documents = match (&source.config_map, &source.urls) {
            (Some(config_map), None) => {
                let name = &config_map.name;
                if !self.around.config_maps.contains_key(name) {
                    self.problems.push(
                        format!("{field}.configMap.name"),
                        ProblemReason::ConfigMapNotFound,
                        format!(
                            "there is no ConfigMap {name:?} in this namespace; create it with a key for each document"
                        ),
                    );
                }
                CompiledDocuments::ConfigMap(name.clone())
            }
            (None, Some(urls)) => CompiledDocuments::Urls(
                urls.iter()
                    .enumerate()
                    .map(|(at, url)| self.url(&format!("{field}.urls[{at}]"), url))
                    .collect(),
            ),
            _ => {
                self.problems.push(
                    field,
                    ProblemReason::SpecInvalid,
                    "exactly one of configMap and urls is needed",
                );
                return None;
            }
        };
        let namespace = match &source.namespace {
            Some(namespace) => namespace.clone(),
            None if !searched.contains('{') => searched.to_owned(),
            None => {
                self.problems.push(
                    format!("{field}.namespace"),
                    ProblemReason::SpecInvalid,
                    format!(
                        "namespace is needed: spec.lore.namespace is {searched:?}, which is another one for each person, so say whose these documents are"
                    ),
                );
                return None;
            }
        };
        Some(CompiledLoreSource {
            name: source.name.clone(),
            documents,
            namespace,
            metadata: source.metadata.clone(),
        })
    }

    pub(super) fn imprint(&mut self, imprint: &Imprint) -> Option<CompiledImprint> {
        let off = !imprint.enabled;
        if off && imprint.max_age == Imprint::default().max_age {
            return None;
        }
        let oracle = match &imprint.oracle {
            Some(oracle) if !off => Some(self.oracle("spec.imprint.oracle", oracle)?),
            _ => None,
        };
        Some(CompiledImprint {
            off,
            max_facts: imprint.max_facts,
            max_age: imprint.max_age,
            after: imprint.after,
            oracle,
        })
    }
}

fn secret_of(key: &ApiKey) -> SecretFile {
    SecretFile::from(&key.secret_ref)
}

fn credentials_of(credentials: &Credentials) -> SecretFile {
    SecretFile::from(&credentials.secret_ref)
}
