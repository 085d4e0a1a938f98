//! Pathfinders from manifests to the runtime's configuration: routes of routes, circles, and what the docs show.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

use std::path::Path;

use eywa_crds::{
    compile::{
        DefaultStores, Defaults, MOST_SPIRITS, Problem, compile_spirit, referenced_config_maps,
    },
    manifest::Manifests,
    runtime_config::{CompiledOracle, RedisUrls, RuntimeConfig},
};
use serde_json::{Value, json};

const DOCS: &str = include_str!("../../docs/pathfinder.md");

fn spirit(name: &str, pathfinder: Value) -> String {
    let mut spec = json!({
        "persona": {"text": format!("You are {name}.")},
        "oracle": {"provider": "scripted", "script": {"rules": [{"reply": {"text": name}}]}},
    });
    if !pathfinder.is_null() {
        spec["pathfinder"] = pathfinder;
    }
    let object = json!({
        "apiVersion": "eywa.dev/v1alpha1", "kind": "Spirit", "metadata": {"name": name}, "spec": spec,
    });
    format!("---\n{object}\n")
}

/// Routes to these, each by a rule.
fn to(spirits: &[&str]) -> Value {
    let routes: Vec<Value> = spirits
        .iter()
        .map(|spirit| json!({"spirit": spirit, "when": format!("text == '{spirit}'")}))
        .collect();
    json!({"routes": routes})
}

fn manifests(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add(Path::new("spirits.yaml"), text);
    manifests
}

fn compile(front: &str, manifests: &Manifests) -> Result<RuntimeConfig, Vec<Problem>> {
    let stores = DefaultStores::Redis(RedisUrls::Plain("redis://127.0.0.1:6379".to_owned()));
    let defaults = Defaults {
        stores,
        ..Defaults::default()
    };
    compile_spirit(
        &manifests.spirits[front],
        &manifests.surroundings("cafe", defaults),
    )
}

fn compiled(front: &str, text: &str) -> Result<RuntimeConfig, Vec<Problem>> {
    let manifests = manifests(text);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    compile(front, &manifests)
}

fn said(front: &str, text: &str) -> Vec<String> {
    let problems = compiled(front, text).unwrap_err();
    problems
        .iter()
        .map(|problem| format!("[{}] {problem}", problem.reason.as_str()))
        .collect()
}

fn refused(pathfinder: Value) -> String {
    let problems = manifests(&spirit("barista", pathfinder)).problems;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}

#[test]
fn what_the_docs_show_is_sound() {
    let blocks: Vec<Manifests> = DOCS
        .split("```yaml\n")
        .skip(1)
        .map(|rest| manifests(rest.split("```").next().unwrap()))
        .filter(|manifests| !manifests.spirits.is_empty() || !manifests.problems.is_empty())
        .collect();
    assert!(!blocks.is_empty(), "the docs lost their examples");
    for manifests in blocks {
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        for name in manifests.spirits.keys() {
            compile(name, &manifests).unwrap();
        }
    }
}

#[test]
fn the_routes_of_a_routed_spirit_are_followed() {
    let all = [
        spirit("barista", to(&["support", "billing", "barista"])),
        spirit("support", to(&["hardware", "billing"])),
        spirit("hardware", Value::Null),
        spirit("billing", Value::Null),
        spirit("bystander", to(&["barista"])),
    ]
    .concat();
    let config = compiled("barista", &all).unwrap();
    let names: Vec<&String> = config.spirits.keys().collect();
    assert_eq!(names, ["barista", "billing", "hardware", "support"]);
    let support = config.spirits["support"].pathfinder.as_ref().unwrap();
    assert_eq!(support.routes[0].spirit, "hardware");
    assert_eq!(
        RuntimeConfig::from_json(&config.to_json().unwrap()).unwrap(),
        config
    );
}

#[test]
fn routes_that_lead_in_a_circle_are_refused_with_the_whole_chain() {
    let two = [
        spirit("barista", to(&["billing"])),
        spirit("billing", to(&["refunds", "barista"])),
        spirit("refunds", Value::Null),
    ]
    .concat();
    assert_eq!(
        said("barista", &two),
        [
            "[RouteCycle] Spirit/billing spec.pathfinder.routes[1].spirit: the routes lead in a circle: barista → billing → \
             barista; take one of them out. A conversation is taken back to barista by a route of barista to itself"
        ]
    );
    let said_there = said("billing", &two);
    assert!(
        said_there.len() == 1 && said_there[0].contains("billing → barista → billing"),
        "{said_there:?}"
    );

    let three = [
        spirit("front", to(&["a"])),
        spirit("a", to(&["b"])),
        spirit("b", to(&["c"])),
        spirit("c", to(&["d", "a"])),
        spirit("d", Value::Null),
    ]
    .concat();
    let told = said("front", &three);
    assert!(
        told.len() == 1
            && told[0].contains("Spirit/c")
            && told[0].contains("circle: a → b → c → a;"),
        "{told:?}"
    );
}

#[test]
fn two_ways_to_one_spirit_and_a_way_to_oneself_are_no_circle() {
    let all = [
        spirit("barista", to(&["a", "b", "barista"])),
        spirit("a", to(&["end", "a"])),
        spirit("b", to(&["a", "end"])),
        spirit("end", Value::Null),
    ]
    .concat();
    assert_eq!(compiled("barista", &all).unwrap().spirits.len(), 4);
}

#[test]
fn what_is_wrong_further_on_is_told_with_its_spirit_and_once() {
    let all = [
        spirit("barista", to(&["a", "b"])),
        spirit("a", to(&["missing"])),
        spirit("b", to(&["a"])),
    ]
    .concat();
    let told = said("barista", &all);
    assert!(
        told.len() == 1
            && told[0].starts_with("[SpiritNotFound] Spirit/a spec.pathfinder.routes[0].spirit"),
        "{told:?}"
    );
}

#[test]
fn a_configuration_has_an_end() {
    let chain: String = (0..MOST_SPIRITS + 5)
        .map(|n| spirit(&format!("s{n}"), to(&[&format!("s{}", n + 1)])))
        .collect();
    let told = said("s0", &chain);
    assert!(
        told.len() == 1 && told[0].contains("lead to more than 64 Spirits"),
        "{told:?}"
    );
}

const ORACLE: &str = r#"{"provider": "openai", "model": "small", "apiKey": {"secretRef": {"name": "model", "key": "key"}}}"#;
const SECRET: &str = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: model}\nstringData: {key: not-a-real-key}\n";

fn with_oracle(oracle: &str) -> Value {
    let oracle: Value = serde_json::from_str(oracle).unwrap();
    json!({
        "routes": [{"spirit": "billing", "description": "Invoices."}], "oracle": oracle, "reconsider": true,
    })
}

#[test]
fn an_oracle_that_picks_is_compiled_as_any_other_also_a_routed_spirits() {
    let billing = spirit("billing", Value::Null);
    let asks = spirit("desk", with_oracle(ORACLE));
    let front = spirit("barista", to(&["desk"]));
    let config = compiled("barista", &[&*front, &asks, &billing, SECRET].concat()).unwrap();
    let desk = config.spirits["desk"].pathfinder.as_ref().unwrap();
    let Some(CompiledOracle::Openai(oracle)) = &desk.oracle else {
        panic!("{desk:?}")
    };
    assert_eq!(oracle.model, "small");
    assert!(desk.reconsider && desk.sticky && !desk.switch);
    let files: Vec<String> = config
        .secret_files()
        .iter()
        .map(|file| format!("{}/{}", file.name, file.key))
        .collect();
    assert!(files.contains(&"model/key".to_owned()), "{files:?}");

    let told = said("barista", &[&*front, &asks, &billing].concat());
    assert!(
        told.len() == 1
            && told[0].starts_with(
                "[SecretNotFound] Spirit/desk spec.pathfinder.oracle.apiKey.secretRef"
            ),
        "{told:?}"
    );
    let pods = ORACLE.replace("openai", "vertexai").replace(
        r#""apiKey": {"secretRef": {"name": "model", "key": "key"}}"#,
        r#""project": "cafe-1234", "location": "global""#,
    );
    let pods = spirit("barista", with_oracle(&pods));
    let config = compiled("barista", &[&*pods, &billing].concat()).unwrap();
    assert!(config.pod_identities().google);
}

#[test]
fn a_script_of_an_oracle_that_picks_is_watched() {
    let oracle =
        r#"{"provider": "scripted", "script": {"configMapRef": {"name": "guess", "key": "yaml"}}}"#;
    let manifests = manifests(&spirit("barista", with_oracle(oracle)));
    let watched = referenced_config_maps(&manifests.spirits["barista"].spec);
    assert!(watched.iter().any(|reference| reference.name == "guess"));
}

#[test]
fn a_pathfinder_that_could_never_do_what_it_says_is_refused() {
    let route = |route: Value| json!({"routes": [route]});
    for (pathfinder, says) in [
        (
            route(json!({"spirit": "billing"})),
            "when, description or both are needed",
        ),
        (
            route(json!({"spirit": "billing", "description": "Invoices."})),
            "a description is for an oracle that picks, or for agents that switch",
        ),
        (
            json!({"routes": [{"spirit": "billing", "when": "true"}], "oracle": {"provider": "openai", "model": "m"}}),
            "an oracle picks by description",
        ),
        (
            json!({"routes": [{"spirit": "billing", "when": "true"}], "reconsider": true}),
            "reconsider is for an oracle that picks",
        ),
    ] {
        let said = refused(pathfinder);
        assert!(said.contains(says), "{says}: {said}");
    }
    let switches =
        json!({"routes": [{"spirit": "billing", "description": "Invoices."}], "switch": true});
    assert_eq!(refused(switches), "");
}
