//! The chart fits the operator: its arguments, its rights, and the metrics that its dashboard and alerts ask for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; clippy knows only functions marked #[test] as tests"
)]

use clap::CommandFactory;
use eywa_operator::settings::Settings;
use kube::core::cel::{
    KubeCelExt,
    cel::{Context, Program, Value as CelValue},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// Metrics that only alerts ask for.
const ALERTED: [(&str, &[&str]); 1] = [(
    "eywa_oracle_circuit_open",
    &["gen_ai_provider_name", "gen_ai_request_model"],
)];

/// Every metric there is, with its labels. A histogram is queried by its `_bucket`, `_sum` and `_count`.
const METRICS: [(&str, &[&str]); 23] = [
    ("eywa_action_calls_total", &["spirit", "action", "outcome"]),
    (
        "eywa_action_duration_seconds",
        &["spirit", "action", "outcome"],
    ),
    ("eywa_api_writes_total", &["kind", "outcome"]),
    ("eywa_bond_acquisitions_total", &["spirit", "outcome"]),
    ("eywa_bond_hold_seconds", &["spirit"]),
    ("eywa_bond_lost_total", &["spirit"]),
    ("eywa_build_info", &["version", "commit"]),
    ("eywa_inbox_oldest_seconds", &["spirit"]),
    ("eywa_inbox_pulses", &["spirit"]),
    ("eywa_leader", &[]),
    ("eywa_objects", &["kind", "ready"]),
    ("eywa_pulse_duration_seconds", &["spirit", "voice"]),
    ("eywa_pulses_total", &["spirit", "voice", "outcome"]),
    ("eywa_reconcile_duration_seconds", &["kind"]),
    ("eywa_reconciliations_total", &["kind", "outcome"]),
    ("eywa_scout_harvests_total", &["spirit", "scout", "outcome"]),
    ("eywa_stage_duration_seconds", &["spirit", "stage"]),
    ("eywa_vigil_takeover_seconds", &["spirit"]),
    ("eywa_vigils", &["spirit", "phase"]),
    ("eywa_voice_messages_total", &["spirit", "voice", "outcome"]),
    ("eywa_weave_overhead_seconds", &["spirit", "voice"]),
    ("gen_ai_client_operation_duration_seconds", GEN_AI),
    ("gen_ai_client_token_usage", GEN_AI),
];

const GEN_AI: &[&str] = &[
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_operation_name",
    "gen_ai_token_type",
    "error_type",
];

fn chart(path: &str) -> String {
    let chart = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../charts/eywa");
    fs::read_to_string(chart.join(path)).unwrap()
}

/// The queries of the dashboard, each with its panel's title.
fn dashboard() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&chart("files/dashboards/eywa.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap().to_owned();
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            targets
                .into_iter()
                .map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
        })
        .collect()
}

fn alerts() -> Vec<(String, String)> {
    let rules: Value = serde_saphyr::from_str(&chart("files/alerts/eywa.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
    rules
        .map(|rule| (text(rule, "alert"), text(rule, "expr")))
        .collect()
}

/// The words of a query that name one of our metrics, without the suffixes of histograms.
fn metrics_in(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("eywa_") || word.starts_with("gen_ai_client"))
        .map(|word| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end))
                .unwrap_or(word)
                .to_owned()
        })
        .collect()
}

/// The labels that a query selects and groups by.
fn labels_in(query: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for group in query.split("by (").skip(1) {
        let group = group.split(')').next().unwrap();
        labels.extend(group.split(',').map(|label| label.trim().to_owned()));
    }
    for selector in query.split('{').skip(1) {
        let selector = selector.split('}').next().unwrap();
        let matchers = selector
            .split(',')
            .map(|matcher| matcher.split(['=', '!']).next().unwrap().trim());
        labels.extend(matchers.map(str::to_owned));
    }
    labels
}

#[test]
fn the_dashboard_and_the_alerts_ask_only_for_metrics_and_labels_that_there_are() {
    let (dashboard, alerts) = (dashboard(), alerts());
    assert!(dashboard.len() > 20 && alerts.len() > 5);
    for (title, query) in dashboard.into_iter().chain(alerts) {
        let names = metrics_in(&query);
        assert!(!names.is_empty(), "{title}: {query}");
        // What a scrape adds, and what a histogram has.
        let mut known: BTreeSet<&str> = BTreeSet::from(["namespace", "le"]);
        for name in &names {
            let metric = METRICS
                .iter()
                .chain(&ALERTED)
                .find(|(metric, _)| metric == name);
            known.extend(
                metric
                    .unwrap_or_else(|| panic!("{title} asks for {name}"))
                    .1,
            );
        }
        for label in labels_in(&query) {
            assert!(
                known.contains(label.as_str()),
                "{title} asks for the label {label} of {names:?}"
            );
        }
    }
}

#[test]
fn the_dashboard_shows_each_part_of_the_pipeline() {
    let shown: BTreeSet<String> = dashboard()
        .iter()
        .flat_map(|(_, query)| metrics_in(query))
        .collect();
    for (metric, _) in METRICS.iter().filter(|(metric, _)| metric.contains('_')) {
        assert!(shown.contains(*metric), "{metric} is on no panel");
    }
}

#[test]
fn every_argument_that_the_chart_gives_is_one_that_the_operator_takes() {
    let template = chart("templates/operator-deployment.yaml");
    let given: Vec<&str> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- --")?.split('=').next())
        .collect();
    assert!(given.len() >= 9, "{given:?}");
    let command = Settings::command();
    let taken: BTreeSet<&str> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .collect();
    for argument in given {
        assert!(
            taken.contains(argument),
            "the operator does not take --{argument}"
        );
    }
}

/// The rules that the chart gives the operator in a namespace that it watches.
fn operator_rules() -> Vec<Value> {
    let helpers = chart("templates/_helpers.tpl");
    let rules = helpers
        .split(r#"define "eywa.operatorRules" -}}"#)
        .nth(1)
        .unwrap();
    let rules = rules.split("\n\n").next().unwrap();
    let rules: Vec<&str> = rules.lines().filter(|line| !line.contains("{{")).collect();
    serde_saphyr::from_str(&rules.join("\n")).unwrap()
}

fn allows(rules: &[Value], group: &str, resource: &str, verb: &str) -> bool {
    let has = |rule: &Value, key: &str, wanted: &str| {
        rule[key]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one == wanted)
    };
    let mut rules = rules.iter();
    rules.any(|rule| {
        has(rule, "apiGroups", group)
            && has(rule, "resources", resource)
            && has(rule, "verbs", verb)
    })
}

/// The API server lets nobody hand out rights that they do not have.
#[test]
fn the_operator_has_every_right_that_it_hands_to_runtimes() {
    let rules = operator_rules();
    let role = fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(
            "src/spirit/build/snapshots/eywa_operator__spirit__build__tests__who_the_pods_are_and_what_they_may_do.snap",
        ),
    )
    .unwrap();
    let objects: Vec<Value> =
        serde_saphyr::from_str(role.splitn(3, "---").nth(2).unwrap()).unwrap();
    let handed = objects[1]["rules"].as_array().unwrap();
    assert!(!handed.is_empty());
    for rule in handed {
        for resource in rule["resources"].as_array().unwrap() {
            for verb in rule["verbs"].as_array().unwrap() {
                let (resource, verb) = (resource.as_str().unwrap(), verb.as_str().unwrap());
                let group = rule["apiGroups"][0].as_str().unwrap();
                assert!(allows(&rules, group, resource, verb), "{verb} {resource}");
            }
        }
    }
}

#[test]
fn the_operator_may_neither_list_nor_change_more_than_its_work_needs() {
    let rules = operator_rules();
    for (group, resource, verb) in [
        ("", "pods", "create"),
        ("", "pods/exec", "create"),
        ("", "secrets", "update"),
        ("eywa.dev", "spirits", "patch"),
        ("eywa.dev", "vigils", "update"),
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
        ("rbac.authorization.k8s.io", "roles", "escalate"),
        ("rbac.authorization.k8s.io", "roles", "bind"),
        ("rbac.authorization.k8s.io", "clusterroles", "create"),
    ] {
        assert!(!allows(&rules, group, resource, verb), "{verb} {resource}");
    }
    for rule in &rules {
        assert!(!rule.to_string().contains('*'), "{rule}");
    }
}

/// A key that the schema does not know would be refused in anyone's values file, and one without a default is hidden.
#[test]
fn the_schema_knows_exactly_the_keys_that_have_defaults() {
    fn compare(path: &str, defaults: &Value, schema: &Value) {
        let (Some(defaults), Some(properties)) =
            (defaults.as_object(), schema["properties"].as_object())
        else {
            return;
        };
        assert_eq!(
            schema["additionalProperties"], false,
            "{path} lets unknown keys through"
        );
        let known: BTreeSet<&String> = properties.keys().filter(|key| *key != "global").collect();
        assert_eq!(defaults.keys().collect::<BTreeSet<_>>(), known, "{path}");
        for (key, value) in defaults {
            compare(&format!("{path}.{key}"), value, &properties[key]);
        }
    }
    let defaults: Value = serde_saphyr::from_str(&chart("values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&chart("values.schema.json")).unwrap();
    compare("values", &defaults, &schema);
}

/// The policy's expressions for one kind, as the template writes them: variables by name, then validations.
struct VerifiedBy {
    exempt: Vec<String>,
    variables: Vec<(String, String)>,
    validations: Vec<String>,
}

impl VerifiedBy {
    /// As rendered for a kind whose orders stand in `word`, where `none` is no order.
    fn of(word: &str, none: &str) -> Self {
        let template = chart("templates/verified-by.yaml")
            .replace("{{ .word }}", word)
            .replace("{{ .none }}", none)
            .replace("{{ $.Release.Namespace }}", "eywa")
            .replace(r#"{{ include "eywa.name" $ }}"#, "eywa");
        let part = |from: &str, to: &str| {
            let part = template.split(from).nth(1).unwrap();
            part.split(to).next().unwrap().to_owned()
        };
        let expressions = |part: &str| -> Vec<String> {
            part.lines()
                .filter_map(|line| line.split_once(r#"expression: ""#))
                .map(|(_, rest)| rest.trim_end_matches('"').to_owned())
                .collect()
        };
        let variables = part("  variables:", "  validations:");
        let names = variables
            .lines()
            .filter_map(|line| line.split_once("name: "))
            .map(|(_, name)| name.to_owned());
        Self {
            exempt: expressions(&part("  matchConditions:", "  variables:")),
            variables: names.zip(expressions(&variables)).collect(),
            validations: expressions(&part("  validations:", "---")),
        }
    }

    /// Whether the API server would take this from `user`.
    fn takes(&self, user: &str, before: Option<Value>, now: Value) -> bool {
        let mut context = Context::default().with_all();
        let request = json!({"userInfo": {"username": user}, "namespace": "cafe"});
        context.add_variable("request", request).unwrap();
        context.add_variable("oldObject", before).unwrap();
        context.add_variable("object", now).unwrap();
        let ask = |expression: &str, context: &Context<'_>| {
            let program = Program::compile(expression).unwrap();
            program
                .execute(context)
                .unwrap_or_else(|error| panic!("{expression}: {error}"))
        };
        let holds = |expression: &String, context: &Context<'_>| match ask(expression, context) {
            CelValue::Bool(holds) => holds,
            other => panic!("{expression} gives {other:?}"),
        };
        if !self.exempt.iter().all(|one| holds(one, &context)) {
            return true;
        }
        let mut variables = serde_json::Map::new();
        for (name, expression) in &self.variables {
            let value = match ask(expression, &context) {
                CelValue::Bool(value) => Value::from(value),
                CelValue::String(value) => Value::from(value.to_string()),
                other => panic!("{name} is {other:?}"),
            };
            variables.insert(name.clone(), value);
        }
        context
            .add_variable("variables", Value::Object(variables))
            .unwrap();
        self.validations.iter().all(|one| holds(one, &context))
    }
}

#[test]
fn who_takes_over_by_kubectl_signs_with_their_own_name() {
    let policy = VerifiedBy::of("takeover", "false");
    assert_eq!(
        (
            policy.exempt.len(),
            policy.variables.len(),
            policy.validations.len()
        ),
        (2, 4, 2)
    );
    let (ana, ben) = ("ana@cafe.example", "ben@cafe.example");
    let vigil = |spec: Value| json!({"spec": spec});
    let plain = || vigil(json!({"session": "wa/1"}));
    let taken = |by: &str| vigil(json!({"session": "wa/1", "takeover": true, "by": by}));
    let given = |by: &str| vigil(json!({"session": "wa/1", "takeover": false, "by": by}));

    assert!(policy.takes(ana, None, plain()));
    assert!(policy.takes(ana, None, taken(ana)));
    assert!(!policy.takes(ana, None, taken(ben)), "in another's name");
    let unsigned = vigil(json!({"session": "wa/1", "takeover": true}));
    assert!(!policy.takes(ana, Some(plain()), unsigned), "in nobody's");
    assert!(policy.takes(ana, Some(given(ben)), taken(ana)));
    assert!(
        !policy.takes(ana, Some(given(ben)), taken(ben)),
        "under the name that stood there"
    );
    assert!(
        !policy.takes(ana, Some(taken(ben)), given(ben)),
        "nor given back so"
    );
    assert!(policy.takes(ana, Some(taken(ben)), given(ana)));
    let labelled = json!({"metadata": {"labels": {"a": "b"}}, "spec": taken(ben)["spec"]});
    assert!(
        policy.takes(ana, Some(taken(ben)), labelled),
        "an edit that is no order"
    );

    let runtime = "system:serviceaccount:cafe:barista-runtime";
    assert!(
        policy.takes(runtime, None, taken(ben)),
        "it writes down what people do"
    );
    let elsewhere = "system:serviceaccount:shop:barista-runtime";
    assert!(
        !policy.takes(elsewhere, None, taken(ben)),
        "that of another namespace"
    );
    assert!(policy.takes("system:serviceaccount:eywa:eywa-operator", None, taken(ben)));
    assert!(!policy.takes("system:serviceaccount:cafe:default", None, taken(ben)));
}

#[test]
fn who_decides_by_kubectl_signs_with_their_own_name() {
    let policy = VerifiedBy::of("decision", "''");
    let rite = |spec: Value| json!({"spec": spec});
    let pending = || rite(json!({"action": "refund", "decision": ""}));
    let decided = |by: &str| rite(json!({"action": "refund", "decision": "Approved", "by": by}));
    let ana = "ana@cafe.example";
    assert!(policy.takes(ana, Some(pending()), decided(ana)));
    assert!(!policy.takes(ana, Some(pending()), decided("ben@cafe.example")));
    let unsigned = rite(json!({"action": "refund", "decision": "Approved"}));
    assert!(!policy.takes(ana, Some(pending()), unsigned));
}

/// `get vigils` opens the desk, so a role that Kubernetes hands to every viewer of a namespace must not have it.
#[test]
fn conversations_are_not_part_of_kubernetes_own_view() {
    let roles = chart("templates/roles.yaml");
    let named = |name: &str| {
        let start = roles.find(&format!("name: {name}\n")).unwrap();
        roles[start..].split("---").next().unwrap().to_owned()
    };
    for aggregated in ["eywa-aggregate-to-view", "eywa-author"] {
        let role = named(aggregated);
        assert!(role.contains("aggregate-to-"), "{aggregated}");
        assert!(
            !role.contains("vigils") && !role.contains("viewerRules"),
            "{aggregated}"
        );
    }
    assert!(!named("eywa-viewer").contains("aggregate-to-"));
    let attendant = named("eywa-attendant");
    assert!(attendant.contains("[vigils]") && attendant.contains("[rites]"));
}
