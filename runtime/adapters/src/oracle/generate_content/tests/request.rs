use eywa_weave::{
    ports::oracle::Effort,
    pulse::{Attachment, Media},
};

use super::*;

async fn sent(oracle_of: impl Fn(&MockServer) -> Gemini, question: Question<'_>) -> Value {
    let server = stand_in(
        ResponseTemplate::new(200)
            .set_body_json(answer(json!([{"text": "Coming!"}]), Some("STOP"))),
    )
    .await;
    oracle_of(&server).ask(question, None).await.unwrap();
    asked(&server).await.1
}

/// "Function calling", multi-turn and parallel.
#[tokio::test]
async fn a_question_goes_out_as_the_api_documents_it() {
    let turns = [
        person("A latte and a tea."),
        Turn::Agent {
            text: "One moment.".into(),
            calls: vec![
                call("c1", "place_order", json!({"drink": "latte"}), None),
                call("c2", "place_order", json!({"drink": "tea"}), None),
            ],
        },
        Turn::Tools(vec![
            result("c1", "place_order", r#"{"ready_in": 4}"#, false),
            result("c2", "place_order", "out of tea", true),
        ]),
    ];
    let tools = [tool("place_order")];
    let question = Question {
        temperature: Some(0.2),
        max_tokens: Some(500),
        effort: Some(Effort::Low),
        ..question(&turns, &tools)
    };
    assert_eq!(
        sent(oracle, question).await,
        json!({
            "systemInstruction": {"parts": [{"text": "You serve coffee."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "A latte and a tea."}]},
                {"role": "model", "parts": [
                    {"text": "One moment."},
                    {"functionCall": {"id": "c1", "name": "place_order", "args": {"drink": "latte"}}},
                    {"functionCall": {"id": "c2", "name": "place_order", "args": {"drink": "tea"}}}
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "c1", "name": "place_order", "response": {"output": "{\"ready_in\": 4}"}}},
                    {"functionResponse": {"id": "c2", "name": "place_order", "response": {"error": "out of tea"}}}
                ]}
            ],
            "tools": [{"functionDeclarations": [{
                "name": "place_order", "description": "What place_order does.",
                "parametersJsonSchema": {"type": "object", "properties": {"drink": {"type": "string"}}, "required": ["drink"]}
            }]}],
            "generationConfig": {
                "temperature": 0.2, "maxOutputTokens": 500, "thinkingConfig": {"thinkingBudget": 1024}
            }
        })
    );
}

#[tokio::test]
async fn a_thought_signature_goes_back_with_its_call() {
    let turns = [
        person("A latte and a tea."),
        Turn::Agent {
            text: String::new(),
            calls: vec![
                call("c1", "place_order", json!({}), Some("gemini:c2lnbmVk")),
                call("c2", "place_order", json!({}), None),
            ],
        },
        Turn::Tools(vec![
            result("c1", "place_order", "ok", false),
            result("c2", "place_order", "ok", false),
        ]),
        Turn::Agent {
            text: String::new(),
            calls: vec![call("c3", "place_order", json!({}), Some("other:eHg="))],
        },
        Turn::Tools(vec![result("c3", "place_order", "ok", false)]),
    ];
    let at = |model: &'static str| {
        move |server: &MockServer| oracle_at(&format!("{}/v1beta", server.uri()), model)
    };
    let signatures = |body: &Value| {
        [(1, 0), (1, 1), (3, 0)]
            .map(|(turn, part)| body["contents"][turn]["parts"][part]["thoughtSignature"].clone())
    };
    let body = sent(at("gemini-2.5-flash"), question(&turns, &[])).await;
    assert_eq!(
        signatures(&body),
        [json!("c2lnbmVk"), Value::Null, Value::Null]
    );
    // The third series refuses a call without; another provider's stands for none.
    let body = sent(at("gemini-3-pro-preview"), question(&turns, &[])).await;
    assert_eq!(
        signatures(&body),
        [
            json!("c2lnbmVk"),
            Value::Null,
            json!("skip_thought_signature_validator")
        ]
    );
}

#[tokio::test]
async fn the_third_series_is_told_a_level_of_thought() {
    let turns = [person("Hi")];
    let question = Question {
        effort: Some(Effort::High),
        ..question(&turns, &[])
    };
    let third =
        |server: &MockServer| oracle_at(&format!("{}/v1beta", server.uri()), "gemini-3.1-flash");
    let body = sent(third, question).await;
    assert_eq!(
        body["generationConfig"]["thinkingConfig"],
        json!({"thinkingLevel": "HIGH"})
    );
    assert!(body.get("tools").is_none());
}

#[tokio::test]
async fn pictures_and_documents_go_along_and_what_it_cannot_read_is_named() {
    let file = |id: &str, media_type: &str, bytes: &[u8]| Attachment {
        id: id.into(),
        media_type: media_type.into(),
        file_name: Some("menu".into()),
        media: Some(Media {
            media_type: media_type.into(),
            file_name: None,
            bytes: bytes.into(),
        }),
    };
    let turns = [
        Turn::User {
            text: "What is this?".into(),
            attachments: vec![
                file("1", "image/jpeg", b"jpg"),
                file("2", "application/pdf", b"pdf"),
                file("3", "application/zip", b"zip"),
            ],
        },
        Turn::Agent {
            text: "A menu.".into(),
            calls: Vec::new(),
        },
        person(""),
    ];
    let body = sent(oracle, question(&turns, &[])).await;
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            {"inlineData": {"mimeType": "image/jpeg", "data": "anBn"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "cGRm"}},
            {"text": "What is this?\n[attachment application/zip \"menu\"]"}
        ])
    );
    assert_eq!(
        body["contents"][2]["parts"],
        json!([{"text": "(empty message)"}])
    );
}

#[tokio::test]
async fn the_model_is_in_the_path_and_a_tuned_one_has_its_own_collection() {
    for (model, path) in [
        (
            "gemini-2.5-flash",
            "/v1beta/models/gemini-2.5-flash:generateContent",
        ),
        (
            "tunedModels/mine",
            "/v1beta/tunedModels/mine:generateContent",
        ),
    ] {
        let server = stand_in(
            ResponseTemplate::new(200).set_body_json(answer(json!([{"text": "Hi"}]), Some("STOP"))),
        )
        .await;
        let oracle = oracle_at(&format!("{}/v1beta/", server.uri()), model);
        ask(&oracle, None).await.unwrap();
        assert_eq!(asked(&server).await.0, path);
    }
}

#[tokio::test]
async fn a_tool_without_parameters_leaves_its_schema_out() {
    let bare = Arc::new(ToolSpec {
        name: "menu".into(),
        description: "The menu.".into(),
        parameters: json!({"type": "object", "properties": {}}),
    });
    let body = sent(oracle, question(&[person("Hi")], &[bare])).await;
    assert_eq!(
        body["tools"][0]["functionDeclarations"][0],
        json!({"name": "menu", "description": "The menu."})
    );
}
