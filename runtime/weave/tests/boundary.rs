//! The domain knows no infrastructure: what it is built from is on a list, transitive crates included.

use std::{collections::BTreeSet, process::Command};

/// What the domain may stand on: language, time, randomness, JSON and its schemas, errors, logging's facade, and tokio for
/// timers and tasks. A new name here is a decision; a database, an HTTP stack, Kubernetes or a provider is never one.
const ALLOWED: &[&str] = &[
    "ahash",
    "aho-corasick",
    "allocator-api2",
    "async-trait",
    "bit-set",
    "bit-vec",
    "borrow-or-share",
    "bytecount",
    "cfg-if",
    "chacha20",
    "cpufeatures",
    "data-encoding",
    "email_address",
    "equivalent",
    "fancy-regex",
    "fluent-uri",
    "foldhash",
    "fraction",
    "futures",
    "futures-channel",
    "futures-core",
    "futures-io",
    "futures-macro",
    "futures-sink",
    "futures-task",
    "futures-util",
    "getrandom",
    "hashbrown",
    "heck",
    "itoa",
    "jiff",
    "jiff-core",
    "jsonschema",
    "jsonschema-regex",
    "jsonschema-value",
    "libc",
    "lock_api",
    "memchr",
    "micromap",
    "num",
    "num-bigint",
    "num-cmp",
    "num-complex",
    "num-integer",
    "num-iter",
    "num-rational",
    "num-traits",
    "once_cell",
    "outref",
    "parking_lot",
    "parking_lot_core",
    "percent-encoding",
    "pin-project-lite",
    "proc-macro2",
    "quote",
    "rand",
    "rand_core",
    "ref-cast",
    "ref-cast-impl",
    "referencing",
    "regex",
    "regex-automata",
    "regex-syntax",
    "scopeguard",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "slab",
    "smallvec",
    "strum",
    "strum_macros",
    "syn",
    "thiserror",
    "thiserror-impl",
    "tokio",
    "tokio-macros",
    "tracing",
    "tracing-attributes",
    "tracing-core",
    "unicode-general-category",
    "unicode-ident",
    "uuid",
    "uuid-simd",
    "vsimd",
    "zerocopy",
    "zmij",
];

#[test]
fn the_domain_depends_on_no_infrastructure() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "eywa-weave",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8(tree.stdout).expect("cargo writes UTF-8");
    let found: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        found.contains("eywa-weave"),
        "cargo tree said nothing of the domain:\n{tree}"
    );
    let strangers: Vec<&&str> = found
        .iter()
        .filter(|name| **name != "eywa-weave" && !ALLOWED.contains(name))
        .collect();
    assert!(
        strangers.is_empty(),
        "the domain now depends on {strangers:?}; put what needs them behind a port, in the adapters"
    );
}
