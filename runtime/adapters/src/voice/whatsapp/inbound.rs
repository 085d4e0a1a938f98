//! From Meta's webhooks to Pulses.

#[cfg(test)]
mod tests;

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
        let given = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
        let (number, user_id) = (given(&message.from), given(&message.from_user_id));
        let [new_user_id, new_number, newer_number] =
            ["user_id", "wa_id", "new_wa_id"].map(|name| some_text(&system[name]));
        let is_renamed = new_user_id.is_some() || new_number.is_some() || newer_number.is_some();
        match number.clone().or_else(|| user_id.clone()) {
            Some(id) if is_renamed => {
                // Meta's ids are one person's for ever, and the new number may have been another's.
                let ids = [user_id, new_user_id, number, new_number, newer_number];
                self.renamed(id, ids.into_iter().flatten());
                true
            }
            _ => false,
        }
    }

    /// Every pair of a previous and a current id. Where in the notice they stand has changed before.
    fn renamings(&mut self, value: &Value, deepest: usize) {
        if let (Some(previous), Some(current)) =
            (some_text(&value["previous"]), some_text(&value["current"]))
        {
            self.renamed(previous.clone(), [previous, current]);
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

    /// Who went by `id` goes by another from now on. `all` are their ids, those that tell most first: that `id` is among
    /// them makes it known that there are others, so that nobody who has it after them is taken for them.
    fn renamed(&mut self, id: String, all: impl IntoIterator<Item = String>) {
        self.notices.push(Notice::Person {
            id: id.into(),
            also: all.into_iter().map(UserId::from).collect(),
        });
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
