//! Secrets: whether they are there, and the headers they fill.

use super::{ProblemReason, Problems, Surroundings};
use crate::{
    reference::{HeaderFrom, SecretKeyRef},
    runtime_config::{SecretFile, SecretHeader},
};

/// Reports the secrets that are not there, once per Secret, with the keys it must have.
pub(super) fn check_secrets(
    needed: impl Iterator<Item = (String, SecretKeyRef)>,
    around: &Surroundings,
    problems: &mut Problems,
) {
    let mut absent: Vec<(String, String, Vec<String>)> = Vec::new();
    for (field, reference) in needed {
        match around.secrets.get(&reference.name) {
            Some(keys) if keys.contains(&reference.key) => {}
            Some(_) => problems.push(
                field,
                ProblemReason::SecretKeyMissing,
                format!(
                    "Secret {:?} has no key {:?}; add it",
                    reference.name, reference.key
                ),
            ),
            None => match absent
                .iter_mut()
                .find(|(_, name, _)| *name == reference.name)
            {
                Some((_, _, keys)) if keys.contains(&reference.key) => {}
                Some((_, _, keys)) => keys.push(reference.key),
                None => absent.push((field, reference.name, vec![reference.key])),
            },
        }
    }
    for (field, name, keys) in absent {
        let noun = if keys.len() == 1 { "key" } else { "keys" };
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        problems.push(
            field,
            ProblemReason::SecretNotFound,
            format!(
                "there is no Secret {name:?} in this namespace; create it with the {noun} {}",
                keys.join(", ")
            ),
        );
    }
}

pub(super) fn secret_headers(headers: &[HeaderFrom]) -> Vec<SecretHeader> {
    headers
        .iter()
        .map(|header| SecretHeader {
            name: header.name.clone(),
            value: SecretFile::from(&header.secret_ref),
        })
        .collect()
}
