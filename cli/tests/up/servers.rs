//! The servers of Conduits that `eywa up` runs.

use std::process::Stdio;

use crate::{Machine, said};

const CONDUIT: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Conduit
metadata: {name: shop}
spec:
  server:
    image: shop
    command: [sh, -c, 'echo "it has $TOKEN"']
    env:
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: shop, key: token}}}
"#;

const SECRET: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData: {token: not-a-real-token}
"#;

#[test]
fn a_server_has_what_its_manifest_takes_from_a_secret_and_a_new_value_at_once() {
    let machine = Machine::new();
    machine.write("conduit.yaml", CONDUIT);
    machine.write("secret.yaml", SECRET);
    let up = machine.up();
    up.says("[shop] it has not-a-real-token");
    machine.write("secret.yaml", &SECRET.replace("real-token", "real-one"));
    up.says("[shop] it has not-a-real-one");
}

#[test]
fn a_server_without_its_secret_is_not_started() {
    let machine = Machine::new();
    machine.write("conduit.yaml", CONDUIT);
    let refused = machine
        .eywa()
        .args(["up", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--desk", "127.0.0.1:0"])
        .arg(machine.spirits())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = said(&refused);
    assert!(!refused.status.success(), "{told}");
    assert!(
        told.contains("conduit.yaml:10: spec.server.env[0].valueFrom: TOKEN")
            && told.contains("\"shop\"")
            && !told.contains("it has"),
        "{told}"
    );
}
