//! Scouts and Actions from manifests to the runtime's configuration; what the docs show is sound.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

use std::path::Path;

use eywa_crds::{
    compile::{DefaultStores, Defaults, Problem, compile_spirit, referenced_config_maps},
    manifest::Manifests,
    runtime_config::{CompiledSpirit, RedisUrls, RuntimeConfig, ScoutSource},
};
use serde_json::{Value, json};

const SCOUTS: &str = include_str!("../../docs/scouts.md");
const ACTIONS: &str = include_str!("../../docs/actions.md");

const AROUND: &str = r#"
---
apiVersion: v1
kind: Secret
metadata: {name: crm}
stringData: {bearer: not-a-real-token}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: facts}
data:
  hours.md: "Open until {{ now.hour }}."
  long.md: "LONG"
  wrong.md: "{{ text }}"
"#;

fn manifests(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add(Path::new("spirit.yaml"), text);
    manifests
}

fn compiled_from(manifests: &Manifests) -> Result<CompiledSpirit, Vec<Problem>> {
    let stores = DefaultStores::Redis(RedisUrls::Plain("redis://127.0.0.1:6379".to_owned()));
    let defaults = Defaults {
        stores,
        ..Defaults::default()
    };
    let surroundings = manifests.surroundings("cafe", defaults);
    let config = compile_spirit(&manifests.spirits["barista"], &surroundings)?;
    assert_eq!(
        RuntimeConfig::from_json(&config.to_json().unwrap()).unwrap(),
        config
    );
    Ok(config.spirits["barista"].clone())
}

fn spirit(fields: &Value) -> String {
    let mut spec = json!({
        "persona": {"text": "You serve coffee."},
        "oracle": {"provider": "scripted", "script": {"rules": [{"reply": {"text": "hi"}}]}},
    });
    let fields = fields.as_object().unwrap().clone();
    spec.as_object_mut().unwrap().extend(fields);
    let object = json!({
        "apiVersion": "eywa.dev/v1alpha1", "kind": "Spirit", "metadata": {"name": "barista"}, "spec": spec,
    });
    let around = AROUND.replace("LONG", &"x".repeat(40_000));
    format!("{object}\n{around}")
}

fn compiled(fields: &Value) -> CompiledSpirit {
    let manifests = manifests(&spirit(fields));
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    compiled_from(&manifests).unwrap()
}

/// What the API server would say.
fn refused(fields: &Value) -> String {
    let problems = manifests(&spirit(fields)).problems;
    assert!(!problems.is_empty(), "the API server would take {fields}");
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}

/// What compiling says of what the API server takes.
fn problems(fields: &Value) -> Vec<String> {
    let manifests = manifests(&spirit(fields));
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let problems = compiled_from(&manifests).unwrap_err();
    problems
        .iter()
        .map(|problem| {
            format!(
                "{} {}: {}",
                problem.reason.as_str(),
                problem.field,
                problem.message
            )
        })
        .collect()
}

fn scout(source: Value) -> Value {
    let mut scout = json!({"name": "one"});
    let source = source.as_object().unwrap().clone();
    scout.as_object_mut().unwrap().extend(source);
    json!({"scouts": [scout]})
}

fn action(http: Value) -> Value {
    json!({"actions": [{"name": "order", "description": "Orders.", "http": http}]})
}

/// Every Spirit that a page shows, by itself.
fn shown(docs: &str) -> Vec<Manifests> {
    let blocks: Vec<Manifests> = docs
        .split("```yaml\n")
        .skip(1)
        .map(|rest| manifests(rest.split("```").next().unwrap()))
        .filter(|manifests| !manifests.spirits.is_empty() || !manifests.problems.is_empty())
        .collect();
    assert!(!blocks.is_empty(), "the docs lost their examples");
    blocks
}

#[test]
fn what_the_docs_show_is_sound() {
    for page in [SCOUTS, ACTIONS] {
        for manifests in shown(page) {
            assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
            compiled_from(&manifests).unwrap();
        }
    }
}

#[test]
fn an_http_scout_keeps_all_that_it_says() {
    let http = json!({
        "url": "https://crm.example/people/{{ user.id }}",
        "headers": [{"name": "X-Asks", "value": "{{ session.id }}"}],
        "headersFrom": [{"name": "Authorization", "secretRef": {"name": "crm", "key": "bearer"}}],
        "pick": {"milk": "/prefers/milk", "last drink": "/orders/0/a~1b"},
        "cache": "5m",
    });
    let spirit = compiled(&scout(json!({"http": http, "when": "voice == 'wa'"})));
    assert_eq!(
        serde_json::to_value(&spirit.scouts).unwrap(),
        json!([{
            "name": "one",
            "source": {"http": {
                "url": "https://crm.example/people/{{ user.id }}",
                "headers": [{"name": "X-Asks", "value": "{{ session.id }}"}],
                "headersFrom": [{"name": "Authorization", "value": {"name": "crm", "key": "bearer"}}],
                "pick": {"milk": "/prefers/milk", "last drink": "/orders/0/a~1b"},
                "cache": "5m",
            }},
            "timeout": "2s",
            "when": "voice == 'wa'",
        }])
    );
}

#[test]
fn a_static_scout_is_a_text_wherever_it_is_written() {
    let inline = compiled(&scout(json!({"text": "Open on {{ now.weekday }}."})));
    assert_eq!(
        inline.scouts[0].source,
        ScoutSource::Text("Open on {{ now.weekday }}.".to_owned())
    );
    let referenced = scout(json!({"configMapRef": {"name": "facts", "key": "hours.md"}}));
    assert_eq!(
        compiled(&referenced).scouts[0].source,
        ScoutSource::Text("Open until {{ now.hour }}.".to_owned())
    );
    // What the operator watches, and rolls the pods for.
    let manifests = manifests(&spirit(&referenced));
    let watched: Vec<String> = referenced_config_maps(&manifests.spirits["barista"].spec)
        .into_iter()
        .map(|reference| reference.name)
        .collect();
    assert_eq!(watched, ["facts"]);
}

#[test]
fn the_names_of_what_is_looked_up_anyway_are_taken() {
    for name in ["lore", "imprint"] {
        let said = refused(&scout(json!({"text": "a", "name": name})));
        assert!(said.contains("name it otherwise"), "{said}");
    }
}

#[test]
fn a_scout_has_exactly_one_source() {
    for source in [
        json!({}),
        json!({"text": "a", "http": {"url": "https://crm.example/"}}),
        json!({"text": "a", "configMapRef": {"name": "facts", "key": "hours.md"}}),
    ] {
        let said = refused(&scout(source));
        assert!(
            said.contains("exactly one of http, configMapRef and text is needed"),
            "{said}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_scout_is_told_with_its_field() {
    let map = |name: &str, key: &str| scout(json!({"configMapRef": {"name": name, "key": key}}));
    let http = |more: Value| {
        let mut http = json!({"url": "https://crm.example/"});
        http.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        scout(json!({"http": http}))
    };
    let from = json!([{"name": "Authorization", "secretRef": {"name": "crm", "key": "bearer"}}]);
    for (fields, says) in [
        (
            map("none", "a"),
            "ConfigMapNotFound spec.scouts[0].configMapRef: there is no ConfigMap \"none\"",
        ),
        (
            map("facts", "a"),
            "ConfigMapKeyMissing spec.scouts[0].configMapRef: ConfigMap \"facts\" has no key \"a\"",
        ),
        (
            map("facts", "wrong.md"),
            "TemplateInvalid spec.scouts[0].configMapRef: \"text\" is not known here",
        ),
        (
            map("facts", "long.md"),
            "SpecInvalid spec.scouts[0].configMapRef: it is 40000 bytes long",
        ),
        (
            scout(json!({"text": "{{ arguments.x }}"})),
            "TemplateInvalid spec.scouts[0].text",
        ),
        (
            http(json!({"headers": [{"name": "Host", "value": "x"}]})),
            "SpecInvalid spec.scouts[0].http.headers[0].name: \"Host\" is the connection's own",
        ),
        (
            http(json!({"headers": [{"name": "x", "value": "{{ arguments.x }}"}]})),
            "TemplateInvalid spec.scouts[0].http.headers[0].value",
        ),
        (
            http(json!({"headers": [{"name": "x", "value": "a\nb"}]})),
            "line break",
        ),
        (
            http(
                json!({"headers": [{"name": "authorization", "value": "x"}], "headersFrom": from}),
            ),
            "the header \"authorization\" is written twice",
        ),
        (
            http(json!({"pick": {"a: b": "/x"}})),
            "SpecInvalid spec.scouts[0].http.pick.a: b: a label stands before",
        ),
    ] {
        let said = problems(&fields);
        assert!(
            said.len() == 1 && said[0].contains(says),
            "{says}: {said:?}"
        );
    }
    for (more, says) in [
        (json!({"pick": {"a": "x/y"}}), "pick.a"),
        (json!({"pick": {"a": "/x~2"}}), "pick.a"),
        (
            json!({"cache": "25h"}),
            "cache must be longer than 0 and at most 24h",
        ),
        (
            json!({"cache": "0s"}),
            "cache must be longer than 0 and at most 24h",
        ),
    ] {
        let said = refused(&http(more));
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn an_action_keeps_all_that_it_says() {
    let http = json!({
        "method": "PATCH",
        "url": "https://shop.example/orders/{{ arguments.order }}",
        "query": {"lang": "en", "tag": "{{ arguments.tags }}"},
        "body": {"cups": "{{ arguments.cups }}", "by": {"id": "{{ user.id }}", "vip": true}},
        "headers": [{"name": "X-Table", "value": "{{ arguments.table }}"}],
        "pick": {"total": "/total"},
        "maxResponse": 2048,
        "idempotencyKey": "X-Request-Id",
        "retries": 3,
    });
    let spirit = compiled(&action(http.clone()));
    let mut expected = http;
    expected.as_object_mut().unwrap().extend(
        json!({
            "name": "order", "description": "Orders.", "timeout": "10s", "headersFrom": [],
            "parameters": {"type": "object", "properties": {}},
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    assert_eq!(serde_json::to_value(&spirit.actions[0]).unwrap(), expected);
    let plain = compiled(&action(json!({"url": "https://shop.example/"})));
    let plain = &plain.actions[0];
    assert_eq!(plain.idempotency_key.as_deref(), Some("Idempotency-Key"));
    assert_eq!((plain.max_response, plain.retries), (65_536, 0));
    let off = json!({"url": "https://shop.example/", "idempotencyKey": ""});
    assert_eq!(compiled(&action(off)).actions[0].idempotency_key, None);
}

#[test]
fn what_is_wrong_with_an_action_is_told_with_its_field() {
    let http = |more: Value| {
        let mut http = json!({"url": "https://shop.example/"});
        http.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        action(http)
    };
    for (more, says) in [
        (
            json!({"body": {"a": {"b": ["{{ order.id }}"]}}}),
            "TemplateInvalid spec.actions[0].http.body.a.b[0]: \"order.id\" is not known",
        ),
        (
            json!({"body": {"{{ voice }}": 1}}),
            "TemplateInvalid spec.actions[0].http.body.{{ voice }}",
        ),
        (
            json!({"query": {"q": "{{ arguments.q"}}),
            "TemplateInvalid spec.actions[0].http.query.q",
        ),
        (
            json!({"headers": [{"name": "idempotency-key", "value": "1"}]}),
            "SpecInvalid spec.actions[0].http.idempotencyKey",
        ),
        (
            json!({"idempotencyKey": "Host"}),
            "SpecInvalid spec.actions[0].http.idempotencyKey",
        ),
        (
            json!({"headers": [{"name": "a", "value": "1"}, {"name": "A", "value": "2"}]}),
            "SpecInvalid spec.actions[0].http.headers[1].name",
        ),
    ] {
        let said = problems(&http(more));
        assert!(
            said.len() == 1 && said[0].contains(says),
            "{says}: {said:?}"
        );
    }
    for (more, says) in [
        (
            json!({"method": "GET", "body": {}}),
            "a body is for POST, PUT and PATCH",
        ),
        (json!({"retries": 6}), "retries"),
        (json!({"maxResponse": 1048577}), "maxResponse"),
        (json!({"idempotencyKey": "a b"}), "idempotencyKey"),
        (json!({"query": {"q": 3}}), "query.q"),
    ] {
        let said = refused(&http(more));
        assert!(said.contains(says), "{says}: {said}");
    }
}
