//! Documents, from a ConfigMap to what the model is shown.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, eventually, kubectl::condition, model::Model, spirit, wait::hold, weaviate::Weaviate,
};
use serde_json::{Value, json};

const ANA: &str = "5511999990000";
/// How long a Job may take, from the change that makes it: it pulls nothing, but pods start slowly beside others.
const BROUGHT_WITHIN: Duration = Duration::from_secs(120);

pub async fn documents_in_a_config_map_are_shown_to_the_model_and_a_change_is_followed(
    scene: Arc<Scene>,
) {
    let weaviate = Weaviate::start().await;
    scene.kubectl.apply(&[&menu("3.20")]).await;
    let mut concierge = scene.concierge();
    concierge["spec"]["lore"] = json!({
        "store": {"weaviate": {"url": weaviate.url(), "collection": "Menu"}},
        "embedder": {"provider": "hashing"},
        "minScore": 0.1,
        "sources": [{"name": "menu", "configMap": {"name": "menu"}}],
    });
    let pods = scene.serve_as(&concierge).await;
    let (reason, message) = lore_ready(&scene, "True").await;
    assert_eq!(reason, "Synced");
    assert!(message.starts_with("2 documents in"), "{message}");
    let question = "what does a cortado cost?";
    let answered = scene.converse(&pods[0], ANA, "wamid.1", question).await;
    assert_eq!(answered, Model::echo(question));
    let shown = scene.system_prompt(question);
    assert!(shown.contains("Cortado: 3.20"), "{shown}");

    let aside = "on which day do you roast?";
    scene.converse(&pods[1], ANA, "wamid.aside", aside).await;
    let shown = scene.system_prompt(aside);
    assert!(shown.contains("We roast on Tuesdays"), "{shown}");

    let job = job(&scene).await;
    scene.kubectl.apply(&[&menu("3.50")]).await;
    let another = eventually("another Job", BROUGHT_WITHIN, || async {
        let now = self::job(&scene).await;
        if now == job { Err(now) } else { Ok(now) }
    })
    .await;
    scene
        .kubectl
        .wait(&format!("job/{another}"), "condition=Complete", 120)
        .await;
    lore_ready(&scene, "True").await;
    let again = "and now, what does a cortado cost?";
    scene.converse(&pods[0], ANA, "wamid.2", again).await;
    let shown = scene.system_prompt(again);
    assert!(
        shown.contains("Cortado: 3.50") && !shown.contains("3.20"),
        "{shown}"
    );

    // Another embedder does not fit what is there: that is told, and the agent goes on answering.
    let change = json!({"spec": {"lore": {"embedder": {
        "provider": "openai", "model": "stand-in", "dimensions": 3, "baseUrl": scene.model.url(),
        "apiKey": {"secretRef": {"name": "model", "key": "api-key"}},
    }}}});
    let change = change.to_string();
    scene
        .kubectl
        .run(&[
            "patch",
            "spirit",
            "concierge",
            "--type=merge",
            "-p",
            &change,
        ])
        .await;
    let (reason, message) = lore_ready(&scene, "False").await;
    assert_eq!(reason, "SyncFailed");
    assert!(
        message.contains("Menu") && message.contains("512") && message.contains('3'),
        "{message}"
    );
    let pods = scene.rolled_out().await;
    let last = "are you still there?";
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.3", last).await,
        Model::echo(last)
    );
}

fn menu(price: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "menu"},
        "data": {
            "menu.md": format!("# Menu\n\nCortado: {price}\n\n# Hours\n\nWe open at eight.\n"),
            // Read in a process of its own, in a container that has a read-only root and no shell.
            "about.html": "<title>About us</title><h1>The roastery</h1><p>We roast on <b>Tuesdays</b>.</p>",
        },
    })
}

async fn job(scene: &Scene) -> String {
    let label = "eywa.dev/spirit=concierge,app.kubernetes.io/component=lore";
    let jobs = scene.kubectl.get(&["jobs", "-l", label]).await;
    jobs["items"][0]["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The reason and the message, once the condition has this status.
async fn lore_ready(scene: &Scene, status: &str) -> (String, String) {
    let what = format!("LoreReady={status}");
    eventually(&what, BROUGHT_WITHIN, || async {
        let spirit = scene.kubectl.get(&["spirit", spirit::NAME]).await;
        let seen = condition(&spirit, "LoreReady");
        hold(seen.as_ref().is_some_and(|(now, ..)| now == status), &seen)?;
        let (_, reason, message) = seen.unwrap_or_default();
        Ok::<_, String>((reason, message))
    })
    .await
}
