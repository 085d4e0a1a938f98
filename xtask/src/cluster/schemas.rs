//! JSON Schemas of everything a cluster serves, for checking manifests without one.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::process;

const DEFINITIONS: &str = "definitions.json";

/// Writes a schema per kind into `folder`, as `KIND-GROUP-VERSION.json` in lower case (the core
/// group is left out), from what the cluster that `kubectl` calls says of itself. They refuse
/// fields that they do not know, as the API server does for a strict request.
///
/// `kubeconform` takes them by
/// `-schema-location 'FOLDER/{{.ResourceKind}}{{.KindSuffix}}.json'`.
pub fn write(kubectl: &mut Command, folder: &Path) -> Result<()> {
    let text = process::read(kubectl.args(["get", "--raw=/openapi/v2"]))?;
    let mut document: Value = serde_json::from_str(&text)?;
    let definitions = document["definitions"]
        .as_object_mut()
        .context("the cluster describes no types")?;

    let draft = folder.with_extension("draft");
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(&draft)?;
    for (name, schema) in definitions.iter_mut() {
        for kind in kinds(schema) {
            let reference = json!({"$ref": format!("{DEFINITIONS}#/definitions/{name}")});
            fs::write(draft.join(format!("{kind}.json")), reference.to_string())?;
        }
        make_strict(name, schema);
    }
    let all = json!({"definitions": definitions});
    fs::write(draft.join(DEFINITIONS), all.to_string())?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::rename(draft, folder)?)
}

/// The names by which a manifest asks for this type: none for a part of others.
fn kinds(schema: &Value) -> Vec<String> {
    schema["x-kubernetes-group-version-kind"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|id| {
            let word = |key: &str| id[key].as_str().unwrap_or_default();
            // `networking.k8s.io` is `networking` to kubeconform.
            let group = word("group").split('.').next().unwrap_or_default();
            let words = [word("kind"), group, word("version")];
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            words.join("-").to_lowercase()
        })
        .collect()
}

/// OpenAPI 2 says less than the API server holds to, and some of it in its own words.
fn make_strict(name: &str, schema: &mut Value) {
    if name.ends_with(".IntOrString") {
        *schema = json!({"type": ["string", "integer", "null"]});
        return;
    }
    if name.ends_with(".Quantity") {
        *schema = json!({"type": ["string", "number", "null"]});
        return;
    }
    refine(schema);
}

fn refine(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(refine);
        let open = object.contains_key("x-kubernetes-preserve-unknown-fields");
        if !open && !object.contains_key("additionalProperties") {
            object.insert("additionalProperties".into(), false.into());
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            refine(inner);
        }
    }
    localize(object);
}

/// References name the document of all types; absence may be written as null.
fn localize(object: &mut Map<String, Value>) {
    if let Some(Value::String(reference)) = object.get_mut("$ref") {
        *reference = reference.replace("#/", &format!("{DEFINITIONS}#/"));
    }
    if object.get("format").is_some_and(|f| f == "int-or-string") {
        object.insert("type".into(), json!(["string", "integer", "null"]));
        object.remove("format");
    } else if let Some(Value::String(kind)) = object.get("type") {
        let or_null = json!([kind, "null"]);
        object.insert("type".into(), or_null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_as_kubeconform_asks_for_it() {
        let schema = json!({"x-kubernetes-group-version-kind": [
            {"group": "", "kind": "Pod", "version": "v1"},
            {"group": "networking.k8s.io", "kind": "Ingress", "version": "v1"},
        ]});
        assert_eq!(kinds(&schema), ["pod-v1", "ingress-networking-v1"]);
        assert!(kinds(&json!({"type": "object"})).is_empty());
    }

    #[test]
    fn an_unknown_field_is_refused_unless_the_type_is_open() {
        let mut closed = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        refine(&mut closed);
        assert_eq!(closed["additionalProperties"], json!(false));
        assert_eq!(closed["properties"]["a"]["type"], json!(["string", "null"]));

        let mut open = json!({
            "properties": {},
            "x-kubernetes-preserve-unknown-fields": true,
        });
        refine(&mut open);
        assert_eq!(open.get("additionalProperties"), None);
    }

    #[test]
    fn a_reference_names_the_document_of_all_types() {
        let mut schema = json!({"items": {"$ref": "#/definitions/io.k8s.X"}});
        refine(&mut schema);
        assert_eq!(
            schema["items"]["$ref"],
            "definitions.json#/definitions/io.k8s.X"
        );
    }

    #[test]
    fn a_quantity_may_be_a_number() {
        let mut schema = json!({"type": "string"});
        make_strict("io.k8s.apimachinery.pkg.api.resource.Quantity", &mut schema);
        assert_eq!(schema["type"], json!(["string", "number", "null"]));
    }
}
