//! Objects of a bucket, as Cloud Storage writes them and as they are sent to it.

use jiff::Timestamp;
use serde::Deserialize;

/// The most bytes of a file's name: all metadata of an object may have 8 KiB.
const LONGEST_NAME: usize = 1024;
/// The media type of what has none that can be written down.
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// What is known of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    pub(super) name: String,
    /// A number that is another one each time the object is written.
    pub(super) generation: String,
    size: String,
    pub(super) content_type: Option<String>,
    pub(super) time_created: Timestamp,
    /// Absent where somebody else has written it.
    custom_time: Option<Timestamp>,
    #[serde(default)]
    pub(super) metadata: Metadata,
}

/// What Cloud Storage keeps for us beside it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Metadata {
    pub(super) file_name: Option<String>,
}

/// Some of the objects of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Page {
    pub(super) items: Vec<Object>,
    pub(super) next_page_token: Option<String>,
}

impl Object {
    pub(super) fn ends(&self) -> Timestamp {
        self.custom_time.unwrap_or(Timestamp::MIN)
    }

    pub(super) fn size(&self) -> usize {
        self.size.parse().unwrap_or(usize::MAX)
    }
}

/// A media type as a header can hold it. Channels say what a sender's program said.
pub(super) fn written_type(media_type: &str) -> &str {
    let plain = media_type.split_once('/').is_some_and(|(kind, rest)| {
        !kind.is_empty() && !rest.is_empty() && media_type.len() <= 255
    });
    let visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if plain && media_type.bytes().all(visible) {
        media_type
    } else {
        UNKNOWN
    }
}

pub(super) fn one_line(name: &str) -> String {
    let mut name = name.replace(|c: char| c.is_control(), " ");
    name.truncate(name.floor_char_boundary(LONGEST_NAME));
    name
}

/// `multipart/related`: what is known of the file, and the file (RFC 2387).
pub(super) fn related(boundary: &str, about: &str, content_type: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{about}\r\n--{boundary}\r\nContent-Type: \
         {content_type}\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let mut body = Vec::with_capacity(head.len() + bytes.len() + tail.len());
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(tail.as_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_that_no_header_can_hold_is_unknown() {
        for fine in ["image/jpeg", "audio/ogg; codecs=opus"] {
            assert_eq!(written_type(fine), fine);
        }
        for wrong in ["", "image", "/", "image/jpeg\r\nX: y", "text/é"] {
            assert_eq!(written_type(wrong), UNKNOWN);
        }
    }

    #[test]
    fn a_name_is_one_line_of_a_bounded_length() {
        assert_eq!(one_line("a\nb\u{0}c"), "a b c");
        assert!(one_line(&"é".repeat(2000)).len() <= LONGEST_NAME);
    }
}
