//! The CustomResourceDefinitions that the chart ships.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;

use eywa_crds::definitions::{definitions, in_chart};
use serde_json::Value;

#[test]
fn the_charts_definitions_are_what_the_types_say() {
    for definition in definitions().unwrap() {
        let file = in_chart(definition.plural);
        let written = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == definition.to_yaml().unwrap(),
            "{} is stale: run `cargo run -p eywa-crds --bin crdgen`",
            file.display()
        );
    }
}

#[test]
fn a_definition_is_read_back_from_its_yaml() {
    for definition in definitions().unwrap() {
        let read: Value = serde_saphyr::from_str(&definition.to_yaml().unwrap()).unwrap();
        assert_eq!(read, definition.crd);
    }
}

#[test]
fn every_kind_has_its_short_name_category_columns_and_status() {
    for (definition, (short, columns)) in definitions().unwrap().iter().zip([
        ("cd", vec!["Ready", "URL", "Tools", "Server", "Age"]),
        ("rt", vec!["Spirit", "Action", "Phase", "Expires", "Age"]),
        (
            "sp",
            vec!["Ready", "Provider", "Model", "Replicas", "URL", "Age"],
        ),
        (
            "vg",
            vec!["Spirit", "Session", "Phase", "By", "Unanswered", "Age"],
        ),
    ]) {
        let spec = &definition.crd["spec"];
        let version = &spec["versions"][0];
        assert_eq!(spec["names"]["shortNames"][0], short);
        assert_eq!(spec["names"]["categories"][0], "eywa");
        assert_eq!(spec["scope"], "Namespaced");
        assert!(version["subresources"]["status"].is_object());
        let named: Vec<&str> = version["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, columns, "{}", definition.kind);
    }
}

#[test]
fn every_field_of_a_spec_is_documented() {
    fn walk(schema: &Value, path: &str, foreign: bool) {
        // Inside of Kubernetes' own types the descriptions are left out: they are in Kubernetes' reference.
        let foreign = foreign
            || [
                "affinity",
                "env",
                "imagePullSecrets",
                "resources",
                "tolerations",
                "topologySpreadConstraints",
            ]
            .iter()
            .any(|name| path.ends_with(&format!(".{name}")));
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(
                foreign || field["description"].is_string(),
                "{path} has no description"
            );
            walk(field, &path, foreign);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], path, foreign);
        }
    }
    for definition in definitions().unwrap() {
        walk(
            &definition.schema()["properties"]["spec"],
            &format!("{}.spec", definition.kind),
            false,
        );
    }
}

#[test]
fn every_list_text_and_map_a_rule_may_see_is_bounded() {
    // The API server refuses a definition whose rules could cost too much; what is unbounded counts as very large.
    fn walk(schema: &Value, path: &str) {
        if schema["type"] == "array" {
            assert!(schema["maxItems"].is_u64(), "{path} has no maxItems");
            walk(&schema["items"], &format!("{path}[]"));
        }
        if schema["type"] == "string" {
            assert!(
                schema["maxLength"].is_u64() || schema["enum"].is_array(),
                "{path} has no maxLength"
            );
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(field, &format!("{path}.{name}"));
        }
    }
    for definition in definitions().unwrap() {
        let mut spec = definition.schema()["properties"]["spec"].clone();
        if definition.kind == "Spirit" {
            // No rule reads these; Kubernetes' own types are not ours to bound.
            spec["properties"]
                .as_object_mut()
                .unwrap()
                .remove("runtime");
        }
        if definition.kind == "Conduit" {
            spec["properties"]["server"]["properties"]
                .as_object_mut()
                .unwrap()
                .remove("env");
        }
        walk(&spec, definition.kind);
    }
}
