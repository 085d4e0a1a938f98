//! What Meta takes, and what it says against the rest.
//!
//! Source: Meta, WhatsApp Business Platform, Cloud API reference, "Messages", "Interactive reply buttons", "Interactive
//! list" and "Error codes".

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{KEPT, Mailbox};

/// The most characters of a text message, and of the text above buttons.
const LONGEST_TEXT: usize = 4096;
const LONGEST_ABOVE_BUTTONS: usize = 1024;

impl Mailbox {
    /// What Meta says against a request that does not carry its token.
    pub(super) fn unauthorized(&self, headers: &HeaderMap) -> Option<Response> {
        let wanted = format!("Bearer {}", self.access_token);
        let given = headers.get(header::AUTHORIZATION);
        given
            .is_none_or(|given| given.as_bytes() != wanted.as_bytes())
            .then(|| {
                refusal(
                    StatusCode::UNAUTHORIZED,
                    190,
                    "Error validating access token",
                )
            })
    }

    /// What Meta says against this message; nothing when it takes it.
    pub(super) fn objection(
        &mut self,
        to: &str,
        number: &str,
        headers: &HeaderMap,
        message: &Value,
    ) -> Option<Response> {
        if let Some(refused) = self.unauthorized(headers) {
            return Some(refused);
        }
        let sound = message["messaging_product"] == "whatsapp"
            && number.bytes().all(|digit| digit.is_ascii_digit())
            && is_sound(message);
        if !sound {
            return Some(refusal(
                StatusCode::BAD_REQUEST,
                100,
                "(#100) Invalid parameter",
            ));
        }
        if let Some(trouble) = self.troubles.get_mut(to).filter(|trouble| {
            trouble.times > 0 && (trouble.code != 131_047 || message["type"] != "template")
        }) {
            trouble.times -= 1;
            let code = trouble.code;
            return Some(refusal(
                StatusCode::BAD_REQUEST,
                code,
                &format!("(#{code}) as the test asked for"),
            ));
        }
        (self.sent.len() >= KEPT).then(|| {
            refusal(
                StatusCode::TOO_MANY_REQUESTS,
                130_429,
                "(#130429) Rate limit hit",
            )
        })
    }
}

fn is_sound(message: &Value) -> bool {
    let within = |text: &Value, most: usize| {
        text.as_str()
            .is_some_and(|text| !text.is_empty() && text.chars().count() <= most)
    };
    let interactive = &message["interactive"];
    let action = &interactive["action"];
    let all = |list: &Value, most: usize, sound: &dyn Fn(&Value) -> bool| {
        list.as_array()
            .is_some_and(|list| (1..=most).contains(&list.len()) && list.iter().all(sound))
    };
    match message["type"].as_str() {
        Some("text") => within(&message["text"]["body"], LONGEST_TEXT),
        Some("template") => {
            let template = &message["template"];
            within(&template["name"], 512) && within(&template["language"]["code"], 16)
        }
        Some("interactive") if interactive["type"] == "button" => {
            within(&interactive["body"]["text"], LONGEST_ABOVE_BUTTONS)
                && all(&action["buttons"], 3, &|button| {
                    within(&button["reply"]["id"], 256) && within(&button["reply"]["title"], 20)
                })
        }
        Some("interactive") if interactive["type"] == "list" => {
            within(&interactive["body"]["text"], LONGEST_TEXT)
                && within(&action["button"], 20)
                && all(&action["sections"][0]["rows"], 10, &|row| {
                    within(&row["id"], 200) && within(&row["title"], 24)
                })
        }
        _ => false,
    }
}

pub(super) fn refusal(status: StatusCode, code: i64, message: &str) -> Response {
    let error = json!({"error": {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": message},
        "fbtrace_id": "A-test",
    }});
    (status, Json(error)).into_response()
}
