use eywa_weave::{
    ports::oracle::Effort,
    pulse::{Attachment, Media},
    tool::ToolResult,
};

use super::{
    super::{LIMITS, Spec, request::Body},
    *,
};

fn spec() -> Spec<'static> {
    Spec {
        model: Some("m"),
        version: None,
        cache: false,
        limits: &LIMITS,
    }
}

pub(super) fn body(question: &Question<'_>) -> Value {
    serde_json::to_value(Body::of(question, spec(), false)).unwrap()
}

fn result(call: &str, content: &str, failed: bool) -> ToolResult {
    ToolResult {
        call: call.into(),
        name: "place_order".into(),
        content: content.into(),
        failed,
    }
}

/// A question in which everything occurs.
async fn asked_of(oracle: impl FnOnce(Anthropic) -> Anthropic) -> Value {
    let server = stand_in(ResponseTemplate::new(200).set_body_json(message(
        json!([{"type": "text", "text": "Hi."}]),
        "end_turn",
    )))
    .await;
    let turns = [
        person("A flat white and a croissant."),
        Turn::Agent {
            text: "Let me see.".into(),
            calls: vec![
                call("toolu_1", "place_order", json!({"drink": "flat white"})),
                call("toolu_2", "place_order", json!({"drink": "croissant"})),
            ],
        },
        Turn::Tools(vec![
            result("toolu_1", "ready in 4 minutes", false),
            result("toolu_2", "a croissant is no drink", true),
        ]),
    ];
    let tools = [tool("menu"), tool("place_order")];
    let asking = Question {
        temperature: Some(0.2),
        max_tokens: Some(1024),
        effort: Some(Effort::Medium),
        ..question(&turns, &tools)
    };
    oracle(super::oracle(&server))
        .ask(asking, None)
        .await
        .unwrap();
    asked(&server).await
}

#[tokio::test]
async fn a_question_goes_out_as_the_api_documents_it() {
    insta::assert_json_snapshot!(asked_of(|oracle| oracle).await);
}

#[tokio::test]
async fn nothing_is_marked_for_the_cache_where_that_is_not_wanted() {
    let body = asked_of(|oracle| oracle.caching(false)).await.to_string();
    assert!(!body.contains("cache_control"), "{body}");
}

#[test]
fn another_cloud_has_the_version_in_the_body_and_the_model_in_its_address() {
    let turns = [person("Hi.")];
    let spec = Spec {
        model: None,
        version: Some("vertex-2023-10-16"),
        ..spec()
    };
    let body = serde_json::to_value(Body::of(&question(&turns, &[]), spec, true)).unwrap();
    assert_eq!(
        body,
        json!({
            "anthropic_version": "vertex-2023-10-16", "max_tokens": 4096, "stream": true,
            "system": [{"type": "text", "text": "You serve coffee."}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi."}]}],
        })
    );
}

#[test]
fn images_and_pdfs_come_before_the_text_and_the_rest_is_named() {
    let loaded = |id: &str, media_type: &str, bytes: &[u8]| Attachment {
        id: id.into(),
        media_type: media_type.into(),
        file_name: Some("menu.pdf".into()),
        media: Some(Media {
            media_type: media_type.into(),
            file_name: None,
            bytes: bytes.into(),
        }),
    };
    let turns = [Turn::User {
        text: "What is this?".into(),
        attachments: vec![
            loaded("1", "image/webp", b"webp"),
            loaded("2", "application/pdf", b"pdf"),
            loaded("3", "image/tiff", b"tiff"),
        ],
    }];
    assert_eq!(
        body(&question(&turns, &[]))["messages"][0]["content"],
        json!([
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "d2VicA=="}},
            {"type": "document", "title": "menu.pdf",
             "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"}},
            {"type": "text", "text": "What is this?\n[attachment image/tiff \"menu.pdf\"]"},
        ])
    );
}

#[test]
fn what_the_api_refuses_as_empty_is_left_out_or_said_in_words() {
    let turns = [
        person(" "),
        Turn::Agent {
            text: String::new(),
            calls: Vec::new(),
        },
        person("Hello?"),
    ];
    let question = Question {
        system: "",
        ..question(&turns, &[])
    };
    let body = body(&question);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "[an empty message]"}]},
            {"role": "user", "content": [{"type": "text", "text": "Hello?"}]},
        ])
    );
    assert_eq!((body.get("system"), body.get("tools")), (None, None));
}

#[test]
fn another_providers_calls_fit_in() {
    let sealed = Some("c2VhbA==".into());
    let turns = [
        person("Hi."),
        Turn::Agent {
            text: String::new(),
            calls: vec![ToolCall {
                sealed,
                ..call("functions.menu:0", "shop.menu", json!("no object"))
            }],
        },
        Turn::Tools(vec![result("functions.menu:0", "", false)]),
    ];
    let body = body(&question(&turns, &[]));
    let (call, result) = (
        &body["messages"][1]["content"][0],
        &body["messages"][2]["content"][0],
    );
    assert_eq!(call["type"], "tool_use");
    assert_eq!(call["input"], json!({"unreadable": "no object"}));
    assert_eq!(call["id"], result["tool_use_id"]);
    for name in [&call["id"], &call["name"]] {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        assert!(name.as_str().unwrap().chars().all(fits), "{name}");
    }
}
