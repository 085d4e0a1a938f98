//! From a signed message to a Pulse.

use eywa_weave::{
    Content, Pulse, PulseId, SessionKey, User, VoiceName, ports::voice::Rejected, pulse::Attachment,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::ReplyTo;

/// The most bytes of the id of a message, a person or a session: they become parts of keys.
const ID_LENGTH: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    user: Sender,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    attachments: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sender {
    id: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    id: String,
    media_type: String,
    #[serde(default)]
    file_name: Option<String>,
}

/// The Pulse of a body whose signature was right.
pub(super) fn pulse(
    id: &str,
    body: &[u8],
    voice: &VoiceName,
    now: Timestamp,
) -> Result<Pulse, Rejected> {
    let message: Message =
        serde_json::from_slice(body).map_err(|error| Rejected::Malformed(error.to_string()))?;
    let person = message.session.as_deref().unwrap_or(&message.user.id);
    for (what, id) in [
        ("webhook-id", id),
        ("user.id", &message.user.id),
        ("session", person),
    ] {
        if id.is_empty() || id.len() > ID_LENGTH || id.chars().any(char::is_control) {
            let wrong =
                format!("{what} must have 1 to {ID_LENGTH} bytes, and no control characters");
            return Err(Rejected::Malformed(wrong));
        }
    }
    if message.text.trim().is_empty() && message.attachments.is_empty() {
        return Err(Rejected::Malformed(
            "there is neither text nor an attachment".to_owned(),
        ));
    }
    let session = SessionKey::new(voice.clone(), person);
    let attachments = message.attachments.into_iter().map(|file| Attachment {
        id: file.id,
        media_type: file.media_type,
        file_name: file.file_name,
        media: None,
    });
    Ok(Pulse {
        id: PulseId::new(voice, id),
        reply_to: json!(ReplyTo {
            session: session.clone()
        }),
        resumes: None,
        session,
        user: User {
            id: message.user.id.into(),
            name: message.user.name.filter(|name| !name.is_empty()),
        },
        content: Content {
            text: message.text,
            attachments: attachments.collect(),
            ..Content::default()
        },
        received_at: now,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(body: &str) -> Result<Pulse, String> {
        match pulse(
            "msg_1",
            body.as_bytes(),
            &"web".into(),
            Timestamp::UNIX_EPOCH,
        ) {
            Ok(pulse) => Ok(pulse),
            Err(Rejected::Malformed(why)) => Err(why),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_message_becomes_a_pulse() {
        let pulse = read(r#"{"user": {"id": "ana", "name": "Ana"}, "text": "hi"}"#).unwrap();
        assert_eq!(
            (pulse.id.as_str(), pulse.session.to_string().as_str()),
            ("web/msg_1", "web/ana")
        );
        assert_eq!(
            (pulse.user.id.as_str(), pulse.user.name.as_deref()),
            ("ana", Some("Ana"))
        );
        assert_eq!(pulse.content, Content::text("hi"));
        assert_eq!(pulse.reply_to, json!({"session": "web/ana"}));
    }

    #[test]
    fn a_person_may_have_several_conversations() {
        let pulse = read(r#"{"user": {"id": "ana"}, "session": "table/7", "text": "hi"}"#).unwrap();
        assert_eq!(
            (pulse.session.to_string().as_str(), pulse.user.id.as_str()),
            ("web/table/7", "ana")
        );
    }

    #[test]
    fn a_file_may_come_without_text() {
        let file = r#"{"id": "f1", "mediaType": "image/png", "fileName": "a.png"}"#;
        let pulse = read(&format!(
            r#"{{"user": {{"id": "ana"}}, "attachments": [{file}]}}"#
        ))
        .unwrap();
        assert_eq!(
            pulse.content.attachments[0].file_name.as_deref(),
            Some("a.png")
        );
        assert_eq!(pulse.content.text, "");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (body, why) in [
            ("", "EOF"),
            ("[]", "Message"),
            (r#"{"text": "hi"}"#, "user"),
            (r#"{"user": {"id": "ana"}}"#, "neither text"),
            (r#"{"user": {"id": "ana"}, "text": "  "}"#, "neither text"),
            (r#"{"user": {"id": ""}, "text": "hi"}"#, "user.id"),
            (r#"{"user": {"id": "a\u0000b"}, "text": "hi"}"#, "user.id"),
            (
                r#"{"user": {"id": "ana"}, "session": "", "text": "hi"}"#,
                "session",
            ),
            (r#"{"user": {"id": "ana"}, "txt": "hi"}"#, "txt"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(why), "{body}: {error}");
        }
        let long = "x".repeat(ID_LENGTH + 1);
        assert!(read(&json!({"user": {"id": long}, "text": "hi"}).to_string()).is_err());
        let body =
            Value::from_iter([("user", json!({"id": "ana"})), ("text", json!("hi"))]).to_string();
        assert!(pulse(&long, body.as_bytes(), &"web".into(), Timestamp::UNIX_EPOCH).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = pulse("msg_1", &body, &"web".into(), Timestamp::UNIX_EPOCH);
        }
    }
}
