//! The CustomResourceDefinitions, as the chart ships them.

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{conduit::Conduit, rite::Rite, spirit::Spirit, vigil::Vigil};

/// A CustomResourceDefinition, as JSON.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The kind it defines.
    pub kind: &'static str,
    /// Its plural, which is also the name of its file in the chart.
    pub plural: &'static str,
    /// The CustomResourceDefinition.
    pub crd: Value,
}

impl Definition {
    /// The structural schema of the kind's objects.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    }

    /// It as YAML, as it is in the chart.
    ///
    /// # Errors
    /// Never for a definition of this crate.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::ser::Error> {
        let yaml = serde_saphyr::to_string(&self.crd)?;
        Ok(format!(
            "# Generated from crds/src by `cargo run -p eywa-crds --bin crdgen`. Do not edit.\n{yaml}"
        ))
    }
}

/// The definitions of all kinds.
///
/// # Errors
/// Never, unless a kind's schema cannot be written as JSON.
pub fn definitions() -> Result<Vec<Definition>, serde_json::Error> {
    Ok(vec![
        definition("Conduit", "conduits", &Conduit::crd())?,
        definition("Rite", "rites", &Rite::crd())?,
        definition("Spirit", "spirits", &Spirit::crd())?,
        definition("Vigil", "vigils", &Vigil::crd())?,
    ])
}

/// Where the chart keeps the definition with this plural, in the source tree.
#[must_use]
pub fn in_chart(plural: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../charts/eywa/files/crds/{plural}.yaml"))
}

fn definition(
    kind: &'static str,
    plural: &'static str,
    crd: &CustomResourceDefinition,
) -> Result<Definition, serde_json::Error> {
    let mut crd = serde_json::to_value(crd)?;
    tidy(&mut crd);
    Ok(Definition { kind, plural, crd })
}

/// Takes out what the generator adds and nobody wants: a null is not a value any field of ours takes, and a Rust integer's
/// width is not a format Kubernetes knows.
pub(crate) fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("nullable");
            if let Some(Value::String(format)) = fields.get("format")
                && format.starts_with("uint")
            {
                fields.remove("format");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
