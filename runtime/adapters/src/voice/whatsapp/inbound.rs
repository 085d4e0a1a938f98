//! From Meta's webhooks to Pulses.

use eywa_weave::{
    Pulse, PulseId, SessionKey, User, UserId, VoiceName,
    ports::{
        contacts::Progress,
        voice::{Notice, Received, Rejected},
    },
};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    ReplyTo,
    content::{content, some_text},
};

/// How deep in a notice of a new id the ids are looked for.
const DEEPEST: usize = 4;

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
    value: Value,
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
    /// Seconds since 1970, in digits.
    #[serde(default)]
    timestamp: Value,
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    body: Value,
}

/// How far a message that was sent has come.
#[derive(Deserialize)]
struct Status {
    id: String,
    status: String,
    #[serde(default)]
    errors: Vec<Value>,
}

/// What a webhook held.
#[derive(Default)]
struct Found {
    pulses: Vec<Pulse>,
    notices: Vec<Notice>,
    ignored: usize,
}

/// The Pulses of a body whose signature was right, for the number of this id, and what else it tells of. Whatever cannot
/// be read is counted.
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
    let mut found = Found::default();
    for entry in envelope.entry {
        let Some(Entry { changes }) = read(entry) else {
            found.ignored += 1;
            continue;
        };
        for change in changes {
            match read(change) {
                Some(Change { field, value }) if field == "messages" => {
                    match read::<Messages>(value) {
                        Some(value) if value.metadata.phone_number_id == phone_number_id => {
                            found.messages(value, voice);
                        }
                        _ => found.ignored += 1,
                    }
                }
                Some(Change { field, value })
                    if field == "user_id_update" && is_for(&value, phone_number_id) =>
                {
                    found.renamings(&value, DEEPEST);
                }
                _ => found.ignored += 1,
            }
        }
    }
    let Found {
        pulses,
        notices,
        ignored,
    } = found;
    Ok(Received::Pulses {
        pulses,
        ignored,
        notices,
    })
}

fn read<T: DeserializeOwned>(piece: Value) -> Option<T> {
    serde_json::from_value(piece).ok()
}

/// A notice that names no number is about all of the account's.
fn is_for(value: &Value, phone_number_id: &str) -> bool {
    let named = value["metadata"]["phone_number_id"].as_str();
    named.is_none_or(|named| named == phone_number_id)
}

impl Found {
    fn messages(&mut self, value: Messages, voice: &VoiceName) {
        for error in &value.errors {
            let code = error["code"].as_i64().unwrap_or_default();
            tracing::warn!(%voice, code, "WhatsApp tells of an error");
        }
        self.ignored += value.errors.len();
        let contacts: Vec<Contact> = value.contacts.into_iter().filter_map(read).collect();
        for message in value.messages {
            let kept = read(message).is_some_and(|message| self.message(message, &contacts, voice));
            self.ignored += usize::from(!kept);
        }
        for status in value.statuses {
            match read(status).and_then(progress) {
                Some(notice) => self.notices.push(notice),
                None => self.ignored += 1,
            }
        }
    }

    /// Takes a message in; `false` when there was nothing in it.
    fn message(&mut self, message: Message, contacts: &[Contact], voice: &VoiceName) -> bool {
        if message.kind == "system" {
            return self.changed_number(&message);
        }
        let Some((pulse, also)) = pulse(message, contacts, voice) else {
            return false;
        };
        self.notices.push(Notice::Person {
            id: pulse.session.user.clone(),
            also,
        });
        self.pulses.push(pulse);
        true
    }

    /// A notice of the system, in the place of a message: who wrote under one id writes under another from now on.
    fn changed_number(&mut self, message: &Message) -> bool {
        let system = &message.body["system"];
        let given = |id: &Option<String>| id.as_deref().map(UserId::from);
        let also: Vec<UserId> = [&system["wa_id"], &system["new_wa_id"], &system["user_id"]]
            .into_iter()
            .filter_map(some_text)
            .map(UserId::from)
            .collect();
        let before = given(&message.from).or_else(|| given(&message.from_user_id));
        match before.filter(|_| !also.is_empty()) {
            Some(id) => {
                self.notices.push(Notice::Person { id, also });
                true
            }
            None => false,
        }
    }

    /// Every pair of a previous and a current id. Where in the notice they stand has changed before.
    fn renamings(&mut self, value: &Value, deepest: usize) {
        if let (Some(previous), Some(current)) =
            (some_text(&value["previous"]), some_text(&value["current"]))
        {
            self.notices.push(Notice::Person {
                id: previous.into(),
                also: vec![current.into()],
            });
        } else if deepest > 0 {
            let below: Vec<&Value> = match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            };
            for below in below {
                self.renamings(below, deepest - 1);
            }
        }
    }
}

fn progress(status: Status) -> Option<Notice> {
    let progress = match status.status.as_str() {
        "sent" => Progress::Sent,
        "delivered" => Progress::Arrived,
        // A voice message that was listened to.
        "read" | "played" => Progress::Read,
        "failed" => Progress::Failed,
        _ => return None,
    };
    let code = status
        .errors
        .iter()
        .find_map(|error| error["code"].as_i64());
    Some(Notice::Progress {
        message: status.id,
        progress,
        code: code.map(|code| code.to_string()),
    })
}

/// The Pulse of a message, and by which other ids its sender is known.
fn pulse(
    message: Message,
    contacts: &[Contact],
    voice: &VoiceName,
) -> Option<(Pulse, Vec<UserId>)> {
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
    let also = match (&number, &user_id) {
        (Some(_), Some(user_id)) => vec![user_id.as_str().into()],
        _ => Vec::new(),
    };
    let name = contact
        .and_then(|contact| contact.profile.as_ref()?.name.clone())
        .filter(|name| !name.is_empty());
    let reply_to = ReplyTo {
        to: number,
        recipient: user_id,
        message: message.id.clone(),
        at: match &message.timestamp {
            Value::String(digits) => digits.parse().ok(),
            number => number.as_i64(),
        },
    };
    let pulse = Pulse {
        id: PulseId::new(voice, &message.id),
        session: SessionKey::new(voice.clone(), id.as_str()),
        user: User {
            id: id.as_str().into(),
            name,
        },
        content,
        received_at: Timestamp::now(),
        reply_to: json!(reply_to),
        resumes: None,
    };
    Some((pulse, also))
}

#[cfg(test)]
mod tests {
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
            assert_eq!(notices, [person("US.1", &["US.2"])]);
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
        assert_eq!(notices, [person("5511999990000", &["5511999991111"])]);
        let (_, notices, ignored) =
            told(&from_ana(json!([message("system", json!({"body": "hm"}))])));
        assert_eq!((notices.len(), ignored), (0, 1));
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
}
