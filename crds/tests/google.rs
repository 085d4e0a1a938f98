//! What a Spirit keeps in Google Cloud, from manifests to the runtime's configuration; what the docs show is sound.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
    runtime_config::{RuntimeConfig, SecretFile, StoresConfig},
};

const DOCS: &str = include_str!("../../docs/google.md");

/// The Spirit that the docs show.
fn shown() -> &'static str {
    let block = DOCS
        .split("```yaml\n")
        .nth(1)
        .expect("the docs show a Spirit");
    block.split("```").next().unwrap()
}

fn compiled(text: &str, stores: DefaultStores) -> RuntimeConfig {
    let mut manifests = Manifests::default();
    manifests.add(Path::new("spirit.yaml"), text);
    for (name, keys) in [
        ("google", "key.json: not-a-real-key"),
        ("redis", "url: 'redis://127.0.0.1:1/0'"),
        (
            "wa",
            "access-token: not-a-real-token\n  app-secret: not-a-real-secret\n  verify-token: not-a-real-token",
        ),
    ] {
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: cafe}}\nstringData:\n  {keys}\n"
        );
        manifests.add(Path::new("secrets.yaml"), &secret);
    }
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let defaults = Defaults {
        network: Default::default(),
        stores,
    };
    let around = manifests.surroundings("cafe", defaults);
    compile_spirit(&manifests.spirits["barista"], &around).unwrap()
}

#[test]
fn what_the_docs_show_is_kept_where_they_say() {
    let config = compiled(shown(), DefaultStores::None);
    let StoresConfig::Redis {
        tasks: Some(tasks),
        storage: Some(storage),
        ..
    } = &config.stores
    else {
        panic!("{:?}", config.stores);
    };
    assert_eq!(
        tasks.queue,
        "projects/cafe-production/locations/europe-west1/queues/pulses"
    );
    assert_eq!(tasks.base_url, "https://cloudtasks.googleapis.com");
    assert_eq!(tasks.audience, tasks.url);
    assert_eq!((&tasks.keys_url, &tasks.credentials), (&None, &None));
    assert_eq!(storage.base_url, "https://storage.googleapis.com");
    assert_eq!((&*storage.bucket, &*storage.prefix), ("cafe-files", ""));
    // Both are reached as the pods themselves.
    assert!(config.pod_identities().google);
}

#[test]
fn a_key_is_mounted_and_then_the_pods_identity_is_not_needed() {
    let key = "credentials: {secretRef: {name: google, key: key.json}}";
    let text = shown()
        .replace(
            "        bucket: cafe-files",
            &format!("        bucket: cafe-files\n        {key}"),
        )
        .replace(
            "        queue: pulses",
            &format!("        queue: pulses\n        {key}"),
        )
        .replace(
            "    location: europe-west1\n  voices",
            &format!("    location: europe-west1\n    {key}\n  voices"),
        );
    let config = compiled(&text, DefaultStores::None);
    assert!(!config.pod_identities().google);
    let file = SecretFile {
        name: "google".to_owned(),
        key: "key.json".to_owned(),
    };
    assert!(config.secret_files().contains(&file));
}

#[test]
fn one_process_by_itself_uses_neither() {
    let config = compiled(shown(), DefaultStores::Embedded);
    assert_eq!(config.stores, StoresConfig::Embedded);
    assert!(
        config
            .secret_files()
            .iter()
            .all(|file| file.name != "google")
    );
}
