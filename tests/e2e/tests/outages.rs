//! What the world does to the pods, and to Redis.

use std::{sync::Arc, time::Duration};

use eywa_e2e::{
    Scene, cluster, eventually,
    kubectl::Kubectl,
    model::Model,
    node,
    scene::{ANSWERED_WITHIN, Pod},
    spirit,
    wait::hold,
    webhook,
};
use tokio::time::{Instant, sleep};

const ANA: &str = "5511999990000";
const BEA: &str = "5511999990001";
/// How long Redis is away.
const AWAY: Duration = Duration::from_secs(20);
/// How long all may take to heal by itself.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

pub async fn a_pod_killed_while_it_asks_the_oracle_is_stood_in_for_once(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    let held = scene.model.hold("hello");
    scene.say(&pods[0], ANA, "wamid.1", "hello").await;
    let asked = scene.model.wait_for("hello", 1, ANSWERED_WITHIN).await;
    let (dead, alive) = part(&pods, |pod| pod.ip == asked.from);

    node::kill_container(&dead.container_id);
    // The other takes the Pulse over when the dead one's lease has ended, and does not take its own for busy.
    let again = scene
        .model
        .wait_for("hello", 2, Duration::from_secs(30))
        .await;
    held.release();
    let sent = scene.graph.wait_for(ANA, 1, ANSWERED_WITHIN).await;
    assert_eq!(
        (sent[0].text.as_str(), sent[0].from),
        (Model::echo("hello").as_str(), again.from)
    );
    scene.wait_for_outcomes("wamid.1", &["answered"]).await;

    assert_eq!(
        scene.converse(&alive, ANA, "wamid.2", "and now?").await,
        Model::echo("and now?")
    );
    assert_eq!(
        scene.graph.texts_to(ANA),
        [Model::echo("hello"), Model::echo("and now?")]
    );
}

pub async fn nothing_acknowledged_is_lost_while_redis_is_away(scene: Arc<Scene>) {
    let pods = scene.serve().await;
    assert_eq!(
        scene.converse(&pods[0], ANA, "wamid.before", "hello").await,
        Model::echo("hello")
    );
    // Acknowledged, and not answered yet, when Redis goes.
    let held = scene.model.hold("remember me");
    scene
        .say(&pods[1], BEA, "wamid.acknowledged", "remember me")
        .await;
    scene
        .model
        .wait_for("remember me", 1, ANSWERED_WITHIN)
        .await;

    let system = Kubectl::of(cluster::NAMESPACE);
    let redis = format!("deployment/{}", cluster::REDIS);
    let gone = Instant::now();
    system.run(&["scale", &redis, "--replicas=0"]).await;
    system
        .run(&[
            "wait",
            "--for=delete",
            "pods",
            "-l",
            "app.kubernetes.io/name=eywa-redis",
            "--timeout=60s",
        ])
        .await;

    let late = webhook::text(ANA, "wamid.late", "is anybody there?");
    for pod in &pods {
        let answer = scene.meta.post(&pod.webhook(), &late).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        eventually("readiness tells", Duration::from_secs(10), || async {
            let ready = scene
                .meta
                .get(&pod.admin("/readyz"))
                .await
                .map_err(|error| error.to_string())?;
            hold(ready.status == 503 && ready.body.contains("store"), ready)
        })
        .await;
    }
    eventually("no pod is Ready", Duration::from_secs(15), || async {
        let ready = scene.pods(spirit::NAME).await;
        hold(ready.is_empty(), ready)
    })
    .await;
    held.release();
    // Not a wait for a condition: being away this long is what is tried.
    sleep(AWAY.saturating_sub(gone.elapsed())).await;
    system.run(&["scale", &redis, "--replicas=1"]).await;

    // The channel goes on delivering what nobody acknowledged.
    eventually(
        "the late message is acknowledged",
        HEALED_WITHIN,
        || async {
            let answer = scene
                .meta
                .try_post(&pods[0].webhook(), &late)
                .await
                .map_err(|error| error.to_string())?;
            hold(answer.status == 200, answer)
        },
    )
    .await;
    let sent = scene.graph.wait_for(ANA, 2, HEALED_WITHIN).await;
    assert_eq!(sent[1].text, Model::echo("is anybody there?"));
    let sent = scene.graph.wait_for(BEA, 1, HEALED_WITHIN).await;
    assert_eq!(sent[0].text, Model::echo("remember me"));
    scene
        .kubectl
        .wait("spirit/concierge", "condition=Ready", 60)
        .await;
    let now = scene.pods(spirit::NAME).await;
    assert_eq!(now.len(), pods.len());
    assert!(
        now.iter().all(|pod| pods.contains(pod)),
        "pods were restarted: {pods:?} became {now:?}"
    );

    scene
        .wait_for_outcomes("wamid.acknowledged", &["answered"])
        .await;
    assert_eq!(
        scene.converse(&now[0], BEA, "wamid.after", "thanks").await,
        Model::echo("thanks")
    );
    assert_eq!(
        (
            scene.graph.sent_to(ANA).len(),
            scene.graph.sent_to(BEA).len()
        ),
        (2, 2)
    );
}

/// The pod that is meant, and another.
fn part(pods: &[Pod], is: impl Fn(&Pod) -> bool) -> (Pod, Pod) {
    let (meant, other) = (
        pods.iter().find(|pod| is(pod)),
        pods.iter().find(|pod| !is(pod)),
    );
    match (meant, other) {
        (Some(meant), Some(other)) => (meant.clone(), other.clone()),
        _ => panic!("not two pods, of which one is meant: {pods:?}"),
    }
}
