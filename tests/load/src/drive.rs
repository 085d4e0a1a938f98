//! The load: signed webhooks of many people, over few connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use futures::future::try_join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tokio::time::timeout;

use crate::{
    spirit::APP_SECRET,
    standins::{IN_WORK, Replies, Standins},
};

const PEOPLE: usize = 1000;
const CONNECTIONS: usize = 32;
/// The longest that one Pulse may take to be answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Sends webhooks to one program.
pub(crate) struct Load {
    url: String,
    replies: Arc<Replies>,
    sent: AtomicUsize,
}

impl Load {
    pub(crate) fn new(http: SocketAddr, standins: &Standins) -> Self {
        let url = format!("http://{http}/voices/bench/wa");
        Self {
            url,
            replies: standins.state.clone(),
            sent: AtomicUsize::new(0),
        }
    }

    /// Sends so many Pulses, and waits until all are answered.
    pub(crate) async fn send(&self, pulses: usize) -> Result<()> {
        let last = self.sent.load(Ordering::Acquire) + pulses;
        try_join_all((0..CONNECTIONS).map(|_| self.connection(last))).await?;
        self.sent.store(last, Ordering::Release);
        let all = u32::try_from(IN_WORK)?;
        let landed = timeout(ANSWERED_WITHIN, self.replies.room.acquire_many(all)).await;
        drop(landed.context("some Pulses were not answered")??);
        Ok(())
    }

    async fn connection(&self, last: usize) -> Result<()> {
        // A client of its own keeps one connection.
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(1)
            .build()?;
        loop {
            let number = self.sent.fetch_add(1, Ordering::AcqRel);
            if number >= last {
                return Ok(());
            }
            let room = timeout(ANSWERED_WITHIN, self.replies.room.acquire()).await;
            room.context("some Pulses were not answered")??.forget();
            let body = webhook(number);
            let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes())?;
            mac.update(&body);
            let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
            let sent = client
                .post(&self.url)
                .header("x-hub-signature-256", signature)
                .body(body)
                .send()
                .await?;
            if !sent.status().is_success() {
                bail!(
                    "a webhook was answered with {}: {}",
                    sent.status(),
                    sent.text().await?
                );
            }
        }
    }
}

/// A webhook with one text message, as Meta's documentation of the Cloud API has it.
fn webhook(number: usize) -> Vec<u8> {
    // Whoever wrote long ago may not be answered.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let person = format!("55119{:08}", number % PEOPLE);
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550000000", "phone_number_id": "1055"},
            "contacts": [{"profile": {"name": "Guest"}, "wa_id": person}],
            "messages": [{
                "from": person, "id": format!("wamid.{number}"), "timestamp": now.to_string(),
                "type": "text", "text": {"body": "a flat white, please"},
            }],
        }}]}],
    })
    .to_string()
    .into_bytes()
}
