//! `eywa-runtime ingest`, as a Job runs it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::{Value, json};

/// Runs it with a store that nobody serves; gives what it said and what it reported.
fn ingest(version: u32) -> (Output, Value) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = json!({
        "version": version, "namespace": "cafe", "spirit": "barista",
        "lore": {
            "store": {"qdrant": {"url": format!("http://127.0.0.1:{port}"), "collection": "menu"}},
            "embedder": {"provider": "hashing"},
            "topK": 4, "minScore": 0.2, "cite": false, "timeout": "5s",
            "sources": [{"name": "menu", "documents": {"configMap": "menu"}}],
            "chunks": {"size": 1200, "overlap": 150},
        },
        "network": {"loopback": true},
    });
    fs::write(at("config.json"), config.to_string()).unwrap();
    fs::create_dir_all(at("documents/menu")).unwrap();
    fs::write(at("documents/menu/menu.md"), "Tea.").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_eywa-runtime"))
        .arg("ingest")
        .args(["--config".as_ref(), at("config.json").as_os_str()])
        .args(["--secrets".as_ref(), at("secrets").as_os_str()])
        .args(["--documents".as_ref(), at("documents").as_os_str()])
        .args(["--report".as_ref(), at("report").as_os_str()])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let report = fs::read_to_string(at("report")).unwrap();
    assert!(report.len() <= 1024 && !report.contains('\n'), "{report}");
    (output, serde_json::from_str(&report).unwrap())
}

#[test]
fn a_store_that_cannot_be_reached_is_reported_and_fails_the_job() {
    let (output, report) = ingest(1);
    assert_eq!(output.status.code(), Some(1));
    let error = report["error"].as_str().unwrap();
    assert!(
        error.contains("qdrant") && error.contains("127.0.0.1"),
        "{error}"
    );
    assert_eq!(report["documents"], 0);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["error"], report["error"]);
}

#[test]
fn a_configuration_of_another_release_is_told_as_such() {
    let (output, report) = ingest(999);
    assert_eq!(output.status.code(), Some(1));
    let error = report["error"].as_str().unwrap();
    assert!(error.contains("version 999"), "{error}");
}

#[test]
fn the_runtime_itself_is_started_as_before() {
    let output = Command::new(env!("CARGO_BIN_EXE_eywa-runtime"))
        .arg("--config")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("--config"),
        "{said}"
    );
}
