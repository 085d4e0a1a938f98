//! The example that newcomers start with.

use std::sync::Arc;

use eywa_e2e::{Scene, cluster, scene::ANSWERED_WITHIN, webhook};

const ANA: &str = "5511999990000";

pub async fn the_barista_of_the_examples_takes_an_order(scene: Arc<Scene>) {
    serve(&scene).await;
    let columns = scene.kubectl.run(&["get", "eywa"]).await;
    assert!(
        columns.contains("spirit.eywa.dev/barista") && columns.contains("conduit.eywa.dev/shop"),
        "{columns}"
    );

    let url = scene.service("barista", "wa").await;
    let ask = async |wamid: &str, words: &str, count: usize| {
        let answer = scene
            .meta
            .post(&url, &webhook::text(ANA, wamid, words))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let sent = scene.graph.wait_for(ANA, count, ANSWERED_WITHIN).await;
        scene.wait_until_free("barista", ANA).await;
        sent[count - 1].text.clone()
    };
    // A Conduit's tool, an Action, and a Scout that knows what was ordered.
    let menu = ask("wamid.1", "What do you have?", 1).await;
    assert!(menu.contains("flat white"), "{menu}");
    let order = ask("wamid.2", "2 large flat whites, please", 2).await;
    assert!(
        order.contains("2 large flat white") && order.contains("Ready in"),
        "{order}"
    );
    let greeting = ask("wamid.3", "Hello again!", 3).await;
    assert!(greeting.contains("flat white"), "{greeting}");
}

/// Applies the example as it is, but for where WhatsApp is.
pub async fn serve(scene: &Scene) -> Vec<eywa_e2e::scene::Pod> {
    let folder = cluster::workspace().join("examples/barista");
    scene
        .kubectl
        .run(&["apply", "-f", &folder.to_string_lossy()])
        .await;
    let patch = format!(
        r#"[{{"op": "add", "path": "/spec/voices/1/whatsapp/graphUrl", "value": "{}"}}]"#,
        scene.graph.url()
    );
    scene
        .kubectl
        .run(&["patch", "spirit", "barista", "--type", "json", "-p", &patch])
        .await;
    scene
        .kubectl
        .wait("conduit/shop", "condition=Ready", 90)
        .await;
    scene
        .kubectl
        .wait("spirit/barista", "condition=Ready", 120)
        .await;
    scene
        .kubectl
        .run(&[
            "rollout",
            "status",
            "deployment/barista-runtime",
            "--timeout=90s",
        ])
        .await;
    scene.pods("barista").await
}
