//! Against a cluster: takeovers and decisions by the objects, as RBAC allows.

use serde_json::{Value, json};

use crate::{Person, Said, cluster::Cluster, run};

fn as_user(cluster: &Cluster, user: &str, arguments: &[&str]) -> Said {
    let mut command = Person::new().kubectl_eywa(arguments);
    command.env("KUBECONFIG", cluster.kubeconfig(user));
    run(command)
}

fn vigil(takeover: bool, by: &str, status: Value) -> Value {
    json!({
        "spec": {"spiritRef": {"name": "barista"}, "session": "wa/551", "takeover": takeover, "by": by},
        "status": status,
    })
}

fn active(by: &str, generation: i64) -> Value {
    json!({"phase": "Active", "by": by, "since": "2026-01-01T10:00:00Z", "observedGeneration": generation})
}

#[test]
fn a_takeover_makes_a_vigil_in_the_callers_own_name_and_waits_until_it_is_active() {
    let cluster = Cluster::start();
    let out = as_user(
        &cluster,
        "ana",
        &[
            "takeover",
            "wa/551",
            "--reason",
            "a complaint",
            "--release-after",
            "30m",
        ],
    )
    .ok();
    assert!(out.starts_with("wa/551 of barista is yours: "), "{out}");
    assert!(
        out.contains("kubectl eywa release --spirit barista 'wa/551'"),
        "{out}"
    );
    let names = cluster.names("vigils");
    assert_eq!(names.len(), 1);
    let made = cluster.get("vigils", &names[0]);
    assert_eq!(made["spec"]["by"], "ana@cafe.example");
    assert_eq!(made["spec"]["reason"], "a complaint");
    assert_eq!(made["status"]["phase"], "Active");

    let again = as_user(&cluster, "ana", &["takeover", "wa/551"]).ok();
    assert!(again.contains("is yours already"), "{again}");
    let told = as_user(&cluster, "mia", &["takeover", &names[0]]).no(3);
    assert!(
        told.contains("ana@cafe.example has wa/551 of barista since"),
        "{told}"
    );
    let told = as_user(&cluster, "mia", &["release", "wa/551"]).no(3);
    assert!(told.contains("--force"), "{told}");
    let out = as_user(&cluster, "mia", &["release", "wa/551", "--force"]).ok();
    assert_eq!(out, "wa/551 of barista is the agent's again\n");
    assert_eq!(
        cluster.get("vigils", &names[0])["status"]["releasedBy"],
        "mia@cafe.example"
    );
    let out = as_user(&cluster, "mia", &["release", "wa/551"]).ok();
    assert_eq!(out, "nobody has wa/551 of barista: it is the agent's\n");
}

#[test]
fn who_may_not_is_told_which_permission_is_missing_and_how_to_get_it() {
    let cluster = Cluster::start();
    let told = as_user(&cluster, "bob", &["takeover", "wa/551"]).no(3);
    assert!(
        told.contains("you (bob@cafe.example) may not take over wa/551 of barista"),
        "{told}"
    );
    assert!(
        told.contains("missing permission: create vigils.eywa.dev in namespace cafe"),
        "{told}"
    );
    assert!(
        told.contains("kubectl -n cafe create rolebinding eywa-attendant-bob-cafe-example --clusterrole=eywa-attendant --user=bob@cafe.example"),
        "{told}"
    );
    assert!(cluster.names("vigils").is_empty());
}

#[test]
fn of_two_who_take_a_conversation_at_once_the_second_is_told_who_has_it() {
    let cluster = Cluster::start();
    cluster.put(
        "vigils",
        "the-table",
        vigil(
            false,
            "",
            json!({"phase": "Watching", "observedGeneration": 1}),
        ),
    );
    // Between ana's look and her edit, mia's takeover arrives.
    cluster.interlope(
        "the-table",
        vigil(true, "mia@cafe.example", active("mia@cafe.example", 2)),
    );
    let told = as_user(&cluster, "ana", &["takeover", "the-table"]).no(3);
    assert!(told.contains("mia@cafe.example has wa/551"), "{told}");
    assert_eq!(
        cluster.get("vigils", "the-table")["spec"]["by"],
        "mia@cafe.example"
    );
}

#[test]
fn what_was_given_back_for_lack_of_activity_is_taken_again() {
    let cluster = Cluster::start();
    // The spec still says what the caller is about to say.
    let released = json!({"phase": "Released", "observedGeneration": 1});
    cluster.put(
        "vigils",
        "the-table",
        vigil(true, "ana@cafe.example", released),
    );
    as_user(&cluster, "ana", &["takeover", "the-table"]).ok();
    let status = cluster.get("vigils", "the-table")["status"].clone();
    assert_eq!(status["phase"], "Active");
}

#[test]
fn what_was_taken_at_the_desk_is_given_back() {
    let cluster = Cluster::start();
    cluster.put(
        "vigils",
        "the-table",
        vigil(false, "ana@cafe.example", active("ana@cafe.example", 1)),
    );
    let out = as_user(&cluster, "ana", &["release", "the-table", "-o", "json"]).ok();
    let released: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(released["status"]["phase"], "Released", "{out}");
}

#[test]
fn an_order_that_no_runtime_carries_out_stands_and_is_told() {
    let cluster = Cluster::start();
    cluster.without_runtime();
    let told = as_user(&cluster, "ana", &["takeover", "wa/551", "--timeout", "1"]).no(1);
    assert!(
        told.contains("The order stands")
            && told.contains("-l app.kubernetes.io/name=eywa-runtime,eywa.dev/spirit=barista"),
        "{told}"
    );
    assert_eq!(cluster.names("vigils").len(), 1);
}

#[test]
fn a_whole_spirit_is_silenced_and_one_command_lifts_it() {
    let cluster = Cluster::start();
    as_user(&cluster, "ana", &["takeover", "*"]).no(2);
    assert!(cluster.names("vigils").is_empty());
    let out = as_user(
        &cluster,
        "ana",
        &["takeover", "--spirit", "barista", "*", "--yes"],
    )
    .ok();
    assert!(
        out.starts_with("every conversation of barista is yours"),
        "{out}"
    );
    as_user(&cluster, "ana", &["release", "*"]).ok();
}

#[test]
fn a_session_on_a_voice_that_no_spirit_has_is_told() {
    let cluster = Cluster::start();
    let told = as_user(&cluster, "ana", &["takeover", "web/551"]).no(1);
    assert!(
        told.contains(r#"no Spirit with a voice "web" in namespace cafe"#),
        "{told}"
    );
    let told = as_user(&cluster, "ana", &["takeover", "the-table"]).no(1);
    assert!(told.contains("not found"), "{told}");
}

#[test]
fn flags_are_taken_before_and_after_the_commands_name_as_by_kubectl() {
    let cluster = Cluster::start();
    let kubeconfig = cluster.kubeconfig("ana");
    let kubeconfig = kubeconfig.to_str().unwrap();
    for arguments in [
        ["--kubeconfig", kubeconfig, "-n", "cafe", "rites"],
        ["rites", "-n", "cafe", "--kubeconfig", kubeconfig],
    ] {
        let said = run(Person::new().eywa(&arguments));
        assert_eq!(said.err, "No resources found in cafe namespace.\n");
        assert_eq!(said.code, Some(0));
    }
    let told =
        run(Person::new().eywa(&["rites", "--kubeconfig", kubeconfig, "--token", "nobody"])).no(1);
    assert!(told.contains("does not know you"), "{told}");
}

#[test]
fn a_rite_is_decided_once_in_the_callers_own_name() {
    let cluster = Cluster::start();
    let rite = |phase: &str| {
        json!({
            "spec": {"spiritRef": {"name": "barista"}, "session": "wa/551", "action": "refund", "arguments": {"order": 7}, "decision": ""},
            "status": {"phase": phase, "expiresAt": "2099-01-01T00:00:00Z"},
        })
    };
    cluster.put("rites", "barista-1", rite("Pending"));
    cluster.put("rites", "barista-2", rite("Expired"));
    let listed = as_user(&cluster, "bob", &["rites"]).ok();
    let order: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(order, ["NAME", "barista-1", "barista-2"], "{listed}");
    let told = as_user(&cluster, "bob", &["approve", "barista-1"]).no(3);
    assert!(
        told.contains("patch rites.eywa.dev in namespace cafe") && told.contains("eywa-attendant"),
        "{told}"
    );
    let out = as_user(
        &cluster,
        "ana",
        &["approve", "barista-1", "--comment", "fine"],
    )
    .ok();
    assert_eq!(out, "barista-1 approved: refund of barista\n");
    let spec = cluster.get("rites", "barista-1")["spec"].clone();
    assert_eq!(
        (&spec["by"], &spec["comment"]),
        (&json!("ana@cafe.example"), &json!("fine"))
    );
    as_user(&cluster, "ana", &["approve", "barista-1"]).ok();
    let told = as_user(&cluster, "mia", &["deny", "barista-1"]).no(3);
    assert!(
        told.contains("it was approved by ana@cafe.example already"),
        "{told}"
    );
    let told = as_user(&cluster, "mia", &["deny", "barista-2"]).no(3);
    assert!(told.contains("it has expired"), "{told}");
}

#[test]
fn what_needs_a_token_says_how_to_get_one() {
    let cluster = Cluster::start();
    let kubeconfig = std::fs::read_to_string(cluster.kubeconfig("ana")).unwrap();
    let person = Person::new();
    let file = person.home.path().join("kubeconfig");
    std::fs::write(
        &file,
        kubeconfig.replace(r#"{"token":"ana"}"#, r#"{"username":"ana","password":"x"}"#),
    )
    .unwrap();
    let mut command = person.kubectl_eywa(&["conversations", "--spirit", "barista"]);
    command.env("KUBECONFIG", &file);
    let told = run(command).no(1);
    assert!(
        told.contains("kubectl create token") && told.contains("--token"),
        "{told}"
    );
}
