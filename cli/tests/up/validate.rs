//! `eywa validate` of manifests that not every cluster takes.

use std::process::Output;

use crate::{Machine, SPIRIT, said};

const LORE: &str = "  lore: {store: {qdrant: {url: \"http://qdrant.cafe.svc:6333\", collection: menu}}, embedder: \
                    {provider: openai, model: m, dimensions: 4, baseUrl: \"https://10.20.1.1/v1\"}}\n";

/// What is said of the parrot with Lore in another namespace, embedded on a private network.
fn validate(before: &[&str], after: &[&str]) -> Output {
    let machine = Machine::new();
    let spirit = SPIRIT.replacen("  voices:", &format!("{LORE}  voices:"), 1);
    machine.write("parrot.yaml", &spirit);
    let mut command = machine.eywa();
    command.args(before).arg("validate").arg(machine.spirits());
    command.args(after).output().unwrap()
}

#[test]
fn what_a_cluster_allows_is_told_to_validate() {
    let refused = validate(&[], &[]);
    assert!(!refused.status.success());
    let told = said(&refused);
    for named in ["qdrant.cafe.svc", "10.20.1.1"] {
        let line = told.lines().find(|line| line.contains(named)).unwrap();
        assert!(
            line.contains("--allow-host") && line.contains("--allow-cidr"),
            "{line}"
        );
    }
    for (before, after) in [
        (
            &[] as &[&str],
            &["--allow-host", "*.cafe.svc", "--allow-cidr", "10.20.0.0/16"] as &[&str],
        ),
        (
            &[],
            &["-n", "cafe", "--allow-cidr", "10.20.0.0/16,10.30.0.0/16"],
        ),
        (
            &["-n", "cafe"],
            &["--allow-host=10.20.1.2", "--allow-cidr=10.0.0.0/8"],
        ),
    ] {
        let told = validate(before, after);
        assert!(told.status.success(), "{}", said(&told));
    }
    let nowhere = validate(
        &["-n", "cafe"],
        &["-n", "bar", "--allow-cidr", "10.0.0.0/8"],
    );
    assert!(
        said(&nowhere).contains("qdrant.cafe.svc"),
        "{}",
        said(&nowhere)
    );
    let no_network = validate(&[], &["--allow-cidr", "10.20.0.0"]);
    assert_eq!(no_network.status.code(), Some(2), "{}", said(&no_network));
}
