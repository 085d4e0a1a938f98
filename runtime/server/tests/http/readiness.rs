use std::time::Duration;

use eywa_runtime::http::Answer;

use crate::house::{House, message};

#[tokio::test]
async fn a_pod_is_alive_at_once_and_ready_when_it_serves() {
    let house = House::open().await;
    assert_eq!(house.admin("/livez").await.0, 200);
    let (status, said) = house.admin("/readyz").await;
    assert_eq!((status, said.trim()), (503, "starting"));
    house.stage.serving();
    assert_eq!(house.admin("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_pod_that_stops_finishes_what_it_has_and_takes_nothing_new() {
    let house = House::open().await;
    house.stage.serving();
    let waiting = house.say("/spirits/barista/pulses", "msg_1", "slow", &[]);
    let stopping = async {
        while house.roster.all()[0].weave().in_flight() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        house.stage.draining();
        let (status, said) = house.admin("/readyz").await;
        assert!(status == 503 && said.contains("draining"), "{said}");
        tokio::join!(house.roster.retire(Duration::from_secs(10)), async {
            // The Weave is told first thing, before it waits.
            tokio::task::yield_now().await;
            let turned_away = house
                .whatsapp(&message("wamid.1", "5511999990000", "hello"))
                .await;
            assert_eq!(turned_away.status(), 503);
            assert!(turned_away.headers().contains_key("retry-after"));
        });
    };
    let (response, ()) = tokio::join!(waiting, stopping);
    let answer: Answer = response.json().await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("here at last"));
    assert_eq!(house.roster.all()[0].weave().in_flight(), 0);
    assert!(house.sent(0).await.is_empty());
}

#[tokio::test]
async fn what_is_not_finished_in_time_stays_in_the_inbox() {
    let house = House::open().await;
    let response = house
        .say(
            "/spirits/barista/pulses",
            "msg_1",
            "slow",
            &[("prefer", "respond-async")],
        )
        .await;
    assert_eq!(response.status(), 202);
    let began = std::time::Instant::now();
    house.roster.retire(Duration::from_millis(50)).await;
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "the grace period is kept"
    );
    let depth = house.roster.all()[0].depth().await.unwrap();
    assert_eq!(depth.pulses, 1);
}
