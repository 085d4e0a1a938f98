//! The kinds that are read, and what their objects are checked against.

use std::{collections::BTreeMap, sync::OnceLock};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{node::Node, structural::Fault};
use crate::{GROUP, VERSION, definitions::definitions};

/// What one kind's objects are checked against.
pub(super) struct KindSchema {
    pub(super) schema: Value,
    pub(super) rules: CompiledSchema,
}

impl KindSchema {
    pub(super) fn broken_rules(&self, document: &Node, value: &Value) -> Vec<Fault> {
        let Err(broken) = Validator::new().validate_compiled(&self.rules, value, None) else {
            return Vec::new();
        };
        broken
            .into_vec()
            .into_iter()
            .map(|broken| Fault {
                line: document.line_of(&broken.field_path),
                field: broken.field_path,
                message: broken.message,
            })
            .collect()
    }
}

pub(super) type Schemas = BTreeMap<(String, String), KindSchema>;

/// The schemas of every kind that is read, by apiVersion and kind.
pub(super) fn schemas() -> Result<&'static Schemas, &'static String> {
    static SCHEMAS: OnceLock<Result<Schemas, String>> = OnceLock::new();
    SCHEMAS.get_or_init(read_schemas).as_ref()
}

fn read_schemas() -> Result<Schemas, String> {
    let mut schemas = BTreeMap::new();
    let metadata = kubernetes_schema::<ObjectMeta>();
    for definition in definitions().map_err(|error| error.to_string())? {
        let mut schema = definition.schema().clone();
        let properties = &mut schema["properties"];
        properties["apiVersion"] = json!({"type": "string"});
        properties["kind"] = json!({"type": "string"});
        properties["metadata"] = metadata.clone();
        schema["required"] = json!(["metadata", "spec"]);
        insert(
            &mut schemas,
            format!("{GROUP}/{VERSION}"),
            definition.kind,
            schema,
        );
    }
    for (kind, schema) in [
        ("Secret", kubernetes_schema::<Secret>()),
        ("ConfigMap", kubernetes_schema::<ConfigMap>()),
    ] {
        insert(&mut schemas, "v1".to_owned(), kind, schema);
    }
    Ok(schemas)
}

fn insert(schemas: &mut Schemas, api_version: String, kind: &str, schema: Value) {
    let rules = compile_schema(&schema);
    schemas.insert((api_version, kind.to_owned()), KindSchema { schema, rules });
}

/// The schema of one of Kubernetes' own types, with everything it refers to inside of it.
fn kubernetes_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    crate::definitions::tidy(&mut schema);
    schema
}
