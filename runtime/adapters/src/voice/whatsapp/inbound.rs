//! From Meta's webhooks to Pulses.

use eywa_weave::{
    Content, Pulse, PulseId, SessionKey, User, VoiceName,
    ports::voice::{Received, Rejected},
    pulse::Attachment,
};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::ReplyTo;

/// A webhook. What is below `entry` is read piece by piece, so that a piece that is unknown fails alone.
#[derive(Deserialize)]
struct Envelope {
    object: String,
    entry: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    changes: Vec<Value>,
}

#[derive(Deserialize)]
struct Change {
    field: String,
    value: Messages,
}

#[derive(Deserialize)]
struct Messages {
    metadata: Metadata,
    #[serde(default)]
    contacts: Vec<Value>,
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    statuses: Vec<Value>,
    #[serde(default)]
    errors: Vec<Value>,
}

#[derive(Deserialize)]
struct Metadata {
    phone_number_id: String,
}

/// A person who wrote. Since 2026 the number may be absent: a person may keep it to themselves.
#[derive(Deserialize)]
struct Contact {
    wa_id: Option<String>,
    user_id: Option<String>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    from: Option<String>,
    from_user_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    body: Value,
}

/// The Pulses of a body whose signature was right, for the number of this id. Whatever else is in it is counted.
pub(super) fn pulses(
    body: &[u8],
    voice: &VoiceName,
    phone_number_id: &str,
) -> Result<Received, Rejected> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|error| Rejected::Malformed(error.to_string()))?;
    if envelope.object != "whatsapp_business_account" {
        return Err(Rejected::Malformed(
            "its object is not whatsapp_business_account".to_owned(),
        ));
    }
    let (mut pulses, mut ignored) = (Vec::new(), 0);
    for entry in envelope.entry {
        let Some(Entry { changes }) = read(entry) else {
            ignored += 1;
            continue;
        };
        for change in changes {
            match read(change) {
                Some(Change { field, value })
                    if field == "messages" && value.metadata.phone_number_id == phone_number_id =>
                {
                    ignored += value.statuses.len() + value.errors.len();
                    let contacts: Vec<Contact> =
                        value.contacts.into_iter().filter_map(read).collect();
                    for message in value.messages {
                        match read(message).and_then(|message| pulse(message, &contacts, voice)) {
                            Some(pulse) => pulses.push(pulse),
                            None => ignored += 1,
                        }
                    }
                }
                _ => ignored += 1,
            }
        }
    }
    Ok(Received::Pulses { pulses, ignored })
}

fn read<T: DeserializeOwned>(piece: Value) -> Option<T> {
    serde_json::from_value(piece).ok()
}

fn pulse(message: Message, contacts: &[Contact], voice: &VoiceName) -> Option<Pulse> {
    let content = content(&message.kind, &message.body)?;
    let given = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    let (number, user_id) = (given(&message.from), given(&message.from_user_id));
    let contact = contacts
        .iter()
        .find(|contact| {
            (number.is_some() && contact.wa_id == number)
                || (user_id.is_some() && contact.user_id == user_id)
        })
        .or(match contacts {
            [only] => Some(only),
            _ => None,
        });
    let user_id = user_id.or_else(|| contact.and_then(|contact| given(&contact.user_id)));
    let id = number.clone().or_else(|| user_id.clone())?;
    let name = contact
        .and_then(|contact| contact.profile.as_ref()?.name.clone())
        .filter(|name| !name.is_empty());
    let reply_to = ReplyTo {
        to: number,
        recipient: user_id,
        message: message.id.clone(),
    };
    Some(Pulse {
        id: PulseId::new(voice, &message.id),
        session: SessionKey::new(voice.clone(), id.as_str()),
        user: User {
            id: id.as_str().into(),
            name,
        },
        content,
        received_at: Timestamp::now(),
        reply_to: json!(reply_to),
    })
}

/// What was sent, or nothing when there is nothing to answer in it.
fn content(kind: &str, body: &Value) -> Option<Content> {
    let part = &body[kind];
    match kind {
        "text" => some_text(&part["body"]).map(Content::text),
        "button" => some_text(&part["text"])
            .or_else(|| some_text(&part["payload"]))
            .map(Content::text),
        "interactive" => interactive(part).map(Content::text),
        "image" | "video" | "audio" | "document" | "sticker" => media(kind, part),
        "location" => location(part).map(Content::text),
        "contacts" => cards(part).map(Content::text),
        // A reaction, a notice of the system, what the API does not support, and what comes after this was written.
        _ => None,
    }
}

fn some_text(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn interactive(part: &Value) -> Option<String> {
    let kind = part["type"].as_str()?;
    let reply = &part[kind];
    match kind {
        "button_reply" | "list_reply" => {
            some_text(&reply["title"]).or_else(|| some_text(&reply["id"]))
        }
        // A form that was filled in: JSON, by its own fields.
        "nfm_reply" => some_text(&reply["response_json"]).or_else(|| some_text(&reply["body"])),
        _ => None,
    }
}

fn media(kind: &str, part: &Value) -> Option<Content> {
    let file_name = some_text(&part["filename"]);
    let attachment = Attachment {
        id: some_text(&part["id"])?,
        media_type: some_text(&part["mime_type"])
            .unwrap_or_else(|| "application/octet-stream".to_owned()),
        file_name: file_name.clone(),
    };
    let text = some_text(&part["caption"]).unwrap_or_else(|| match (kind, file_name) {
        ("audio", _) if part["voice"] == true => "[voice message]".to_owned(),
        (_, Some(name)) => format!("[{kind}: {name}]"),
        (_, None) => format!("[{kind}]"),
    });
    Some(Content {
        text,
        attachments: vec![attachment],
    })
}

fn location(part: &Value) -> Option<String> {
    let (latitude, longitude) = (part["latitude"].as_f64()?, part["longitude"].as_f64()?);
    let words = [some_text(&part["name"]), some_text(&part["address"])]
        .into_iter()
        .flatten();
    let words: String = words.map(|words| format!(", {words}")).collect();
    Some(format!("[location: {latitude}, {longitude}{words}]"))
}

fn cards(part: &Value) -> Option<String> {
    let cards = part.as_array()?.iter().filter_map(|card| {
        let name = some_text(&card["name"]["formatted_name"]);
        let phone = card["phones"]
            .as_array()
            .and_then(|phones| some_text(&phones.first()?["phone"]));
        let words: Vec<String> = [name, phone].into_iter().flatten().collect();
        (!words.is_empty()).then(|| format!("[contact: {}]", words.join(", ")))
    });
    let cards: Vec<String> = cards.collect();
    (!cards.is_empty()).then(|| cards.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn received(body: &Value) -> (Vec<Pulse>, usize) {
        match pulses(body.to_string().as_bytes(), &"wa".into(), "1055").unwrap() {
            Received::Pulses { pulses, ignored } => (pulses, ignored),
            other => panic!("{other:?}"),
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

    fn text_of(kind: &str, part: Value) -> Option<String> {
        let (pulses, ignored) = received(&from_ana(json!([message(kind, part)])));
        assert_eq!(pulses.len() + ignored, 1);
        pulses.into_iter().next().map(|pulse| pulse.content.text)
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
        assert_eq!(pulse.content, Content::text("dois flat whites 🙂"));
        assert_eq!(
            pulse.reply_to,
            json!({"to": "5511999990000", "message": "wamid.text"})
        );
    }

    #[test]
    fn what_is_not_text_becomes_a_text_that_says_what_it_is() {
        for (kind, part, text) in [
            (
                "button",
                json!({"payload": "YES", "text": "Yes, please"}),
                "Yes, please",
            ),
            (
                "interactive",
                json!({"type": "button_reply", "button_reply": {"id": "b1", "title": "Large"}}),
                "Large",
            ),
            (
                "interactive",
                json!({"type": "list_reply", "list_reply": {"id": "l1", "title": "Oat", "description": "milk"}}),
                "Oat",
            ),
            (
                "interactive",
                json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"a\":1}"}}),
                "{\"a\":1}",
            ),
            (
                "location",
                json!({"latitude": -23.5, "longitude": -46.6, "name": "Alma"}),
                "[location: -23.5, -46.6, Alma]",
            ),
            (
                "contacts",
                json!([{"name": {"formatted_name": "Bia"}, "phones": [{"phone": "+55 11 0000"}]}]),
                "[contact: Bia, +55 11 0000]",
            ),
            (
                "image",
                json!({"id": "m1", "mime_type": "image/jpeg", "caption": "this one?"}),
                "this one?",
            ),
            (
                "image",
                json!({"id": "m1", "mime_type": "image/jpeg"}),
                "[image]",
            ),
            (
                "audio",
                json!({"id": "m1", "mime_type": "audio/ogg", "voice": true}),
                "[voice message]",
            ),
            (
                "document",
                json!({"id": "m1", "mime_type": "application/pdf", "filename": "menu.pdf"}),
                "[document: menu.pdf]",
            ),
        ] {
            assert_eq!(
                text_of(kind, part.clone()).as_deref(),
                Some(text),
                "{kind} {part}"
            );
        }
    }

    #[test]
    fn a_file_is_named_and_not_loaded() {
        let part = json!({"id": "m1", "mime_type": "application/pdf", "filename": "menu.pdf", "sha256": "x"});
        let (pulses, _) = received(&from_ana(json!([message("document", part)])));
        let file = Attachment {
            id: "m1".to_owned(),
            media_type: "application/pdf".to_owned(),
            file_name: Some("menu.pdf".to_owned()),
        };
        assert_eq!(pulses[0].content.attachments, [file]);
    }

    #[test]
    fn what_is_unknown_fails_alone() {
        let (pulses, ignored) = received(&from_ana(json!([
            message("text", json!({"body": "first"})),
            message("hologram", json!({"x": 1})),
            message("reaction", json!({"message_id": "wamid.0", "emoji": "👍"})),
            message("text", json!({"body": 7})),
            message("image", json!("nothing")),
            {"type": "text"},
            "not a message",
            message("unsupported", json!({})),
            message("button", json!({"text": "last"})),
        ])));
        let texts: Vec<_> = pulses
            .iter()
            .map(|pulse| pulse.content.text.as_str())
            .collect();
        assert_eq!((texts, ignored), (vec!["first", "last"], 7));
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
    fn receipts_are_counted_and_not_answered() {
        let statuses =
            json!([{"id": "wamid.x", "status": "read"}, {"id": "wamid.y", "status": "failed"}]);
        let (pulses, ignored) = received(&webhook(
            json!({"metadata": {"phone_number_id": "1055"}, "statuses": statuses}),
        ));
        assert_eq!((pulses.len(), ignored), (0, 2));
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
}
