//! What a tool gave back, in words for an Oracle.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

/// The longest result that an Oracle is given, in bytes; what is beyond is cut off.
pub(super) const LONGEST_RESULT: usize = 64 * 1024;

/// A result as text. Structured content is JSON, and comes once, though servers are told to send it as text too. What is
/// not text is named, with its type and size, and not shown.
pub(super) fn text_of(result: CallToolResult) -> String {
    let text = result
        .content
        .into_iter()
        .map(block_of)
        .collect::<Vec<_>>()
        .join("\n");
    match result.structured_content {
        None => text,
        Some(structured) if text.is_empty() => structured.to_string(),
        Some(structured)
            if serde_json::from_str::<Value>(&text).is_ok_and(|said| said == structured) =>
        {
            text
        }
        Some(structured) => format!("{text}\n{structured}"),
    }
}

fn block_of(block: ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Image(image) => unseen("image", &image.mime_type, &image.data),
        ContentBlock::Audio(audio) => unseen("audio", &audio.mime_type, &audio.data),
        ContentBlock::ResourceLink(link) => match &link.description {
            Some(about) => format!("[resource {} {}: {about}]", link.uri, link.name),
            None => format!("[resource {} {}]", link.uri, link.name),
        },
        ContentBlock::Resource(embedded) => match embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => text,
            ResourceContents::BlobResourceContents {
                uri,
                mime_type,
                blob,
                ..
            } => {
                let kind = mime_type.as_deref().unwrap_or("of unknown type");
                format!("{} {uri}", unseen("resource", kind, &blob))
            }
            _ => "[resource]".to_owned(),
        },
        _ => "[content of a kind that is not known]".to_owned(),
    }
}

/// Bytes that an Oracle is not given, by their base64.
fn unseen(what: &str, kind: &str, base64: &str) -> String {
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    format!("[{what} {kind}, {bytes} bytes, not shown]")
}

/// The beginning of a text, and a word about the rest.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > LONGEST_RESULT {
        text.truncate(text.floor_char_boundary(LONGEST_RESULT));
        text.push_str("\n[the rest was cut off]");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(result: Value) -> String {
        text_of(serde_json::from_value(result).unwrap())
    }

    #[test]
    fn what_is_no_text_is_named_and_not_shown() {
        let blocks = json!({"content": [
            {"type": "text", "text": "Here:"},
            {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},
            {"type": "audio", "data": "aGVsbG8h", "mimeType": "audio/wav"},
            {"type": "resource_link", "uri": "menu://today", "name": "menu", "description": "What there is."},
            {"type": "resource_link", "uri": "menu://all", "name": "all"},
            {"type": "resource", "resource": {"uri": "menu://1", "text": "flat white"}},
            {"type": "resource", "resource": {"uri": "menu://2", "blob": "aGVsbG8=", "mimeType": "application/pdf"}},
        ]});
        assert_eq!(
            text(blocks),
            "Here:\n[image image/png, 5 bytes, not shown]\n[audio audio/wav, 6 bytes, not shown]\n\
             [resource menu://today menu: What there is.]\n[resource menu://all all]\nflat white\n\
             [resource application/pdf, 5 bytes, not shown] menu://2"
        );
    }

    #[test]
    fn structured_content_comes_once() {
        let said = |text: &str| json!({"content": [{"type": "text", "text": text}], "structuredContent": {"milk": 3}});
        assert_eq!(text(said("{ \"milk\": 3 }")), "{ \"milk\": 3 }");
        assert_eq!(text(said("three bottles")), "three bottles\n{\"milk\":3}");
        assert_eq!(
            text(json!({"content": [], "structuredContent": {"milk": 3}})),
            "{\"milk\":3}"
        );
    }
}
