//! Who may push, and what. How tokens are judged is tested where it is done, in the adapters.

use serde_json::{Value, json};

use crate::{
    cloud_tasks::ACCOUNT,
    identity::Signer,
    pod::{Pod, Ward},
};

/// What a problem says, its status and when to try again.
async fn problem(request: reqwest::RequestBuilder) -> (u16, String, Option<u64>) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let retry = response.headers().get("retry-after");
    let retry = retry.map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let said: Value = response.json().await.unwrap();
    let kind = said["type"].as_str().unwrap().rsplit('/').next().unwrap();
    (status, kind.to_owned(), retry)
}

async fn opened() -> (Ward, Pod) {
    let ward = Ward::open().await;
    let pod = ward.pod("0s");
    (ward, pod)
}

fn alarm() -> Value {
    json!({"pulse": "wa/wamid.never-heard-of", "alarm": 0})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_queue_gets_in() {
    let (ward, _pod) = opened().await;
    let right = ward.tasks.token(&ward.url());
    let answer = ward
        .push(&alarm())
        .bearer_auth(&right)
        .send()
        .await
        .unwrap();
    // It is finished, as far as anybody knows.
    assert_eq!(answer.status(), 204);
    let forged = Signer::new().token(ACCOUNT, &ward.url());
    let elsewhere = ward.tasks.token("https://elsewhere.example/tasks/barista");
    for (token, status, kind) in [
        (None, 401, "bad-token"),
        (Some("hush-hush"), 401, "bad-token"),
        (Some(&*forged), 401, "bad-token"),
        (Some(&*elsewhere), 403, "wrong-token"),
    ] {
        let mut push = ward.push(&alarm());
        if let Some(token) = token {
            push = push.bearer_auth(token);
        }
        assert_eq!(problem(push).await, (status, kind.to_owned(), None));
    }
    let basic = ward.push(&alarm()).basic_auth("ana", Some("hush-hush"));
    assert_eq!(problem(basic).await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_alarm_is_refused_and_not_read_without_end() {
    let (ward, _pod) = opened().await;
    let token = ward.tasks.token(&ward.url());
    for body in [json!({}), json!("wa/1"), json!({"pulse": 7})] {
        let refused = problem(ward.push(&body).bearer_auth(&token)).await;
        assert_eq!(refused, (400, "no-alarm".to_owned(), None));
    }
    let endless = json!({"pulse": "x".repeat(20_000)});
    let refused = problem(ward.push(&endless).bearer_auth(&token)).await;
    assert_eq!(refused.0, 413);
    let nobodys = ward.client.post(ward.url().replace("barista", "waiter"));
    assert_eq!(problem(nobodys.bearer_auth(&token)).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_stops_sends_the_queue_to_another() {
    let (ward, pod) = opened().await;
    let token = ward.tasks.token(&ward.url());
    pod.drain().await;
    let (status, kind, retry) = problem(ward.push(&alarm()).bearer_auth(&token)).await;
    assert_eq!((status, &*kind), (503, "draining"));
    assert!(retry.is_some_and(|seconds| seconds > 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_while_googles_keys_cannot_be_had() {
    let (ward, _pod) = opened().await;
    let token = ward.tasks.token(&ward.url());
    ward.tasks.queue().keyless = true;
    let (status, kind, retry) = problem(ward.push(&alarm()).bearer_auth(&token)).await;
    assert_eq!((status, &*kind), (503, "no-keys"));
    assert!(retry.is_some_and(|seconds| seconds > 0));
}
