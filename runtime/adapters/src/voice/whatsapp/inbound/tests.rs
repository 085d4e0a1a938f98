//! What webhooks are read as.

use proptest::prelude::*;

use super::*;

fn told(body: &Value) -> (Vec<Pulse>, Vec<Notice>, usize) {
    match pulses(body.to_string().as_bytes(), &"wa".into(), "1055").unwrap() {
        Received::Pulses {
            pulses,
            ignored,
            notices,
        } => (pulses, notices, ignored),
        other => panic!("{other:?}"),
    }
}

fn received(body: &Value) -> (Vec<Pulse>, usize) {
    let (pulses, _, ignored) = told(body);
    (pulses, ignored)
}

fn person(id: &str, also: &[&str]) -> Notice {
    Notice::Person {
        id: id.into(),
        also: also.iter().map(|id| UserId::from(*id)).collect(),
    }
}

fn webhook(value: Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [{"field": "messages", "value": value}]}]})
}

fn from_ana(messages: Value) -> Value {
    webhook(json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": "1055"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "5511999990000"}],
        "messages": messages,
    }))
}

fn message(kind: &str, part: Value) -> Value {
    json!({"from": "5511999990000", "id": format!("wamid.{kind}"), "timestamp": "1790000000", "type": kind, kind: part})
}

#[test]
fn a_text_becomes_a_pulse() {
    let (pulses, ignored) = received(&from_ana(json!([message(
        "text",
        json!({"body": "dois flat whites 🙂"})
    )])));
    assert_eq!(ignored, 0);
    let pulse = &pulses[0];
    assert_eq!(pulse.id.as_str(), "wa/wamid.text");
    assert_eq!(pulse.session.to_string(), "wa/5511999990000");
    assert_eq!(
        (pulse.user.id.as_str(), pulse.user.name.as_deref()),
        ("5511999990000", Some("Ana"))
    );
    assert_eq!(
        pulse.content,
        eywa_weave::Content::text("dois flat whites 🙂")
    );
    assert_eq!(
        pulse.reply_to,
        json!({"to": "5511999990000", "message": "wamid.text", "at": 1_790_000_000})
    );
}

#[test]
fn what_cannot_be_read_fails_alone() {
    let (pulses, ignored) = received(&from_ana(json!([
        message("text", json!({"body": "first"})),
        message("text", json!({"body": 7})),
        message("image", json!("nothing")),
        {"type": "text"},
        "not a message",
        message("hologram", json!({"x": 1})),
        message("button", json!({"text": "last"})),
    ])));
    let texts: Vec<_> = pulses
        .iter()
        .map(|pulse| pulse.content.text.as_str())
        .collect();
    assert_eq!((texts.len(), ignored), (3, 4), "{texts:?}");
    assert!(texts[1].contains("hologram"), "{texts:?}");
}

#[test]
fn every_entry_change_and_message_is_read() {
    let change = |id: &str| {
        json!({"field": "messages", "value": {"metadata": {"phone_number_id": "1055"},
            "messages": [{"from": "1", "id": id, "type": "text", "text": {"body": id}}]}})
    };
    let (pulses, ignored) = received(&json!({"object": "whatsapp_business_account", "entry": [
        {"changes": [change("a"), {"field": "account_update", "value": {}}, change("b")]},
        "nonsense",
        {"changes": [change("c")]},
    ]}));
    let ids: Vec<_> = pulses.iter().map(|pulse| pulse.id.as_str()).collect();
    assert_eq!((ids, ignored), (vec!["wa/a", "wa/b", "wa/c"], 2));
}

#[test]
fn how_far_messages_have_come_is_told() {
    let statuses = json!([
        {"id": "wamid.x", "status": "read", "timestamp": "1790000000", "recipient_id": "5511999990000"},
        {"id": "wamid.y", "status": "failed", "errors": [{"code": 131_047, "title": "Re-engagement message"}]},
        {"id": "wamid.z", "status": "warning"},
        "nothing",
    ]);
    let (pulses, notices, ignored) = told(&webhook(
        json!({"metadata": {"phone_number_id": "1055"}, "statuses": statuses}),
    ));
    let progress = |message: &str, progress, code: Option<&str>| Notice::Progress {
        message: message.to_owned(),
        progress,
        code: code.map(str::to_owned),
    };
    assert_eq!((pulses.len(), ignored), (0, 2));
    assert_eq!(
        notices,
        [
            progress("wamid.x", Progress::Read, None),
            progress("wamid.y", Progress::Failed, Some("131047")),
        ]
    );
}

#[test]
fn a_person_who_is_renamed_is_told_of() {
    // As the page "Business-scoped user IDs" has it, and the same a level higher.
    for value in [
        json!({"metadata": {"phone_number_id": "1055"}, "user_id_update": [
            {"wa_id": "5511999990000", "user_id": {"previous": "US.1", "current": "US.2"}, "timestamp": "1790000000"}]}),
        json!({"previous": "US.1", "current": "US.2"}),
    ] {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [
            {"field": "user_id_update", "value": value}]}]});
        let (pulses, notices, ignored) = told(&body);
        assert_eq!((pulses.len(), ignored), (0, 0));
        assert_eq!(notices, [person("US.1", &["US.1", "US.2"])]);
    }
    let other = json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "user_id_update",
        "value": {"metadata": {"phone_number_id": "2066"}, "previous": "US.1", "current": "US.2"}}]}]});
    assert!(told(&other).1.is_empty());
}

#[test]
fn a_person_who_changed_their_number_is_told_of_and_not_answered() {
    let system =
        json!({"body": "Ana changed", "wa_id": "5511999991111", "type": "user_changed_number"});
    let (pulses, notices, ignored) = told(&from_ana(json!([message("system", system)])));
    assert_eq!((pulses.len(), ignored), (0, 0));
    assert_eq!(
        notices,
        [person("5511999990000", &["5511999990000", "5511999991111"])]
    );
    let (_, notices, ignored) = told(&from_ana(json!([message("system", json!({"body": "hm"}))])));
    assert_eq!((notices.len(), ignored), (0, 1));

    // What Meta calls them for this business tells more than any number.
    let system =
        json!({"wa_id": "5511999991111", "user_id": "US.2", "type": "user_changed_number"});
    let mut changed = message("system", system);
    changed["from_user_id"] = json!("US.1");
    let (_, notices, _) = told(&from_ana(json!([changed])));
    let all = ["US.1", "US.2", "5511999990000", "5511999991111"];
    assert_eq!(notices, [person("5511999990000", &all)]);
}

#[test]
fn all_ids_of_a_sender_are_told() {
    let (pulses, notices, _) = told(&webhook(json!({
        "metadata": {"phone_number_id": "1055"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "551", "user_id": "US.1"}],
        "messages": [{"from": "551", "from_user_id": "US.1", "id": "a", "type": "text", "text": {"body": "x"}}],
    })));
    assert_eq!(pulses[0].session.to_string(), "wa/551");
    assert_eq!(notices, [person("551", &["US.1"])]);
}

#[test]
fn another_numbers_messages_are_left_alone() {
    let (pulses, ignored) = received(&webhook(json!({"metadata": {"phone_number_id": "2066"},
        "messages": [{"from": "1", "id": "a", "type": "text", "text": {"body": "x"}}]})));
    assert_eq!((pulses.len(), ignored), (0, 1));
}

#[test]
fn a_person_without_a_number_is_known_by_their_id() {
    let (pulses, _) = received(&webhook(json!({
        "metadata": {"phone_number_id": "1055"},
        "contacts": [{"profile": {"name": "Bia"}, "user_id": "US.2"}, {"profile": {"name": "Ana"}, "user_id": "US.1"}],
        "messages": [{"from_user_id": "US.1", "id": "a", "type": "text", "text": {"body": "x"}}],
    })));
    assert_eq!(pulses[0].session.to_string(), "wa/US.1");
    assert_eq!(pulses[0].user.name.as_deref(), Some("Ana"));
    assert_eq!(
        pulses[0].reply_to,
        json!({"recipient": "US.1", "message": "a"})
    );
    let (pulses, _) = received(&webhook(json!({
        "metadata": {"phone_number_id": "1055"},
        "contacts": [{"profile": {"name": "Ana"}, "user_id": "US.1"}],
        "messages": [{"id": "a", "type": "text", "text": {"body": "x"}}],
    })));
    assert_eq!(pulses[0].session.to_string(), "wa/US.1");
}

#[test]
fn what_is_not_metas_is_malformed() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"object":"page","entry":[]}"#,
        r#"{"object":"whatsapp_business_account"}"#,
    ] {
        assert!(
            matches!(
                pulses(body.as_bytes(), &"wa".into(), "1055"),
                Err(Rejected::Malformed(_))
            ),
            "{body}"
        );
    }
}

/// JSON of any shape, built of the names that the API uses.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9]{0,4}|text|image|interactive|messages|1055".prop_map(Value::from),
    ];
    let name = "object|entry|changes|field|value|metadata|phone_number_id|contacts|messages|id|from|type|text|body|image|interactive";
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = pulses(&body, &"wa".into(), "1055");
    }

    #[test]
    fn no_shape_makes_it_panic_or_lose_a_neighbour(strange in any_json()) {
        let _ = pulses(strange.to_string().as_bytes(), &"wa".into(), "1055");
        let (pulses, _) = received(&from_ana(json!([strange, message("text", json!({"body": "here"}))])));
        prop_assert!(pulses.iter().any(|pulse| pulse.content.text == "here"));
        let mut body = from_ana(json!([message("text", json!({"body": "here"}))]));
        body["entry"].as_array_mut().unwrap().insert(0, strange);
        prop_assert!(received(&body).0.iter().any(|pulse| pulse.content.text == "here"));
    }
}
