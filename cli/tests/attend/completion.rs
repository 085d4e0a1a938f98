//! Usage lines, and what shells complete.

use serde_json::json;

use crate::{
    Person,
    cluster::Cluster,
    desk::{Desk, TOKEN},
    run,
};

#[test]
fn usage_says_what_the_command_was_called_as() {
    let person = Person::new();
    let usage = run(person.kubectl_eywa(&["takeover", "--help"])).ok();
    assert!(usage.contains("Usage: kubectl eywa takeover"), "{usage}");
    let usage = run(person.eywa(&["takeover", "--help"])).ok();
    assert!(usage.contains("Usage: eywa takeover"), "{usage}");
    let usage = run(person.eywa(&["--help"])).ok();
    assert!(
        usage.contains("Exit codes: 0 done, 1 failed, 2 used wrongly, 3 refused"),
        "{usage}"
    );
    run(person.eywa(&["takeover"])).no(2);
}

#[test]
fn each_shell_gets_a_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(Person::new().eywa(&["completion", shell])).ok();
        assert!(script.contains("EYWA_COMPLETE"), "{shell}: {script}");
    }
}

#[test]
fn a_shell_completes_names_that_the_desk_knows() {
    let desk = Desk::start();
    desk.answers(
        "GET",
        "/api/me",
        200,
        json!({"spirits": ["barista", "billing", "concierge"]}),
    );
    let words = [
        "--",
        "eywa",
        "--local",
        desk.url(),
        "--token",
        TOKEN,
        "takeover",
        "--spirit",
        "b",
    ];
    let mut command = Person::new().eywa(&words);
    command
        .env("EYWA_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "7")
        .env("_CLAP_IFS", "\n");
    let completed = run(command).ok();
    assert_eq!(
        completed.trim().lines().collect::<Vec<_>>(),
        ["barista", "billing"]
    );
}

#[test]
fn kubectl_completes_names_of_the_cluster() {
    let cluster = Cluster::start();
    cluster.put(
        "vigils",
        "the-table",
        json!({
            "spec": {"spiritRef": {"name": "barista"}, "session": "wa/551", "takeover": false},
        }),
    );
    let mut command = Person::new().named("kubectl_complete-eywa", &["release", "the"]);
    command.env("KUBECONFIG", cluster.kubeconfig("ana"));
    let completed = run(command).ok();
    assert_eq!(completed, "the-table\twa/551 of barista\n:4\n");
}
