//! The Oracles that speak OpenAI's and Anthropic's formats, against a server of both that this project did not write:
//! litellm's, in front of a stand-in for a model. What a request says is translated once by litellm, and so is the answer.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

mod proxy;

use std::sync::Arc;

use eywa_adapters::oracle::{Anthropic, OpenAi};
use eywa_guard::{GuardedClient, Policy};
use eywa_weave::{
    ports::oracle::{Fault, Oracle, OracleError, Question, Reply, Stop, Turn, Usage},
    pulse::{Attachment, Media},
    tool::{ToolCall, ToolResult, ToolSpec},
};
use serde_json::{Value, json};
use url::Url;

use crate::proxy::{KEY, Proxy};

/// Both Oracles, at this server.
fn oracles(proxy: &Proxy, key: &str) -> [Arc<dyn Oracle>; 2] {
    let client = GuardedClient::new(Arc::new(Policy {
        loopback: true,
        ..Policy::default()
    }));
    let url = Url::parse(&proxy.url).unwrap();
    let key = || Some(key.into());
    [
        Arc::new(OpenAi::new(client.clone(), &url, "chat", key())),
        Arc::new(Anthropic::new(client, &url, "chat", key())),
    ]
}

fn person(text: &str) -> Turn {
    Turn::User {
        text: text.to_owned(),
        attachments: Vec::new(),
    }
}

async fn ask(
    oracle: &dyn Oracle,
    turns: &[Turn],
    tools: &[Arc<ToolSpec>],
) -> Result<Reply, OracleError> {
    let question = Question {
        system: "You serve coffee.",
        turns,
        tools,
        temperature: Some(0.5),
        max_tokens: Some(64),
        effort: None,
    };
    oracle.ask(question, None).await
}

async fn heard(oracle: &dyn Oracle, turns: &[Turn], tools: &[Arc<ToolSpec>]) -> (String, Reply) {
    let mut heard = String::new();
    let mut on_text = |piece: &str| heard.push_str(piece);
    let question = Question {
        system: "You serve coffee.",
        turns,
        tools,
        temperature: None,
        max_tokens: None,
        effort: None,
    };
    let reply = oracle.ask(question, Some(&mut on_text)).await.unwrap();
    (heard, reply)
}

fn place_order() -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: "shop.place_order".to_owned(),
        description: "Places an order.".to_owned(),
        parameters: json!({"type": "object", "properties": {"drink": {"type": "string"}}}),
    })
}

/// One server for all of it: it takes seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn both_formats_are_understood_by_a_server_of_another_project() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let proxy = Proxy::start().await;
    for oracle in oracles(&proxy, KEY) {
        let name = oracle.provider();
        an_answer_has_its_text_and_usage(&*oracle, &proxy).await;
        an_answer_is_heard_as_it_comes(&*oracle).await;
        calls_come_and_their_results_go_back(&*oracle, &proxy).await;
        an_image_arrives(&*oracle, &proxy).await;
        for (said, fault) in [
            ("too long", Fault::TooLong),
            ("too often", Fault::RateLimited(None)),
            ("broken", Fault::Overloaded),
        ] {
            let error = ask(&*oracle, &[person(said)], &[]).await.unwrap_err();
            assert_eq!(error.fault, fault, "{name}: {error}");
        }
    }
    let keyless = oracles(&proxy, "sk-wrong-and-not-real");
    for oracle in keyless {
        let error = ask(&*oracle, &[person("hi")], &[]).await.unwrap_err();
        // Without a database litellm does not know other keys, and says 400.
        assert!(
            matches!(error.fault, Fault::Unauthorized | Fault::Malformed),
            "{error}"
        );
        assert!(!error.to_string().contains("sk-wrong"), "{error}");
    }
}

async fn an_answer_has_its_text_and_usage(oracle: &dyn Oracle, proxy: &Proxy) {
    let reply = ask(oracle, &[person("hi")], &[]).await.unwrap();
    let name = oracle.provider();
    assert_eq!(
        (reply.text.as_str(), reply.stop),
        ("Coming!", Stop::End),
        "{name}"
    );
    let usage = Usage {
        input: 12,
        output: 3,
        cached: 4,
        cache_write: 0,
    };
    assert_eq!(reply.usage, usage, "{name}");
    let asked = proxy.asked().await;
    assert_eq!(asked["max_tokens"], 64, "{name}: {asked}");
    assert_eq!(asked["temperature"], 0.5, "{name}: {asked}");
    let system = &asked["messages"][0];
    assert!(
        system["role"] == "system" && system["content"].to_string().contains("You serve coffee."),
        "{name}: {asked}"
    );
}

async fn an_answer_is_heard_as_it_comes(oracle: &dyn Oracle) {
    let (heard, reply) = heard(oracle, &[person("hi")], &[]).await;
    let name = oracle.provider();
    assert_eq!(
        (heard.as_str(), reply.text.as_str()),
        ("Coming!", "Coming!"),
        "{name}"
    );
    assert_eq!((reply.usage.input, reply.usage.output), (12, 3), "{name}");
}

async fn calls_come_and_their_results_go_back(oracle: &dyn Oracle, proxy: &Proxy) {
    let (name, tools) = (oracle.provider(), [place_order()]);
    let expected = [("call_a", "tea"), ("call_b", "latte")];
    let asked = [person("a tea and a latte")];
    let whole = ask(oracle, &asked, &tools).await.unwrap();
    let (_, streamed) = heard(oracle, &asked, &tools).await;
    for reply in [&whole, &streamed] {
        assert_eq!(reply.stop, Stop::Tools, "{name}");
        let made: Vec<(&str, &str, &Value)> = reply
            .calls
            .iter()
            .map(|call| (call.id.as_str(), call.name.as_str(), &call.arguments))
            .collect();
        let drinks = expected.map(|(id, drink)| (id, drink, json!({ "drink": drink })));
        let expected: Vec<_> = drinks
            .iter()
            .map(|(id, _, arguments)| (*id, "shop.place_order", arguments))
            .collect();
        assert_eq!(made, expected, "{name}");
    }
    let results = expected.map(|(id, drink)| ToolResult {
        call: id.to_owned(),
        name: "shop.place_order".to_owned(),
        content: format!("{drink} is coming"),
        failed: false,
    });
    let calls: Vec<ToolCall> = whole.calls;
    let turns = [
        person("a tea and a latte"),
        Turn::Agent {
            text: "One moment.".to_owned(),
            calls,
        },
        Turn::Tools(results.into()),
    ];
    ask(oracle, &turns, &[]).await.unwrap();
    let asked = proxy.asked().await;
    let results: Vec<(&Value, String)> = asked["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| (&message["tool_call_id"], message["content"].to_string()))
        .collect();
    assert_eq!(results.len(), 2, "{name}: {asked}");
    for ((id, content), (expected, drink)) in results.iter().zip(expected) {
        assert!(
            *id == expected && content.contains(drink),
            "{name}: {id} {content}"
        );
    }
}

async fn an_image_arrives(oracle: &dyn Oracle, proxy: &Proxy) {
    let turns = [Turn::User {
        text: "What is this?".to_owned(),
        attachments: vec![Attachment {
            id: "1".to_owned(),
            media_type: "image/png".to_owned(),
            media: Some(Media {
                media_type: "image/png".to_owned(),
                file_name: None,
                bytes: b"not really a picture"[..].into(),
            }),
            ..Attachment::default()
        }],
    }];
    ask(oracle, &turns, &[]).await.unwrap();
    let asked = proxy.asked().await.to_string();
    assert!(
        asked.contains("data:image/png;base64,bm90IHJlYWxseSBhIHBpY3R1cmU="),
        "{}: {asked}",
        oracle.provider()
    );
}
