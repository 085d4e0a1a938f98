//! Lore, Imprint and what is kept in Google Cloud, from manifests to the runtime's configuration.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeSet, path::Path};

use eywa_crds::{
    compile::{DefaultStores, Defaults, Problem, compile_spirit},
    manifest::Manifests,
    runtime_config::{
        BedrockAuth, CompiledDocuments, CompiledEmbedder, CompiledLoreStore, IngestConfig,
        PodIdentities, RedisUrls, RuntimeConfig, SecretFile, StoresConfig,
    },
};

/// A Spirit with this at the end of its spec, and all that the tests refer to.
fn read(rest: &str) -> Manifests {
    let mut manifests = Manifests::default();
    let spirit = format!(
        "apiVersion: eywa.dev/v1alpha1\nkind: Spirit\nmetadata: {{name: barista}}\nspec:\n  persona: {{text: You serve coffee.}}\n  oracle: {{provider: scripted, script: {{rules: [{{reply: {{text: Hello.}}}}]}}}}\n{rest}"
    );
    manifests.add(Path::new("spirit.yaml"), &spirit);
    for name in ["store", "model", "google", "redis"] {
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{key: not-a-real-one}}\n"
        );
        manifests.add(Path::new("secrets.yaml"), &secret);
    }
    let menu =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: menu}\ndata: {menu.md: '# Menu'}\n";
    manifests.add(Path::new("menu.yaml"), menu);
    manifests
}

fn compile_with(
    manifests: &Manifests,
    stores: DefaultStores,
) -> Result<RuntimeConfig, Vec<Problem>> {
    let defaults = Defaults {
        stores,
        ..Defaults::default()
    };
    let spirit = manifests.spirits.values().next().unwrap();
    compile_spirit(spirit, &manifests.surroundings("cafe", defaults))
}

fn in_a_cluster() -> DefaultStores {
    DefaultStores::Redis(RedisUrls::Plain(
        "redis://eywa-redis.eywa-system.svc".to_owned(),
    ))
}

fn compiled(rest: &str) -> RuntimeConfig {
    let manifests = read(rest);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let config = compile_with(&manifests, in_a_cluster()).unwrap();
    let json = config.to_json().unwrap();
    assert_eq!(RuntimeConfig::from_json(&json).unwrap(), config);
    config
}

/// All that is wrong, by the schema and its rules or by compiling.
fn wrong(rest: &str) -> Vec<String> {
    let manifests = read(rest);
    let mut said: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
    if said.is_empty() {
        let found = compile_with(&manifests, in_a_cluster()).unwrap_err();
        said.extend(found.iter().map(ToString::to_string));
    }
    said
}

fn lore(store: &str, embedder: &str, more: &str) -> String {
    format!("  lore:\n    store: {store}\n    embedder: {embedder}\n{more}")
}

const QDRANT: &str = "{qdrant: {url: 'https://qdrant.example:6333', collection: menu, apiKey: {secretRef: {name: store, key: key}}}}";
const HASHING: &str = "{provider: hashing}";

fn file(name: &str) -> SecretFile {
    SecretFile {
        name: name.to_owned(),
        key: "key".to_owned(),
    }
}

#[test]
fn every_store_and_every_embedder_is_compiled_with_its_secrets() {
    let stores = [
        (QDRANT, "qdrant"),
        (
            "{weaviate: {url: 'http://weaviate:8080', collection: Menu}}",
            "weaviate",
        ),
        (
            "{pinecone: {url: 'https://menu-abc.svc.pinecone.example', apiKey: {secretRef: {name: store, key: key}}}}",
            "pinecone",
        ),
        (
            "{pgvector: {url: {secretRef: {name: store, key: key}}}}",
            "pgvector",
        ),
    ];
    for (store, name) in stores {
        let config = compiled(&lore(store, HASHING, ""));
        let json = serde_json::to_value(&config.spirits["barista"].lore).unwrap();
        assert!(json["store"][name].is_object(), "{json}");
        let named = config.secret_files().contains(&file("store"));
        assert_eq!(named, name != "weaviate", "{name}");
    }
    let config = compiled(&lore(
        "{weaviate: {url: 'http://weaviate:8080', collection: Menu}}",
        HASHING,
        "",
    ));
    let CompiledLoreStore::Weaviate(weaviate) =
        &config.spirits["barista"].lore.as_ref().unwrap().store
    else {
        panic!("not Weaviate");
    };
    assert_eq!(
        weaviate.url, "http://weaviate.cafe.svc:8080",
        "a Service is written out"
    );

    let key = "apiKey: {secretRef: {name: model, key: key}}";
    let embedders = [
        format!("{{provider: openai, model: m, dimensions: 1536, {key}}}"),
        format!("{{provider: gemini, model: m, dimensions: 768, {key}}}"),
        format!("{{provider: bedrock, region: eu-west-1, dimensions: 512, {key}}}"),
    ];
    for embedder in embedders {
        let config = compiled(&lore(QDRANT, &embedder, ""));
        let both = BTreeSet::from([file("model"), file("store")]);
        assert_eq!(IngestConfig::of(&config).unwrap().secret_files(), both);
        assert!(both.is_subset(&config.secret_files()));
        assert_eq!(config.pod_identities(), PodIdentities::default());
    }
}

#[test]
fn an_embedder_may_be_known_by_the_pods_own_identity() {
    let config = compiled(&lore(
        QDRANT,
        "{provider: bedrock, region: eu-west-1, dimensions: 1024}",
        "",
    ));
    assert!(config.pod_identities().aws);
    let CompiledEmbedder::Bedrock(bedrock) =
        &config.spirits["barista"].lore.as_ref().unwrap().embedder
    else {
        panic!("not Bedrock");
    };
    assert_eq!((&bedrock.auth, &bedrock.model), (&BedrockAuth::Pod, &None));
    let config = compiled(&lore(
        QDRANT,
        "{provider: vertexai, model: m, dimensions: 768, project: cafe-1234, location: europe-west1}",
        "",
    ));
    assert!(config.pod_identities().google);
}

#[test]
fn documents_are_named_and_their_text_stays_where_it_is() {
    let rest = lore(
        QDRANT,
        HASHING,
        "    namespace: cafe\n    sources:\n    - {name: menu, configMap: {name: menu}, metadata: {lang: en}}\n    - {name: site, urls: ['https://cafe.example/hours'], namespace: other}\n",
    );
    let config = compiled(&rest);
    let ingest = IngestConfig::of(&config).unwrap();
    let json = ingest.to_json().unwrap();
    assert_eq!(IngestConfig::from_json(&json).unwrap(), ingest);
    assert!(!json.contains("# Menu"), "{json}");
    let [menu, site] = &ingest.lore.sources[..] else {
        panic!("{:?}", ingest.lore.sources);
    };
    assert_eq!(
        menu.documents,
        CompiledDocuments::ConfigMap("menu".to_owned())
    );
    assert_eq!(
        (menu.namespace.as_str(), site.namespace.as_str()),
        ("cafe", "other")
    );
    assert_eq!(ingest.config_maps(), BTreeSet::from(["menu"]));
}

#[test]
fn what_is_wrong_with_lore_is_told_with_what_to_do() {
    let two = "{qdrant: {url: 'https://q.example', collection: menu}, pgvector: {url: {secretRef: {name: store, key: key}}}}";
    for (rest, told) in [
        (
            lore(two, HASHING, ""),
            "exactly one of qdrant, weaviate, pinecone and pgvector is needed",
        ),
        (
            lore("{}", HASHING, ""),
            "exactly one of qdrant, weaviate, pinecone and pgvector is needed",
        ),
        (
            lore(
                "{qdrant: {url: 'https://169.254.169.254', collection: menu}}",
                HASHING,
                "",
            ),
            "169.254.169.254",
        ),
        (
            lore(
                "{qdrant: {url: 'https://q.example', collection: 'no spaces'}}",
                HASHING,
                "",
            ),
            "collection",
        ),
        (
            lore(
                QDRANT,
                "{provider: openai, model: m, apiKey: {secretRef: {name: model, key: key}}}",
                "",
            ),
            "dimensions are needed",
        ),
        (
            lore(
                QDRANT,
                "{provider: openai, dimensions: 3, apiKey: {secretRef: {name: model, key: key}}}",
                "",
            ),
            "model is needed",
        ),
        (
            lore(
                QDRANT,
                "{provider: bedrock, region: eu-west-1, dimensions: 300}",
                "",
            ),
            "256, 512 or 1024",
        ),
        (
            lore(QDRANT, "{provider: hashing, model: m}", ""),
            "hashing is no model",
        ),
        (
            lore(
                QDRANT,
                HASHING,
                "    sources: [{name: menu, configMap: {name: gone}}]\n",
            ),
            "there is no ConfigMap \"gone\"",
        ),
        (
            lore(
                QDRANT,
                HASHING,
                "    sources: [{name: site, urls: ['https://10.0.0.1/x']}]\n",
            ),
            "spec.lore.sources[0].urls[0]",
        ),
        (
            lore(
                QDRANT,
                HASHING,
                "    namespace: '{{ user.id }}'\n    sources: [{name: menu, configMap: {name: menu}}]\n",
            ),
            "say whose these documents are",
        ),
        (
            lore(QDRANT, HASHING, "    namespace: '{{ text }}'\n"),
            "not known here",
        ),
        (
            lore(QDRANT, HASHING, "    chunks: {size: 200, overlap: 150}\n"),
            "overlap is at most half of size",
        ),
        (
            lore(&QDRANT.replace("store", "gone"), HASHING, ""),
            "there is no Secret \"gone\"",
        ),
        (
            "  imprint: {enabled: true, after: 1s}\n".to_owned(),
            "after must be from 10s to 24h",
        ),
    ] {
        let said = wrong(&rest);
        assert!(
            said.iter().any(|said| said.contains(told)),
            "{rest}\n{told}: {said:#?}"
        );
    }
}

#[test]
fn in_one_process_passages_are_kept_in_it_and_the_store_is_not_needed() {
    let there = lore(
        "{pgvector: {url: {secretRef: {name: gone, key: key}}}}",
        HASHING,
        "",
    );
    let inside = lore(
        "{weaviate: {url: 'http://weaviate:8080', collection: Menu}}",
        HASHING,
        "",
    );
    for rest in [there, inside] {
        let config = compile_with(&read(&rest), DefaultStores::Embedded).unwrap();
        let store = &config.spirits["barista"].lore.as_ref().unwrap().store;
        assert_eq!(*store, CompiledLoreStore::Embedded);
    }
    let manifests = read(&lore(
        QDRANT,
        "{provider: openai, model: m, dimensions: 3, baseUrl: 'http://10.0.0.1/v1'}",
        "",
    ));
    let found = compile_with(&manifests, DefaultStores::Embedded).unwrap_err();
    assert!(found[0].to_string().contains("10.0.0.1"), "{found:?}");
}

#[test]
fn an_imprint_is_there_only_when_it_is_asked_for() {
    assert_eq!(compiled("").spirits["barista"].imprint, None);
    assert_eq!(
        compiled("  imprint: {maxFacts: 9}\n").spirits["barista"].imprint,
        None
    );
    let key = "apiKey: {secretRef: {name: model, key: key}}";
    let off = compiled(&format!(
        "  imprint: {{maxAge: 26280h, oracle: {{provider: openai, model: small, {key}}}}}\n"
    ));
    let imprint = off.spirits["barista"].imprint.as_ref().unwrap();
    assert!(imprint.off, "it only says how long facts are kept");
    assert_eq!(imprint.max_age.as_std().as_secs(), 26280 * 3600);
    assert!(!off.secret_files().contains(&file("model")));
    let config = compiled(&format!(
        "  imprint: {{enabled: true, maxFacts: 9, oracle: {{provider: openai, model: small, {key}}}}}\n"
    ));
    let imprint = config.spirits["barista"].imprint.as_ref().unwrap();
    assert!(!imprint.off);
    assert_eq!(imprint.max_facts, 9);
    assert_eq!(imprint.oracle.as_ref().unwrap().model(), "small");
    assert!(
        config.secret_files().contains(&file("model")),
        "its key is mounted"
    );
}

#[test]
fn what_is_kept_in_google_cloud_is_beside_redis() {
    let rest = "  stores:\n    redis: {urls: {secretRef: {name: redis, key: key}}}\n    google:\n      tasks: {project: cafe-1234, location: europe-west1, queue: pulses, url: 'https://cafe.example/tasks/barista', serviceAccount: pusher@cafe-1234.iam.gserviceaccount.com}\n      storage: {bucket: cafe-files, credentials: {secretRef: {name: google, key: key}}}\n";
    let config = compiled(rest);
    let StoresConfig::Redis { tasks, storage, .. } = &config.stores else {
        panic!("{:?}", config.stores);
    };
    let tasks = tasks.as_ref().unwrap();
    assert_eq!(
        tasks.queue,
        "projects/cafe-1234/locations/europe-west1/queues/pulses"
    );
    assert_eq!(tasks.audience, tasks.url);
    assert_eq!(
        storage.as_ref().unwrap().base_url,
        "https://storage.googleapis.com"
    );
    assert!(config.secret_files().contains(&file("google")));
    assert!(
        config.pod_identities().google,
        "the queue is reached by the pods' own identity"
    );
}
