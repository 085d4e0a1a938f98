//! The floor: the same trips as a Pulse makes, and nothing else.
//!
//! One trip to Redis before the webhook is acknowledged. Then six more, with as many scripts side by side as the Weave
//! sends, one request to the model and one to the channel. The scripts touch one key each; nothing is parsed, checked,
//! looked up or kept.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use axum::{Router, body::Bytes, extract::State, routing::post};
use redis::{Script, aio::MultiplexedConnection};
use tokio::net::TcpListener;

/// Scripts side by side in each trip after the first: Bond and Vigil; Memory and Echoes; the permit; the mark; Echoes,
/// Chronicle and the permit's end; the Inbox and the Bond's end.
const TRIPS: [usize; 6] = [2, 2, 1, 1, 3, 2];
/// About what the Weave sends of a Pulse.
const BODY: &str = r#"{"model":"stand-in","messages":[{"role":"system","content":"You serve coffee."},{"role":"user","content":"a flat white, please"}]}"#;

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
    floor.trip(1, &body).await;
    tokio::spawn(async move {
        let [bond, recall, rest @ ..] = TRIPS;
        floor.trip(bond, &body).await;
        floor.trip(recall, &body).await;
        floor.post("/v1/chat/completions").await;
        let [permit, mark, record, end] = rest;
        floor.trip(permit, &body).await;
        floor.trip(mark, &body).await;
        floor.post("/graph/1055/messages").await;
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

    async fn post(&self, path: &str) {
        let request = self.client.post(format!("{}{path}", self.standins));
        let sent = request
            .header("content-type", "application/json")
            .bearer_auth("none")
            .body(BODY)
            .send()
            .await;
        let read = async { sent?.bytes().await };
        if let Err(error) = read.await {
            eprintln!("the floor's request failed: {error}");
        }
    }
}
