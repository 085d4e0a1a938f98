//! What reading manifests says.

use serde_json::Value;

use super::{kinds::schemas, *};

const SPIRIT: &str = "\
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata:
  name: barista
spec:
  persona:
    text: You serve coffee.
  oracle:
    provider: openai
    model: gpt-5-mini
    apiKey: {secretRef: {name: openai, key: api-key}}
  voices:
  - name: web
    http:
      secretRef: {name: web, key: signing-key}
";

fn read(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add(Path::new("spirit.yaml"), text);
    manifests
}

fn problems(text: &str) -> Vec<String> {
    read(text)
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// What is said when one piece of the sound Spirit is replaced.
fn broken(from: &str, to: &str) -> String {
    assert!(SPIRIT.contains(from), "{from}");
    problems(&SPIRIT.replace(from, to)).join("\n")
}

#[test]
fn a_sound_manifest_is_read_with_its_defaults() {
    let manifests = read(SPIRIT);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let spec = &manifests.spirits["barista"].spec;
    assert_eq!(spec.limits.rounds, 8);
    assert_eq!(spec.runtime.replicas, 2);
    assert_eq!(spec.oracle.timeout.to_string(), "1m");
}

#[test]
fn what_is_wrong_comes_with_its_line_and_the_fix() {
    for (from, to, said) in [
        (
            "model:",
            "modle:",
            "spirit.yaml:10: spec.oracle.modle: unknown field; did you mean model?",
        ),
        (
            "    model:",
            "    temperatur: 1\n    model:",
            "spirit.yaml:10: spec.oracle.temperatur: unknown field; did you mean temperature?",
        ),
        (
            "openai\n",
            "opneai\n",
            "spirit.yaml:9: spec.oracle.provider: \"opneai\" is not one of \"anthropic\", \"bedrock\", \"gemini\", \"openai\", \"scripted\", \"vertexai\"",
        ),
        (
            "gpt-5-mini",
            "5",
            "spirit.yaml:10: spec.oracle.model: must be of type string, and is integer; put it in quotes",
        ),
        (
            "gpt-5-mini",
            "gpt-5-mini\n    temperature: 3",
            "spirit.yaml:11: spec.oracle.temperature: 3 is more than 2",
        ),
        (
            "gpt-5-mini",
            "gpt-5-mini\n    timeout: 30",
            "spirit.yaml:11: spec.oracle.timeout: must be of type string, and is integer; put it in quotes",
        ),
        (
            "gpt-5-mini",
            "gpt-5-mini\n    timeout: 30d",
            "spirit.yaml:11: spec.oracle.timeout: \"30d\" is not a duration: write a number and a unit, such as 800ms, 30s, 15m or 1h30m",
        ),
        (
            "    text: You serve coffee.\n",
            "    {}\n",
            "spirit.yaml:6: spec.persona: exactly one of text and configMapRef is needed",
        ),
        (
            "    model: gpt-5-mini\n",
            "",
            "spirit.yaml:8: spec.oracle: model is needed for provider openai",
        ),
        (
            "  - name: web\n",
            "  - name: Web\n",
            "spirit.yaml:13: spec.voices[0].name: \"Web\" must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        ),
        (
            "  - name: web\n",
            "  - name: web\n    whatsapp: {phoneNumberId: \"1\", secretRef: {name: wa}}\n",
            "spirit.yaml:13: spec.voices[0]: exactly one of whatsapp and http is needed",
        ),
        (
            "  name: barista",
            "  name: Barista.1",
            "spirit.yaml:1: a Spirit's name is a DNS label of at most 50 characters: its children are named after it",
        ),
        (
            "  name: barista",
            "  nam: barista",
            "spirit.yaml:4: metadata.nam: unknown field; did you mean name?",
        ),
        (
            "kind: Spirit",
            "kind: Sprit",
            "spirit.yaml:2: kind: there is no kind \"Sprit\"; did you mean Spirit?",
        ),
        (
            "v1alpha1",
            "v1",
            "spirit.yaml:1: apiVersion: \"eywa.dev/v1\" is not served; use eywa.dev/v1alpha1",
        ),
        (
            "  persona:\n    text: You serve coffee.\n",
            "",
            "spirit.yaml:6: spec.persona: this field is needed",
        ),
    ] {
        assert_eq!(broken(from, to), said, "{to}");
    }
}

#[test]
fn two_voices_of_one_name_are_refused() {
    let again = "  - name: web\n    http:\n      secretRef: {name: web, key: signing-key}\n";
    assert_eq!(
        problems(&format!("{SPIRIT}{again}")),
        ["spirit.yaml:16: spec.voices[1]: \"web\" is there twice"]
    );
}

#[test]
fn a_rule_over_settings_is_checked_with_defaults_filled_in() {
    let with_bond = |bond: &str| problems(&format!("{SPIRIT}  bond: {bond}\n"));
    assert!(with_bond("{whenBusy: merge, merge: {quiet: 1s}}").is_empty());
    assert_eq!(
        with_bond("{merge: {quiet: 1s}}"),
        ["spirit.yaml:16: spec.bond: merge is only for whenBusy: merge"]
    );
    assert_eq!(
        with_bond("{whenBusy: merge, merge: {quiet: 21s}}"),
        ["spirit.yaml:16: spec.bond.merge: quiet must not be longer than cap"]
    );
}

#[test]
fn yaml_that_cannot_be_read_says_where() {
    let said = problems("apiVersion: v1\nkind: [\n");
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("spirit.yaml:") && said[0].contains("cannot be read"),
        "{said:?}"
    );
    let said = problems("apiVersion: v1\nkind: Secret\nkind: ConfigMap\n");
    assert!(said[0].starts_with("spirit.yaml:3"), "{said:?}");
}

#[test]
fn documents_are_told_apart_and_others_kinds_are_left_alone() {
    let text = format!(
        "{SPIRIT}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: shop}}\n---\n{SPIRIT}"
    );
    let manifests = read(&text);
    assert_eq!(manifests.ignored, ["Deployment/shop"]);
    assert_eq!(manifests.problems.len(), 1);
    assert!(
        manifests.problems[0]
            .message
            .contains("Spirit/barista is in spirit.yaml:1 already"),
        "{:?}",
        manifests.problems
    );
}

#[test]
fn secrets_are_read_and_never_shown() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {a: hunter2}\ndata: {b: aHVudGVyMw==}\n";
    let manifests = read(text);
    use secrecy::ExposeSecret;
    assert_eq!(manifests.secrets["web"]["a"].expose_secret(), "hunter2");
    assert_eq!(manifests.secrets["web"]["b"].expose_secret(), "hunter3");
    let shown = format!("{manifests:?}");
    assert!(
        !shown.contains("hunter") && !shown.contains("aHVudGVyMw"),
        "{shown}"
    );
    let malformed = problems(&text.replace("aHVudGVyMw==", "hunter2!"));
    assert!(
        !malformed.is_empty() && !malformed.concat().contains("hunter"),
        "{malformed:?}"
    );
}

#[test]
fn a_compile_problem_is_located() {
    let mut manifests = read(SPIRIT);
    manifests.add(
        Path::new("web.yaml"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {signing-key: x}\n",
    );
    let defaults = Defaults {
        stores: crate::compile::DefaultStores::Embedded,
        ..Defaults::default()
    };
    let around = manifests.surroundings("default", defaults);
    let found = crate::compile::compile_spirit(&manifests.spirits["barista"], &around).unwrap_err();
    let said: Vec<String> = found
        .iter()
        .map(|problem| manifests.locate(problem).to_string())
        .collect();
    assert_eq!(
        said,
        [
            "spirit.yaml:11: spec.oracle.apiKey.secretRef: there is no Secret \"openai\" in this namespace; create it with the key \"api-key\" (SecretNotFound)"
        ]
    );
}

#[test]
fn a_vigils_release_may_be_a_bare_zero_and_no_other_number() {
    let vigil = |release: &str| {
        read(&format!(
            "apiVersion: eywa.dev/v1alpha1\nkind: Vigil\nmetadata: {{name: ana}}\nspec:\n  spiritRef: {{name: barista}}\n  session: wa/5511999990000\n  releaseAfter: {release}\n"
        ))
    };
    for (release, seconds) in [("0", 0), ("\"0\"", 0), ("30m", 1800)] {
        let manifests = vigil(release);
        assert!(
            manifests.problems.is_empty(),
            "{release}: {:?}",
            manifests.problems
        );
        assert_eq!(
            manifests.vigils["ana"].spec.release_after,
            Some(crate::Duration::from_secs(seconds))
        );
    }
    assert_eq!(
        vigil("30").problems[0].to_string(),
        "spirit.yaml:7: spec.releaseAfter: 30 is more than 0; a duration needs a unit, such as 30m"
    );
}

#[test]
fn a_config_map_has_bytes_too_and_no_key_twice() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: menu}\ndata: {a.md: Tea.}\n";
    let binary = |data: &str| read(&format!("{map}binaryData:\n  {data}\n"));
    for written in ["b.pdf: JVBERv8=", "b.pdf: |\n    JVBE\n    Rv8="] {
        let manifests = binary(written);
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        assert_eq!(manifests.config_maps["menu"]["a.md"], "Tea.");
        assert_eq!(manifests.binary["menu"]["b.pdf"], b"%PDF\xff");
    }
    let twice = binary("a.md: VGVhLg==").problems[0].to_string();
    assert!(
        twice.contains("\"a.md\" is in data and in binaryData"),
        "{twice}"
    );
    assert!(!binary("b.pdf: no").problems.is_empty());
}

#[test]
fn every_schema_keyword_pattern_and_rule_is_one_that_is_understood() {
    fn walk(schema: &Value, path: &str) {
        for (keyword, value) in schema
            .as_object()
            .unwrap_or_else(|| panic!("{path} is no schema"))
        {
            assert!(
                structural::KEYWORDS.contains(&keyword.as_str()),
                "{path}: {keyword}"
            );
            match keyword.as_str() {
                "properties" => value
                    .as_object()
                    .unwrap()
                    .iter()
                    .for_each(|(name, field)| walk(field, &format!("{path}.{name}"))),
                "items" => walk(value, &format!("{path}[]")),
                "additionalProperties" if value.is_object() => {
                    walk(value, &format!("{path}.*"));
                }
                "pattern" => drop(regex::Regex::new(value.as_str().unwrap()).unwrap()),
                _ => {}
            }
        }
    }
    for ((_, kind), schema) in schemas().unwrap() {
        walk(&schema.schema, kind);
        assert!(
            !schema.rules.has_errors(),
            "{kind}: {:?}",
            schema.rules.compilation_errors()
        );
    }
}
