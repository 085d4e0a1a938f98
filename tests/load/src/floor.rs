//! The floor: the same trips as a Pulse makes, and nothing else.
//!
//! Two trips to Redis before the webhook is acknowledged. Then seven more, with as many scripts side by side as the Weave
//! sends, one request to the model and two to the channel: the reply, and before it, beside the rest, that it is being
//! made. The scripts touch one key each; nothing is parsed, checked, looked up or kept.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use axum::{Router, body::Bytes, extract::State, routing::post};
use redis::{Script, aio::MultiplexedConnection};
use tokio::net::TcpListener;

/// Scripts side by side in each trip after the webhook is acknowledged: Bond and Vigil; Memory and Echoes; the permit; the
/// mark; the channel's pace; Echoes, Chronicle, the permit's end and what the channel calls the reply; the Inbox and the
/// Bond's end.
const TRIPS: [usize; 7] = [2, 2, 1, 1, 1, 4, 2];
/// About what the Weave sends of a Pulse.
const BODY: &str = r#"{"model":"stand-in","messages":[{"role":"system","content":"You serve coffee."},{"role":"user","content":"a flat white, please"}]}"#;

/// That the message was read, and that somebody types.
const TYPING: &str = r#"{"messaging_product":"whatsapp","status":"read","message_id":"wamid.1","typing_indicator":{"type":"text"}}"#;

struct Floor {
    redis: MultiplexedConnection,
    client: reqwest::Client,
    standins: String,
    script: Script,
}

/// Serves until it is ended.
pub(crate) async fn serve(http: SocketAddr, redis: &str, standins: &str) -> Result<()> {
    let floor = Arc::new(Floor {
        redis: redis::Client::open(redis)?
            .get_multiplexed_async_connection()
            .await?,
        client: reqwest::Client::builder().no_proxy().build()?,
        standins: standins.to_owned(),
        script: Script::new("return redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)"),
    });
    let routes = Router::new()
        .route("/voices/bench/wa", post(take))
        .with_state(floor);
    axum::serve(TcpListener::bind(http).await?, routes).await?;
    Ok(())
}

async fn take(State(floor): State<Arc<Floor>>, body: Bytes) {
    // Who the person is, and the Inbox.
    floor.trip(1, &body).await;
    floor.trip(1, &body).await;
    tokio::spawn(async move {
        let [bond, recall, rest @ ..] = TRIPS;
        floor.trip(bond, &body).await;
        floor.trip(recall, &body).await;
        let typing = floor.clone();
        tokio::spawn(async move { typing.post("/graph/1055/messages", TYPING).await });
        floor.post("/v1/chat/completions", BODY).await;
        let [permit, mark, pace, record, end] = rest;
        floor.trip(permit, &body).await;
        floor.trip(mark, &body).await;
        floor.trip(pace, &body).await;
        floor.post("/graph/1055/messages", BODY).await;
        floor.trip(record, &body).await;
        floor.trip(end, &body).await;
    });
}

impl Floor {
    async fn trip(&self, scripts: usize, body: &Bytes) {
        let one = async |key: usize| {
            let mut redis = self.redis.clone();
            let mut call = self.script.key(format!("floor:{key}"));
            let kept: redis::RedisResult<String> =
                call.arg(&body[..]).invoke_async(&mut redis).await;
            if let Err(error) = kept {
                eprintln!("the floor's Redis failed: {error}");
            }
        };
        futures::future::join_all((0..scripts).map(one)).await;
    }

    async fn post(&self, path: &str, body: &'static str) {
        let request = self.client.post(format!("{}{path}", self.standins));
        let sent = request
            .header("content-type", "application/json")
            .bearer_auth("none")
            .body(body)
            .send()
            .await;
        let read = async { sent?.bytes().await };
        if let Err(error) = read.await {
            eprintln!("the floor's request failed: {error}");
        }
    }
}
