//! What a message says, in words.
//!
//! Source: Meta, WhatsApp Business Platform, Cloud API, "Webhooks" › "messages" and its pages per type of message.

use eywa_weave::{Content, pulse::Attachment};
use serde_json::Value;

/// The most items of an order or cards of a message that are named.
const MOST_NAMED: usize = 20;

/// What was sent, or nothing when there is nothing to answer in it: a reaction that was taken back, a notice of the system,
/// a message without its content.
pub(super) fn content(kind: &str, body: &Value) -> Option<Content> {
    let part = &body[kind];
    let mut content = match kind {
        "text" => some_text(&part["body"]).map(Content::text),
        "button" => some_text(&part["text"])
            .or_else(|| some_text(&part["payload"]))
            .map(Content::text),
        "interactive" => interactive(part).map(Content::text),
        "image" | "video" | "audio" | "document" | "sticker" => media(kind, part),
        "location" => location(part).map(Content::text),
        "contacts" => cards(part).map(Content::text),
        "reaction" => {
            some_text(&part["emoji"]).map(|emoji| Content::text(format!("[reacted with {emoji}]")))
        }
        "order" => order(part).map(Content::text),
        "request_welcome" => Some(Content::text(
            "[opened this conversation for the first time]",
        )),
        // Who changed their number did not say anything; the session is told of it elsewhere.
        "system" => None,
        "unsupported" => Some(Content::text(
            "[sent a message of a kind that WhatsApp does not hand on to programs]",
        )),
        // What comes after this was written. Its name is Meta's, and is still cut.
        unknown => Some(Content::text(format!(
            "[sent a message of a kind that cannot be read here: {}]",
            unknown.chars().take(32).collect::<String>()
        ))),
    }?;
    let context = &body["context"];
    content.quotes = match kind {
        "reaction" => some_text(&part["message_id"]),
        _ => some_text(&context["id"]),
    };
    if context["forwarded"] == true || context["frequently_forwarded"] == true {
        content.text = format!("[forwarded] {}", content.text);
    }
    if let Some(headline) = some_text(&body["referral"]["headline"]) {
        content.text = format!(
            "[came by the advertisement \"{headline}\"]\n{}",
            content.text
        );
    }
    Some(content)
}

pub(super) fn some_text(value: &Value) -> Option<String> {
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
            let (title, id) = (some_text(&reply["title"]), some_text(&reply["id"]));
            match (title, id) {
                // A title that was too long to be shown whole: its id is the whole of it.
                (Some(title), Some(id))
                    if title
                        .strip_suffix('…')
                        .is_some_and(|begin| id.starts_with(begin)) =>
                {
                    Some(id)
                }
                (title, id) => title.or(id),
            }
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
            .map(|media_type| essence(&media_type))
            .unwrap_or_else(|| "application/octet-stream".to_owned()),
        file_name: file_name.clone(),
        media: None,
    };
    let text = some_text(&part["caption"]).unwrap_or_else(|| match (kind, file_name) {
        ("audio", _) if part["voice"] == true => "[voice message]".to_owned(),
        (_, Some(name)) => format!("[{kind}: {name}]"),
        (_, None) => format!("[{kind}]"),
    });
    Some(Content {
        text,
        attachments: vec![attachment],
        ..Content::default()
    })
}

/// A media type without its parameters: `audio/ogg` of `audio/ogg; codecs=opus`.
pub(super) fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
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
    let cards = part.as_array()?.iter().take(MOST_NAMED).filter_map(|card| {
        let name = some_text(&card["name"]["formatted_name"]);
        let first = |list: &str, field: &str| {
            let list = card[list].as_array()?;
            some_text(&list.first()?[field])
        };
        let words: Vec<String> = [
            name,
            first("phones", "phone"),
            first("emails", "email"),
            some_text(&card["org"]["company"]),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!words.is_empty()).then(|| format!("[contact: {}]", words.join(", ")))
    });
    let cards: Vec<String> = cards.collect();
    (!cards.is_empty()).then(|| cards.join("\n"))
}

/// A basket of the business's catalogue.
fn order(part: &Value) -> Option<String> {
    let items = part["product_items"].as_array()?.iter().take(MOST_NAMED);
    let items: Vec<String> = items
        .filter_map(|item| {
            let product = some_text(&item["product_retailer_id"])?;
            let number = |value: &Value| {
                value
                    .as_f64()
                    .map(|number| number.to_string())
                    .or_else(|| some_text(value))
            };
            let quantity = number(&item["quantity"]).unwrap_or_else(|| "1".to_owned());
            let price = number(&item["item_price"]).map(|price| {
                format!(
                    " at {price} {}",
                    item["currency"].as_str().unwrap_or_default()
                )
            });
            Some(format!(
                "{quantity} × {product}{}",
                price.unwrap_or_default().trim_end()
            ))
        })
        .collect();
    if items.is_empty() {
        return None;
    }
    let note = some_text(&part["text"])
        .map(|note| format!("\n{note}"))
        .unwrap_or_default();
    Some(format!("[order: {}]{note}", items.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text_of(kind: &str, part: Value) -> Option<String> {
        content(kind, &json!({ kind: part })).map(|content| content.text)
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
                json!([{"name": {"formatted_name": "Bia"}, "phones": [{"phone": "+55 11 0000"}], "emails": [{"email": "bia@cafe.example"}]}]),
                "[contact: Bia, +55 11 0000, bia@cafe.example]",
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
                "sticker",
                json!({"id": "m1", "mime_type": "image/webp", "animated": false}),
                "[sticker]",
            ),
            (
                "audio",
                json!({"id": "m1", "mime_type": "audio/ogg; codecs=opus", "voice": true}),
                "[voice message]",
            ),
            (
                "document",
                json!({"id": "m1", "mime_type": "application/pdf", "filename": "menu.pdf"}),
                "[document: menu.pdf]",
            ),
            (
                "reaction",
                json!({"message_id": "wamid.0", "emoji": "👍"}),
                "[reacted with 👍]",
            ),
            (
                "order",
                json!({"catalog_id": "7", "text": "by noon, please", "product_items": [
                    {"product_retailer_id": "latte", "quantity": 2, "item_price": 4.5, "currency": "EUR"},
                    {"product_retailer_id": "scone", "quantity": "1"},
                ]}),
                "[order: 2 × latte at 4.5 EUR, 1 × scone]\nby noon, please",
            ),
            (
                "request_welcome",
                json!(null),
                "[opened this conversation for the first time]",
            ),
            (
                "unsupported",
                json!({"errors": [{"code": 131_051}]}),
                "[sent a message of a kind that WhatsApp does not hand on to programs]",
            ),
            (
                "hologram",
                json!({"x": 1}),
                "[sent a message of a kind that cannot be read here: hologram]",
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
    fn what_says_nothing_is_not_answered() {
        for (kind, part) in [
            ("reaction", json!({"message_id": "wamid.0"})),
            ("reaction", json!({"message_id": "wamid.0", "emoji": ""})),
            (
                "system",
                json!({"body": "Ana changed from 1 to 2", "wa_id": "2", "type": "user_changed_number"}),
            ),
            ("text", json!({"body": 7})),
            ("image", json!("nothing")),
            ("order", json!({"product_items": []})),
            ("interactive", json!({"type": "something_new"})),
        ] {
            assert_eq!(text_of(kind, part.clone()), None, "{kind} {part}");
        }
    }

    #[test]
    fn a_choice_whose_title_was_cut_comes_back_whole() {
        let id = "The large one with oat milk";
        let part = json!({"type": "list_reply", "list_reply": {"id": id, "title": "The large one with oat …"}});
        assert_eq!(text_of("interactive", part).as_deref(), Some(id));
    }

    #[test]
    fn a_file_is_named_and_not_loaded() {
        let part = json!({"id": "m1", "mime_type": "Audio/OGG; codecs=opus", "filename": "a.ogg", "sha256": "x"});
        let file = Attachment {
            id: "m1".to_owned(),
            media_type: "audio/ogg".to_owned(),
            file_name: Some("a.ogg".to_owned()),
            media: None,
        };
        assert_eq!(
            content("audio", &json!({"audio": part}))
                .unwrap()
                .attachments,
            [file]
        );
    }

    #[test]
    fn an_answer_names_the_message_that_it_answers() {
        let quotes = |body: Value, kind: &str| content(kind, &body).unwrap().quotes;
        let answer = json!({"context": {"from": "15550001111", "id": "wamid.out"}, "text": {"body": "that one"}});
        assert_eq!(quotes(answer, "text").as_deref(), Some("wamid.out"));
        let reaction = json!({"reaction": {"message_id": "wamid.out", "emoji": "👍"}});
        assert_eq!(quotes(reaction, "reaction").as_deref(), Some("wamid.out"));
        assert_eq!(quotes(json!({"text": {"body": "hi"}}), "text"), None);
    }

    #[test]
    fn where_a_message_comes_from_is_said() {
        let forwarded = json!({"context": {"forwarded": true}, "text": {"body": "half price!"}});
        assert_eq!(
            content("text", &forwarded).unwrap().text,
            "[forwarded] half price!"
        );
        let ad = json!({"referral": {"source_type": "ad", "headline": "New: oat"}, "text": {"body": "hi"}});
        assert_eq!(
            content("text", &ad).unwrap().text,
            "[came by the advertisement \"New: oat\"]\nhi"
        );
    }
}
