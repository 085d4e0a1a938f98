//! What looks things up and does things: Scouts, Actions, Conduits, vector stores.

use std::{collections::BTreeMap, time::Duration};

use eywa_adapters::{
    action::{HttpAction, HttpActionSettings},
    conduit::mcp::{Endpoint, probe},
    headers::SecretHeaders,
    lore::{PineconeLore, QdrantLore, WeaviateLore},
    requests::{Pick, TemplatedHeaders},
    scout::{HttpScout, HttpScoutSettings},
};
use eywa_crds::template::UrlTemplate;
use eywa_guard::{GuardedClient, http::Method};
use eywa_weave::{
    Pulse,
    ports::{Action, Lore, Scout, action::Call, lore::Search},
    tool::{Tool, ToolSpec},
    weave::history::Turns,
};
use futures::future::BoxFuture;
use serde_json::json;
use url::Url;

use super::Said;

const WITHIN: Duration = Duration::from_secs(60);

fn pulse() -> Pulse {
    serde_json::from_value(json!({
        "id": "wa/wamid.1", "session": "wa/5511999990000", "user": {"id": "5511999990000"},
        "content": {"text": "hi"}, "received_at": "2026-11-23T08:00:00Z", "reply_to": null,
    }))
    .unwrap()
}

pub fn scout(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async move {
        let settings = HttpScoutSettings {
            name: "crm".to_owned(),
            spirit: "barista".into(),
            url: UrlTemplate::parse(url.as_str(), HttpScout::VOCABULARY).unwrap(),
            headers: TemplatedHeaders::default(),
            secrets: SecretHeaders::default(),
            pick: Pick::default(),
            cache: None,
            timeout: WITHIN,
        };
        let scout = HttpScout::new(settings, client);
        let found = scout.harvest(&pulse(), &Turns::default()).await;
        found
            .map(|found| found.text.len())
            .map_err(|error| error.to_string())
    })
}

async fn acted(client: GuardedClient, url: Url, method: Method) -> Said {
    let tool = ToolSpec {
        name: "place_order".to_owned(),
        description: "Orders".to_owned(),
        parameters: json!({"type": "object"}),
    };
    let settings = HttpActionSettings {
        tool: Tool::new(tool).unwrap(),
        spirit: "barista".into(),
        method,
        url: UrlTemplate::parse(url.as_str(), HttpAction::VOCABULARY).unwrap(),
        query: None,
        body: None,
        headers: TemplatedHeaders::default(),
        secrets: SecretHeaders::default(),
        pick: Pick::default(),
        max_response: 64 * 1024,
        idempotency_key: None,
        retries: 0,
        timeout: WITHIN,
    };
    let (pulse, arguments) = (pulse(), json!({}));
    let call = Call {
        pulse: &pulse,
        id: "call-1",
        arguments: &arguments,
    };
    let done = HttpAction::new(settings, client).call(call).await;
    done.map(|done| done.said.len())
        .map_err(|error| error.to_string())
}

pub fn action_get(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(acted(client, url, Method::GET))
}

pub fn action_post(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(acted(client, url, Method::POST))
}

pub fn conduit(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async move {
        let endpoint = Endpoint::new(url, SecretHeaders::default());
        let found = probe(&client, &endpoint, WITHIN).await;
        found
            .map(|found| found.tools.len())
            .map_err(|error| error.to_string())
    })
}

async fn searched(lore: impl Lore) -> Said {
    let search = Search {
        namespace: "cafe",
        vector: &[0.5, 0.5],
        filter: &BTreeMap::new(),
        top_k: 4,
        min_score: 0.0,
    };
    let found = lore.search(search).await;
    found
        .map(|found| found.len())
        .map_err(|error| error.to_string())
}

pub fn qdrant(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(searched(QdrantLore::new(client, url, "menu", None)))
}

pub fn weaviate(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async move { searched(WeaviateLore::new(client, url, "Menu", None).unwrap()).await })
}

pub fn pinecone(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(searched(PineconeLore::new(client, url, None)))
}
