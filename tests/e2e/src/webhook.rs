//! Webhooks as Meta sends them, to one pod or to all.
//!
//! Source: Meta, WhatsApp Business Platform, "Webhooks payload reference" and Graph API "Validating payloads".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{Instant, timeout},
};
use url::Url;

/// How long a request may take: longer than the runtime ever should.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The number that people write to.
pub const PHONE_NUMBER_ID: &str = "1055";

/// Meta: sends signed webhooks.
#[derive(Clone)]
pub struct Meta {
    app_secret: String,
    client: reqwest::Client,
}

/// What a webhook was answered with.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// The body.
    pub body: String,
}

impl Meta {
    /// Signs with this app secret.
    ///
    /// # Panics
    /// When there can be no HTTP client.
    pub fn new(app_secret: &str) -> Self {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .build();
        let client = client.unwrap_or_else(|error| panic!("no HTTP client: {error}"));
        Self {
            app_secret: app_secret.to_owned(),
            client,
        }
    }

    /// The signature of a body: the value of `X-Hub-Signature-256`.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    pub fn signature(&self, body: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.app_secret.as_bytes()) else {
            panic!("HMAC takes keys of any length");
        };
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    /// Sends a signed webhook.
    pub async fn post(&self, url: &str, webhook: &Value) -> Answer {
        self.try_post(url, webhook)
            .await
            .unwrap_or_else(|error| panic!("no answer from {url}: {error:?}"))
    }

    /// Sends a signed webhook, to somebody who may not be there.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn try_post(&self, url: &str, webhook: &Value) -> reqwest::Result<Answer> {
        let body = webhook.to_string();
        let signature = self.signature(body.as_bytes());
        self.send(url, body, Some(&signature)).await
    }

    /// Sends any bytes with any signature.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn post_as_is(
        &self,
        url: &str,
        body: impl Into<reqwest::Body>,
        signature: Option<&str>,
    ) -> Answer {
        self.send(url, body, signature)
            .await
            .unwrap_or_else(|error| panic!("no answer from {url}: {error:?}"))
    }

    /// Asks for the challenge of a webhook's verification.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn verify(&self, url: &str, verify_token: &str, challenge: &str) -> Answer {
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.verify_token", verify_token),
            ("hub.challenge", challenge),
        ];
        let request = self.client.get(url).query(&query);
        answer(request)
            .await
            .unwrap_or_else(|error| panic!("no answer from {url}: {error:?}"))
    }

    /// Gets a page, such as that of a probe.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn get(&self, url: &str) -> reqwest::Result<Answer> {
        answer(self.client.get(url)).await
    }

    /// Announces a body of this many bytes and sends none of it.
    ///
    /// # Panics
    /// When there is no answer to that alone.
    pub async fn announce(&self, url: &str, bytes: usize) -> Answer {
        let Ok(url) = url.parse::<Url>() else {
            panic!("{url} is no URL")
        };
        let (host, port) = (
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default(),
        );
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n",
            url.path()
        );
        let started = Instant::now();
        let asking = async {
            let mut stream = TcpStream::connect((host, port)).await?;
            stream.write_all(head.as_bytes()).await?;
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let line = match timeout(TIMEOUT, asking).await {
            Ok(Ok(line)) => line,
            other => panic!("no answer from {url} to an announced body: {other:?}"),
        };
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_default();
        Answer {
            status,
            took: started.elapsed(),
            body: line,
        }
    }

    async fn send(
        &self,
        url: &str,
        body: impl Into<reqwest::Body>,
        signature: Option<&str>,
    ) -> reqwest::Result<Answer> {
        let mut request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        answer(request).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let started = Instant::now();
    let response = request.send().await?;
    let status = response.status().as_u16();
    let took = started.elapsed();
    Ok(Answer {
        status,
        took,
        body: response.text().await?,
    })
}

/// A webhook with one text message.
pub fn text(from: &str, wamid: &str, body: &str) -> Value {
    messages(
        from,
        json!([message(from, wamid, "text", json!({"body": body}))]),
    )
}

/// Seconds since 1970, as Meta writes when a message was sent.
///
/// # Panics
/// When the clock is before 1970.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or_else(
        |error| panic!("{error}"),
        |since| since.as_secs().to_string(),
    )
}

/// One message of any type, sent now.
pub fn message(from: &str, wamid: &str, kind: &str, part: Value) -> Value {
    json!({"from": from, "id": wamid, "timestamp": now(), "type": kind, kind: part})
}

/// A webhook with these messages.
pub fn messages(from: &str, messages: Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": [{
            "field": "messages",
            "value": {
                "messaging_product": "whatsapp",
                "metadata": {"display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID},
                "contacts": [{"profile": {"name": "Ana"}, "wa_id": from}],
                "messages": messages,
            },
        }]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_as_rfc_4231_computes_it() {
        // RFC 4231, test case 2.
        let signed = Meta::new("Jefe").signature(b"what do ya want for nothing?");
        assert_eq!(
            signed,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_message_lies_where_meta_puts_it() {
        let webhook = text("55", "wamid.1", "hi");
        let value = &webhook["entry"][0]["changes"][0]["value"];
        assert_eq!(value["metadata"]["phone_number_id"], PHONE_NUMBER_ID);
        assert_eq!(value["messages"][0]["text"]["body"], "hi");
    }
}
