//! Oracles from manifests to the runtime's configuration; what the docs show is sound.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

use std::path::Path;

use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
    runtime_config::{CompiledOracle, CompiledSpirit, RedisUrls, RuntimeConfig},
    spirit::{Effort, ShownAttachments},
};

const DOCS: &str = include_str!("../../docs/oracles.md");

const SECRET: &str = "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: model}\nstringData: {key: not-a-real-key}\n";

fn compiled(text: &str) -> CompiledSpirit {
    let mut manifests = Manifests::default();
    manifests.add(Path::new("spirit.yaml"), text);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let defaults = Defaults {
        stores: DefaultStores::Redis(RedisUrls::Plain("redis://127.0.0.1:6379".to_owned())),
        ..Defaults::default()
    };
    let surroundings = manifests.surroundings("cafe", defaults);
    let config = compile_spirit(&manifests.spirits["barista"], &surroundings).unwrap();
    assert_eq!(
        RuntimeConfig::from_json(&config.to_json().unwrap()).unwrap(),
        config
    );
    config.spirits["barista"].clone()
}

fn spirit(oracle: &str) -> String {
    format!(
        "apiVersion: eywa.dev/v1alpha1\nkind: Spirit\nmetadata: {{name: barista}}\nspec:\n  persona: {{text: You serve coffee.}}\n  oracle: {oracle}{SECRET}"
    )
}

fn oracle(fields: &str) -> CompiledOracle {
    let text = spirit(&format!(
        "{{model: m, apiKey: {{secretRef: {{name: model, key: key}}}}, {fields}}}"
    ));
    compiled(&text).oracles[0].clone()
}

#[test]
fn what_the_docs_show_is_sound() {
    let blocks: Vec<&str> = DOCS
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 2, "the docs lost their examples");
    for block in blocks {
        compiled(block);
    }
}

#[test]
fn what_a_spirit_says_of_its_oracle_reaches_the_runtime() {
    let CompiledOracle::Anthropic(anthropic) =
        oracle("provider: anthropic, effort: high, maxTokens: 7, temperature: 1")
    else {
        panic!()
    };
    assert_eq!(anthropic.base_url, "https://api.anthropic.com/v1");
    assert_eq!(anthropic.api_key.unwrap().name, "model");
    assert!(anthropic.prompt_caching, "it is cheaper");
    assert_eq!(
        (anthropic.asked.effort, anthropic.asked.max_tokens),
        (Some(Effort::High), Some(7))
    );
    let CompiledOracle::Anthropic(anthropic) =
        oracle("provider: anthropic, promptCaching: false, baseUrl: 'https://gateway.example/v1'")
    else {
        panic!()
    };
    assert!(!anthropic.prompt_caching);
    assert_eq!(anthropic.base_url, "https://gateway.example/v1");
}

#[test]
fn a_server_of_ones_own_is_shown_no_pdfs_unless_the_spirit_says() {
    let own = "provider: openai, baseUrl: 'https://gateway.example/v1'";
    for (fields, shown) in [
        ("provider: openai", ShownAttachments::All),
        (own, ShownAttachments::Images),
        (&format!("{own}, attachments: all"), ShownAttachments::All),
        (
            "provider: openai, attachments: none",
            ShownAttachments::None,
        ),
        ("provider: anthropic", ShownAttachments::All),
    ] {
        assert_eq!(oracle(fields).asked().attachments, shown, "{fields}");
    }
}

#[test]
fn what_does_not_go_together_is_refused_with_the_reason() {
    let key = "apiKey: {secretRef: {name: model, key: key}}";
    for (oracle, why) in [
        (
            format!("{{provider: anthropic, {key}}}"),
            "model is needed for provider anthropic",
        ),
        (
            "{provider: anthropic, model: m}".to_owned(),
            "apiKey is needed for provider anthropic",
        ),
        (
            format!("{{provider: anthropic, model: m, temperature: 1.5, {key}}}"),
            "temperature is at most 1",
        ),
        (
            format!("{{provider: openai, model: m, promptCaching: true, {key}}}"),
            "promptCaching is for providers that cache what they are told to",
        ),
        (
            format!("{{provider: openai, model: m, effort: enormous, {key}}}"),
            "\"enormous\" is not one of \"low\", \"medium\", \"high\"",
        ),
        (
            "{provider: scripted, effort: low, script: {rules: [{reply: {text: hi}}]}}".to_owned(),
            "provider scripted takes neither effort nor attachments",
        ),
    ] {
        let mut manifests = Manifests::default();
        manifests.add(Path::new("spirit.yaml"), &spirit(&oracle));
        let problems: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
        assert!(
            problems.iter().any(|problem| problem.contains(why)),
            "{oracle}: {problems:?}"
        );
    }
}
