//! People attend to conversations at the desk's page.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, desk::Desk, eventually, model::Model, plugin::Person, scene::ANSWERED_WITHIN,
    till::Till, wait::hold,
};

const ANA: &str = "5511999990000";
const SESSION: &str = "wa/5511999990000";
const TAKE_OVER: &str = "“update vigils.eywa.dev”";
const DECIDE: &str = "“update rites.eywa.dev”";
/// How long what happens may take to be shown.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);

async fn person(scene: &Scene, name: &str, role: &str) -> Person {
    Person::with_role(&scene.kubectl, &scene.namespace, name, role).await
}

/// Waits until the scene's only Vigil is in this phase.
async fn wait_for_phase(scene: &Scene, phase: &str) {
    eventually(phase, SHOWN_WITHIN, || async {
        let vigils = scene.kubectl.get(&["vigils"]).await;
        hold(vigils["items"][0]["status"]["phase"] == phase, vigils)
    })
    .await;
}

pub async fn a_person_who_may_takes_over_replies_and_gives_back_at_the_page(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let mia = person(&scene, "mia", "eywa-attendant").await;
    let eve = person(&scene, "eve", "eywa-viewer").await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.1", "hello").await,
        Model::echo("hello")
    );
    let desk = Desk::open(&scene.namespace).await;

    // Eve may look, and the page says why she may not do more.
    let may_not = format!("may-not-take-over={TAKE_OVER}");
    desk.attend(&eve, SESSION, &["sees=hello", &may_not, "accessible"])
        .await;

    desk.attend(&mia, SESSION, &["take-over"]).await;
    wait_for_phase(&scene, "Active").await;
    let vigils = scene.kubectl.get(&["vigils"]).await;
    assert_eq!(vigils["items"][0]["status"]["by"], *mia.user, "{vigils}");

    scene
        .say(&pods[1], ANA, "wamid.2", "my coffee is cold")
        .await;
    scene.wait_for_outcomes("wamid.2", &["vigil"]).await;
    let steps = [
        "sees=my coffee is cold",
        "reply=A new one is coming.",
        "accessible",
        "give-back",
    ];
    desk.attend(&mia, SESSION, &steps).await;
    let said = scene.graph.texts_to(ANA);
    assert_eq!(
        said,
        [Model::echo("hello"), "A new one is coming.".to_owned()]
    );
    wait_for_phase(&scene, "Released").await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.3", "thank you").await,
        Model::echo("thank you")
    );
}

pub async fn a_person_who_may_approves_a_call_at_the_page(scene: Arc<Scene>) {
    let till = Till::start().await;
    let pods = crate::rites::serve(&scene, &till, "15m").await;
    let mia = person(&scene, "mia", "eywa-attendant").await;
    let eve = person(&scene, "eve", "eywa-viewer").await;
    let name = crate::rites::ask_for_a_refund(&scene, &pods, "wamid.1").await;
    let desk = Desk::open(&scene.namespace).await;
    let may_not = format!("may-not-approve={DECIDE}");
    desk.attend(&eve, SESSION, &[&may_not, "accessible"]).await;
    assert!(till.made().is_empty());
    desk.attend(&mia, SESSION, &["approve"]).await;
    scene.graph.wait_for(ANA, 2, ANSWERED_WITHIN).await;
    assert_eq!(till.made().len(), 1, "{:?}", till.made());
    eventually("the Rite is Consumed", SHOWN_WITHIN, || async {
        let rite = scene.kubectl.get(&["rite", &name]).await;
        hold(rite["status"]["phase"] == "Consumed", rite)
    })
    .await;
    let rite = scene.kubectl.get(&["rite", &name]).await;
    assert_eq!(rite["status"]["by"], *mia.user, "{rite}");
}
