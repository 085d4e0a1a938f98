//! The environment of a Conduit's server, as the cluster would make it, from what is in the folder.

use eywa_crds::{
    compile::{ConditionType, Problem, ProblemReason},
    conduit::ConduitServer,
    manifest::{ManifestProblem, Manifests},
};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource};
use secrecy::ExposeSecret as _;

/// Variables for a server.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// Their names and values, in the order of the manifest.
    pub(super) set: Vec<(String, String)>,
    /// Those that only a pod has a value for.
    pub(super) left_out: Vec<String>,
}

/// Where a variable's value is from.
enum Source {
    Value(String),
    /// It is not there, and need not be.
    Nowhere,
    /// A field of the pod, or a file in it.
    Pod,
}

impl Environment {
    /// Of the server of this Conduit.
    ///
    /// # Errors
    /// Each Secret, ConfigMap and key that is not there and without which a cluster would not start the container.
    pub(super) fn of(
        conduit: &str,
        server: &ConduitServer,
        manifests: &Manifests,
    ) -> Result<Self, Vec<ManifestProblem>> {
        let mut environment = Self::default();
        let mut problems = Vec::new();
        for (index, variable) in server.env.iter().enumerate() {
            match value(variable, manifests) {
                Ok(Source::Value(value)) => environment.set.push((variable.name.clone(), value)),
                Ok(Source::Nowhere) => {}
                Ok(Source::Pod) => environment.left_out.push(variable.name.clone()),
                Err((reason, message)) => problems.push(manifests.locate(&Problem {
                    object: format!("Conduit/{conduit}"),
                    field: format!("spec.server.env[{index}].valueFrom"),
                    reason,
                    message,
                    condition: ConditionType::Accepted,
                })),
            }
        }
        if problems.is_empty() {
            Ok(environment)
        } else {
            Err(problems)
        }
    }
}

fn value(variable: &EnvVar, manifests: &Manifests) -> Result<Source, (ProblemReason, String)> {
    // It is set to the port that the server must listen on, whatever is written.
    if variable.name == "PORT" {
        return Ok(Source::Nowhere);
    }
    let Some(source) = &variable.value_from else {
        return Ok(Source::Value(variable.value.clone().unwrap_or_default()));
    };
    // What has it, if that is there, and of it the value, if the key is there.
    let (kind, name, key, optional, found) = match source {
        EnvVarSource {
            secret_key_ref: Some(from),
            ..
        } => {
            let held = manifests.secrets.get(&from.name);
            let found = held.map(|keys| {
                let value = keys.get(&from.key)?;
                Some(value.expose_secret().to_owned())
            });
            ("Secret", &from.name, &from.key, from.optional, found)
        }
        EnvVarSource {
            config_map_key_ref: Some(from),
            ..
        } => {
            let held = manifests.config_maps.get(&from.name);
            let found = held.map(|keys| keys.get(&from.key).cloned());
            ("ConfigMap", &from.name, &from.key, from.optional, found)
        }
        _ => return Ok(Source::Pod),
    };
    let (reason, missing) = match (found, kind) {
        (Some(Some(value)), _) => return Ok(Source::Value(value)),
        _ if optional == Some(true) => return Ok(Source::Nowhere),
        (Some(None), "Secret") => (ProblemReason::SecretKeyMissing, "the key is not in it"),
        (Some(None), _) => (ProblemReason::ConfigMapKeyMissing, "the key is not in it"),
        (None, "Secret") => (ProblemReason::SecretNotFound, "it is not in this folder"),
        (None, _) => (ProblemReason::ConfigMapNotFound, "it is not in this folder"),
    };
    let message = format!(
        "{} is taken from the key {key:?} of the {kind} {name:?}, and {missing}: add it, or write optional: true",
        variable.name
    );
    Err((reason, message))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The environment of a server with these variables.
    fn environment(env: &str) -> Result<Environment, Vec<String>> {
        let mut manifests = Manifests::default();
        let text = format!(
            "apiVersion: eywa.dev/v1alpha1\nkind: Conduit\nmetadata: {{name: shop}}\nspec:\n  server:\n    image: shop\n    env:\n{env}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: shop}}, stringData: {{token: not-a-real-token}}}}
---
{{apiVersion: v1, kind: ConfigMap, metadata: {{name: shop}}, data: {{level: debug}}}}"
        );
        manifests.add(Path::new("shop.yaml"), &text);
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        let server = manifests.conduits["shop"].spec.server.clone().unwrap();
        let environment = Environment::of("shop", &server, &manifests);
        environment.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_are_taken_from_secrets_and_config_maps_of_the_folder() {
        let made = environment(
            "    - {name: A, value: plain}
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: shop, key: token}}}
    - {name: LEVEL, valueFrom: {configMapKeyRef: {name: shop, key: level}}}
    - {name: MAYBE, valueFrom: {secretKeyRef: {name: gone, key: a, optional: true}}}
    - {name: MAYBE2, valueFrom: {configMapKeyRef: {name: shop, key: gone, optional: true}}}
    - {name: PORT, valueFrom: {secretKeyRef: {name: gone, key: a}}}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: EMPTY}",
        )
        .unwrap();
        let set = [
            ("A", "plain"),
            ("TOKEN", "not-a-real-token"),
            ("LEVEL", "debug"),
            ("EMPTY", ""),
        ];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(made.set, set);
        assert_eq!(made.left_out, ["POD"]);
    }

    #[test]
    fn what_would_keep_a_container_from_starting_is_told_with_its_line() {
        let told = environment(
            "    - {name: A, valueFrom: {secretKeyRef: {name: gone, key: a}}}
    - {name: B, valueFrom: {secretKeyRef: {name: shop, key: b}}}
    - {name: C, valueFrom: {configMapKeyRef: {name: gone, key: c}}}
    - {name: D, valueFrom: {configMapKeyRef: {name: shop, key: d}}}",
        )
        .err()
        .unwrap();
        let expected = [
            (8, "Secret \"gone\"", "SecretNotFound"),
            (9, "Secret \"shop\"", "SecretKeyMissing"),
            (10, "ConfigMap \"gone\"", "ConfigMapNotFound"),
            (11, "ConfigMap \"shop\"", "ConfigMapKeyMissing"),
        ];
        assert_eq!(told.len(), expected.len());
        for (told, (line, what, reason)) in told.iter().zip(expected) {
            assert!(told.starts_with(&format!("shop.yaml:{line}:")), "{told}");
            assert!(told.contains(what) && told.contains(reason), "{told}");
        }
    }
}
