//! Oracles of clouds, from manifests to the runtime's configuration; what the docs show is sound.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
    runtime_config::{
        BedrockAuth, CompiledOracle, PodIdentities, RedisUrls, RuntimeConfig, SecretFile,
    },
};

const DOCS: &str = include_str!("../../docs/oracles-cloud.md");

/// The YAML that the docs show, each with what is needed around it.
fn shown() -> Vec<&'static str> {
    let blocks: Vec<_> = DOCS
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 5, "the docs lost their examples");
    blocks
}

fn spirit(oracle: &str) -> String {
    format!(
        "apiVersion: eywa.dev/v1alpha1\nkind: Spirit\nmetadata: {{name: barista}}\nspec:\n  persona: {{text: You serve coffee.}}\n  oracle: {oracle}\n"
    )
}

fn read(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add(Path::new("spirit.yaml"), text);
    for (name, key) in [
        ("gemini", "api-key"),
        ("aws", "credentials"),
        ("bedrock", "api-key"),
        ("google", "key.json"),
    ] {
        if !manifests.secrets.contains_key(name) {
            let secret = format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{{key}: not-a-real-one}}\n"
            );
            manifests.add(Path::new("secrets.yaml"), &secret);
        }
    }
    manifests
}

fn compiled(text: &str) -> RuntimeConfig {
    let manifests = read(text);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let defaults = Defaults {
        stores: DefaultStores::Redis(RedisUrls::Plain(
            "redis://eywa-redis.eywa-system.svc:6379".to_owned(),
        )),
        ..Defaults::default()
    };
    let spirit = manifests.spirits.values().next().unwrap();
    let config = compile_spirit(spirit, &manifests.surroundings("cafe", defaults)).unwrap();
    assert_eq!(
        RuntimeConfig::from_json(&config.to_json().unwrap()).unwrap(),
        config
    );
    config
}

fn oracle(text: &str) -> CompiledOracle {
    compiled(&spirit(text)).spirits["barista"].oracles[0].clone()
}

fn file(name: &str, key: &str) -> SecretFile {
    SecretFile {
        name: name.to_owned(),
        key: key.to_owned(),
    }
}

#[test]
fn what_the_docs_show_is_sound() {
    for block in shown() {
        if block.contains("kind: Spirit") {
            compiled(block);
        }
    }
}

#[test]
fn a_place_becomes_an_address_and_an_address_that_is_named_wins() {
    let base_url = |text: &str| match oracle(text) {
        CompiledOracle::Bedrock(bedrock) => bedrock.base_url,
        CompiledOracle::Gemini(gemini) => gemini.base_url,
        CompiledOracle::Vertexai(vertexai) => vertexai.base_url,
        other => panic!("{other:?}"),
    };
    let key = "apiKey: {secretRef: {name: gemini, key: api-key}}";
    for (written, url) in [
        (
            format!("{{provider: gemini, model: gemini-2.5-flash, {key}}}"),
            "https://generativelanguage.googleapis.com/v1beta",
        ),
        (
            "{provider: vertexai, model: m, project: cafe-1, location: europe-west1}".to_owned(),
            "https://europe-west1-aiplatform.googleapis.com",
        ),
        (
            "{provider: bedrock, model: m, region: eu-west-1}".to_owned(),
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            "{provider: bedrock, model: m, region: eu-west-1, baseUrl: \"https://vpce.example\"}"
                .to_owned(),
            "https://vpce.example",
        ),
    ] {
        assert_eq!(base_url(&written), url);
    }
}

#[test]
fn credentials_are_mounted_and_without_them_the_pods_have_their_own() {
    for (written, files, identities) in [
        (
            "{provider: bedrock, model: m, region: eu-west-1}",
            vec![],
            (true, false),
        ),
        (
            "{provider: bedrock, model: m, region: eu-west-1, credentials: {secretRef: {name: aws, key: credentials}}}",
            vec![file("aws", "credentials")],
            (false, false),
        ),
        (
            "{provider: bedrock, model: m, region: eu-west-1, apiKey: {secretRef: {name: bedrock, key: api-key}}}",
            vec![file("bedrock", "api-key")],
            (false, false),
        ),
        (
            "{provider: vertexai, model: m, project: cafe-1, location: global}",
            vec![],
            (false, true),
        ),
        (
            "{provider: vertexai, model: m, project: cafe-1, location: global, credentials: {secretRef: {name: google, key: key.json}}}",
            vec![file("google", "key.json")],
            (false, false),
        ),
    ] {
        let config = compiled(&spirit(written));
        assert_eq!(
            config.secret_files().into_iter().collect::<Vec<_>>(),
            files,
            "{written}"
        );
        let (aws, google) = identities;
        assert_eq!(
            config.pod_identities(),
            PodIdentities { aws, google },
            "{written}"
        );
    }
    let CompiledOracle::Bedrock(bedrock) =
        oracle("{provider: bedrock, model: m, region: us-gov-west-1}")
    else {
        panic!("it is Bedrock's");
    };
    assert_eq!(
        (bedrock.auth, bedrock.prompt_caching),
        (BedrockAuth::Pod, true)
    );
}

#[test]
fn what_does_not_go_together_is_told() {
    let key = "apiKey: {secretRef: {name: gemini, key: api-key}}";
    let credentials = "credentials: {secretRef: {name: aws, key: credentials}}";
    for (written, said) in [
        (
            "{provider: gemini, model: m}".to_owned(),
            "apiKey is needed",
        ),
        (format!("{{provider: gemini, {key}}}"), "model is needed"),
        (
            format!("{{provider: gemini, model: m, {credentials}, {key}}}"),
            "credentials are for providers bedrock and vertexai",
        ),
        (
            format!("{{provider: gemini, model: m, region: eu-west-1, {key}}}"),
            "region is needed for provider bedrock, and only for it",
        ),
        (
            "{provider: vertexai, model: m, project: cafe-1}".to_owned(),
            "project and location are needed",
        ),
        (
            format!("{{provider: vertexai, model: m, project: cafe-1, location: eu, {key}}}"),
            "takes no apiKey",
        ),
        (
            "{provider: vertexai, model: m, project: cafe-1, location: evil.example/}".to_owned(),
            "location",
        ),
        (
            "{provider: bedrock, model: m}".to_owned(),
            "region is needed",
        ),
        (
            "{provider: bedrock, model: m, region: \"eu-west-1.evil.example\"}".to_owned(),
            "region",
        ),
        (
            "{provider: bedrock, model: m, region: eu-west-1, project: cafe-1}".to_owned(),
            "project and location are for provider vertexai",
        ),
        (
            format!("{{provider: bedrock, model: m, region: eu-west-1, {credentials}, {key}}}"),
            "exclude each other",
        ),
        (
            "{provider: bedrock, model: m, region: eu-west-1, temperature: 1.5}".to_owned(),
            "temperature is at most 1",
        ),
        (
            "{provider: bedrock, model: m, region: eu-west-1, effort: low}".to_owned(),
            "takes no effort",
        ),
    ] {
        let problems = read(&spirit(&written)).problems;
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|problem| problem.contains(said)),
            "{written}: {told:?}"
        );
    }
}
