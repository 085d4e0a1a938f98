//! Messages as the Graph API takes them.
//!
//! Source: Meta, WhatsApp Business Platform, Cloud API, "Messages" and its pages "Text", "Interactive reply buttons",
//! "Interactive list", "Template", and "Typing indicators"; the limits are theirs.

use std::collections::BTreeSet;

use eywa_weave::pulse::Choice;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    ReplyTo,
    chunk::{chunks, chunks_of},
};

/// The most characters of the text above buttons.
const BUTTONS_TEXT: usize = 1024;
/// The most buttons, and the most characters on one.
const MOST_BUTTONS: usize = 3;
const BUTTON_TITLE: usize = 20;
/// The most rows of a list, and the most characters of a row's title, its description and its id.
const MOST_ROWS: usize = 10;
const ROW_TITLE: usize = 24;
const ROW_DESCRIPTION: usize = 72;
const ROW_ID: usize = 200;
/// The most characters of one parameter of a template.
const PARAMETER: usize = 900;

/// A message that Meta has approved beforehand, which may be sent when the person has not written for 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Its language, such as `pt_BR`.
    pub language: String,
    /// What its body's first parameters are filled with.
    pub parameters: Vec<String>,
    /// The reply itself is one more parameter, the last. Without that it only tells that there is one.
    pub carries_text: bool,
}

/// A message without its address.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Body {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    content: Value,
}

#[derive(Serialize)]
pub(super) struct Message<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(flatten)]
    body: &'a Body,
}

impl Body {
    /// To whom. A number wins over an id; sending both would say the same.
    pub(super) fn addressed<'a>(&'a self, to: &'a ReplyTo) -> Message<'a> {
        Message {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to: to.to.as_deref(),
            recipient: match to.to {
                Some(_) => None,
                None => to.recipient.as_deref(),
            },
            body: self,
        }
    }

    fn text(text: &str) -> Self {
        Self {
            kind: "text",
            content: json!({"text": {"preview_url": false, "body": text}}),
        }
    }

    /// The template, with this reply in it where it carries that.
    pub(super) fn template(template: &Template, text: &str) -> Self {
        let reply = template.carries_text.then(|| one_line(text));
        let parameters: Vec<Value> = template
            .parameters
            .iter()
            .map(|parameter| one_line(parameter))
            .chain(reply)
            .map(|text| json!({"type": "text", "text": text}))
            .collect();
        let mut content = json!({
            "name": template.name,
            "language": {"code": template.language},
        });
        if !parameters.is_empty() {
            content["components"] = json!([{"type": "body", "parameters": parameters}]);
        }
        Self {
            kind: "template",
            content: json!({"template": content}),
        }
    }
}

/// The request that marks a message read and shows that somebody types.
pub(super) fn read_and_typing(message: &str) -> Value {
    json!({
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": message,
        "typing_indicator": {"type": "text"},
    })
}

/// The text in as few messages as its length allows, the choices under the last of them: as buttons where they are few and
/// short, and otherwise as a list, which opens at `label`.
pub(super) fn bodies(text: &str, choices: &[Choice], label: &str) -> Vec<Body> {
    let mut parts = chunks(text);
    let mut titles = BTreeSet::new();
    // Meta takes no title twice.
    let choices: Vec<&Choice> = choices
        .iter()
        .filter(|choice| {
            !choice.title.trim().is_empty() && titles.insert(cut(&choice.title, ROW_TITLE))
        })
        .take(MOST_ROWS)
        .collect();
    let last = match (choices.is_empty(), parts.pop()) {
        (true, last) => last.map(Body::text),
        (false, None) => None,
        (false, Some(last)) if are_buttons(&choices) => {
            let asked = chunks_of(last, BUTTONS_TEXT).pop().unwrap_or(last);
            let before = last[..last.len() - asked.len()].trim_end();
            if !before.is_empty() {
                parts.push(before);
            }
            Some(buttons(asked, &choices))
        }
        (false, Some(last)) => Some(list(last, &choices, label)),
    };
    parts.into_iter().map(Body::text).chain(last).collect()
}

fn are_buttons(choices: &[&Choice]) -> bool {
    choices.len() <= MOST_BUTTONS
        && choices
            .iter()
            .all(|choice| choice.description.is_none() && length(&choice.title) <= BUTTON_TITLE)
}

fn buttons(text: &str, choices: &[&Choice]) -> Body {
    let buttons: Vec<Value> = choices
        .iter()
        .map(|choice| {
            let title = choice.title.trim();
            json!({"type": "reply", "reply": {"id": title, "title": title}})
        })
        .collect();
    interactive(json!({"type": "button", "body": {"text": text}, "action": {"buttons": buttons}}))
}

fn list(text: &str, choices: &[&Choice], label: &str) -> Body {
    let rows: Vec<Value> = choices
        .iter()
        .map(|choice| {
            let whole = choice.title.trim();
            let title = cut(whole, ROW_TITLE);
            let mut row = json!({"id": cut(whole, ROW_ID), "title": title});
            // What does not fit above stands below.
            let below = choice
                .description
                .as_deref()
                .or((title != whole).then_some(whole));
            if let Some(below) = below.map(str::trim).filter(|below| !below.is_empty()) {
                row["description"] = cut(below, ROW_DESCRIPTION).into();
            }
            row
        })
        .collect();
    interactive(json!({
        "type": "list",
        "body": {"text": text},
        "action": {"button": cut(label, BUTTON_TITLE), "sections": [{"rows": rows}]},
    }))
}

fn interactive(content: Value) -> Body {
    Body {
        kind: "interactive",
        content: json!({"interactive": content}),
    }
}

/// As Meta may count: by units of UTF-16, the most that any way of counting gives.
fn length(text: &str) -> usize {
    text.trim().encode_utf16().count()
}

/// The text within a limit; a longer one ends in an ellipsis.
fn cut(text: &str, limit: usize) -> String {
    let text = text.trim();
    if length(text) <= limit {
        return text.to_owned();
    }
    let mut units = 0;
    let fits = text.chars().take_while(|c| {
        units += c.len_utf16();
        units < limit
    });
    let mut short: String = fits.collect();
    short.push('…');
    short
}

/// A template's parameter has no line breaks, no tabs, and no more than four spaces together.
fn one_line(text: &str) -> String {
    cut(
        &text.split_whitespace().collect::<Vec<_>>().join(" "),
        PARAMETER,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(titles: &[&str]) -> Vec<Choice> {
        titles
            .iter()
            .map(|title| Choice {
                title: (*title).to_owned(),
                description: None,
            })
            .collect()
    }

    fn written(text: &str, choices: &[Choice]) -> Vec<Value> {
        bodies(text, choices, "Options")
            .iter()
            .map(|body| serde_json::to_value(body).unwrap())
            .collect()
    }

    #[test]
    fn few_short_choices_are_buttons() {
        assert_eq!(
            written("Which size?", &choices(&["Small", "Large"])),
            [json!({"type": "interactive", "interactive": {
                "type": "button",
                "body": {"text": "Which size?"},
                "action": {"buttons": [
                    {"type": "reply", "reply": {"id": "Small", "title": "Small"}},
                    {"type": "reply", "reply": {"id": "Large", "title": "Large"}},
                ]},
            }})]
        );
    }

    #[test]
    fn many_long_or_explained_choices_are_a_list() {
        let many = choices(&["1", "2", "3", "4"]);
        assert_eq!(written("Which?", &many)[0]["interactive"]["type"], "list");
        let explained = [Choice {
            title: "Small".to_owned(),
            description: Some("200 ml".to_owned()),
        }];
        let sent = written("Which?", &explained);
        assert_eq!(
            sent[0]["interactive"]["action"],
            json!({"button": "Options", "sections": [{"rows": [{"id": "Small", "title": "Small", "description": "200 ml"}]}]})
        );
        let long = "The large one with oat milk";
        let sent = written("Which?", &choices(&[long]));
        assert_eq!(
            sent[0]["interactive"]["action"]["sections"][0]["rows"],
            json!([{"id": long, "title": "The large one with oat …", "description": long}])
        );
    }

    #[test]
    fn no_title_stands_twice_and_no_more_than_ten_are_sent() {
        let twelve: Vec<String> = (0..12)
            .map(|number| format!("Choice {}", number / 2 * 2))
            .collect();
        let twelve: Vec<&str> = twelve.iter().map(String::as_str).collect();
        let sent = written("Which?", &choices(&twelve));
        assert_eq!(
            sent[0]["interactive"]["action"]["sections"][0]["rows"]
                .as_array()
                .unwrap()
                .len(),
            6
        );
        let twenty: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let twenty: Vec<&str> = twenty.iter().map(String::as_str).collect();
        let sent = written("Which?", &choices(&twenty));
        assert_eq!(
            sent[0]["interactive"]["action"]["sections"][0]["rows"]
                .as_array()
                .unwrap()
                .len(),
            10
        );
    }

    #[test]
    fn a_long_text_goes_before_its_buttons() {
        let text = format!("{}\n\nWhich size?", "a".repeat(1500));
        let sent = written(&text, &choices(&["Small", "Large"]));
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0]["type"], "text");
        let below = sent[1]["interactive"]["body"]["text"].as_str().unwrap();
        assert!(
            below.ends_with("Which size?") && below.len() <= BUTTONS_TEXT,
            "{below}"
        );
        let both = format!("{}{below}", sent[0]["text"]["body"].as_str().unwrap());
        assert_eq!(both.matches('a').count(), 1500);
    }

    #[test]
    fn nothing_is_sent_without_a_text() {
        assert!(written(" \n", &choices(&["Small"])).is_empty());
        assert!(written("", &[]).is_empty());
        assert_eq!(written("hi", &choices(&[" "]))[0]["type"], "text");
    }

    #[test]
    fn a_template_is_filled_in_on_one_line() {
        let template = Template {
            name: "order_update".to_owned(),
            language: "pt_BR".to_owned(),
            parameters: vec!["Café  Alma".to_owned()],
            carries_text: true,
        };
        let body = Body::template(&template, "Pronto!\n\n\tPode vir    buscar.");
        assert_eq!(
            serde_json::to_value(&body).unwrap(),
            json!({"type": "template", "template": {
                "name": "order_update",
                "language": {"code": "pt_BR"},
                "components": [{"type": "body", "parameters": [
                    {"type": "text", "text": "Café Alma"},
                    {"type": "text", "text": "Pronto! Pode vir buscar."},
                ]}],
            }})
        );
        let bare = Template {
            parameters: Vec::new(),
            carries_text: false,
            ..template
        };
        let body = serde_json::to_value(Body::template(&bare, "secret")).unwrap();
        assert_eq!(
            body,
            json!({"type": "template", "template": {"name": "order_update", "language": {"code": "pt_BR"}}})
        );
    }
}
