//! Oracles and embedders.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use eywa_adapters::{
    aws::{BedrockAuth, BedrockSite},
    embedder::{BedrockEmbedder, GeminiEmbedder, OpenAiEmbedder, VertexAiEmbedder},
    google::{GoogleTokens, VertexSite},
    oracle::{Anthropic, Bedrock, Gemini, OpenAi, VertexAi},
};
use eywa_guard::GuardedClient;
use eywa_weave::ports::{
    Embedder, Oracle,
    lore::Purpose,
    oracle::{Question, Turn},
};
use futures::future::BoxFuture;
use serde_json::json;
use url::Url;

use super::Said;

/// A service account's key that was made for this test and opens nothing.
fn tokens() -> GoogleTokens {
    static PRIVATE: LazyLock<String> = LazyLock::new(|| {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = STANDARD.encode(AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap().as_ref() as &[u8]);
        format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")
    });
    let key = json!({
        "type": "service_account", "project_id": "cafe-fake", "private_key_id": "fake-id",
        "private_key": PRIVATE.as_str(), "client_email": "barista@cafe-fake.iam.gserviceaccount.com",
        "client_id": "1", "token_uri": "https://never-followed.example/",
    });
    GoogleTokens::of_key(&key.to_string().into()).unwrap()
}

fn bedrock_site(base_url: Url) -> BedrockSite {
    BedrockSite {
        base_url,
        region: "eu-west-1".to_owned(),
        auth: BedrockAuth::ApiKey("not-a-real-key".into()),
    }
}

fn vertex_site(base_url: Url) -> VertexSite {
    VertexSite {
        base_url,
        project: "cafe-fake".to_owned(),
        location: "global".to_owned(),
    }
}

/// Asks for an answer as a whole and in pieces, which are read in two ways. It failed if both did.
async fn asked(oracle: impl Oracle) -> Said {
    let turns = [Turn::User {
        text: "hi".to_owned(),
        attachments: Vec::new(),
    }];
    let question = || Question {
        system: "You serve coffee.",
        turns: &turns,
        tools: &[],
        temperature: None,
        max_tokens: Some(8),
        effort: None,
    };
    let mut hear = |_: &str| {};
    let whole = oracle.ask(question(), None).await;
    let pieces = oracle.ask(question(), Some(&mut hear)).await;
    match (whole, pieces) {
        (Err(whole), Err(pieces)) => Err(format!("{whole} | {pieces}")),
        (whole, pieces) => {
            let length = |reply: &eywa_weave::ports::oracle::Reply| reply.text.len();
            Ok(whole.as_ref().map_or(0, length) + pieces.as_ref().map_or(0, length))
        }
    }
}

async fn embedded(embedder: impl Embedder) -> Said {
    let embeddings = embedder.embed(&["hi"], Purpose::Query).await;
    embeddings
        .map(|found| found.vectors.len())
        .map_err(|error| error.to_string())
}

pub fn anthropic(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(asked(Anthropic::new(client, &url, "m", None)))
}

pub fn bedrock(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(asked(Bedrock::new(client, bedrock_site(url), "m")))
}

pub fn gemini(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(asked(Gemini::new(client, &url, "m", None)))
}

pub fn openai(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(asked(OpenAi::new(client, &url, "m", None)))
}

pub fn vertexai(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async {
        let site = vertex_site(url);
        asked(VertexAi::new(client, &site, "gemini-m", tokens())).await
    })
}

pub fn bedrock_embedder(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(embedded(BedrockEmbedder::new(
        client,
        bedrock_site(url),
        BedrockEmbedder::MODEL,
        256,
    )))
}

pub fn gemini_embedder(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(embedded(GeminiEmbedder::new(client, &url, "m", None, 8)))
}

pub fn openai_embedder(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(embedded(OpenAiEmbedder::new(client, &url, "m", None, 8)))
}

pub fn vertexai_embedder(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async {
        let site = vertex_site(url);
        embedded(VertexAiEmbedder::new(client, &site, "m", tokens(), 8)).await
    })
}
