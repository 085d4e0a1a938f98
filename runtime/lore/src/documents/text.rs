//! Plain text, and bytes into characters.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::{Document, Section, Unread};

/// Where HTML says what it is encoded in (HTML Living Standard, "Determining the character encoding").
const SNIFFED: usize = 1024;

/// A text without headings.
pub(super) fn read(text: &str) -> Document {
    let section = Section {
        text: text.to_owned(),
        ..Section::default()
    };
    Document {
        sections: vec![section],
        ..Document::default()
    }
}

/// The characters of some bytes: by a byte order mark, by what was said of them, by what HTML says of itself, or as UTF-8.
/// HTML that is none of this is Windows-1252, as browsers take it; other text is refused.
pub(super) fn decode<'b>(
    bytes: &'b [u8],
    charset: Option<&str>,
    html: bool,
) -> Result<Cow<'b, str>, Unread> {
    let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let said = charset.and_then(|name| Encoding::for_label(name.trim().as_bytes()));
    let own = || html.then(|| sniff(bytes)).flatten();
    let encoding = marked.or(said).or_else(own);
    let (text, _, malformed) = encoding.unwrap_or(UTF_8).decode(bytes);
    let text = match (malformed, encoding, html) {
        (false, _, _) => text,
        (true, None, true) => WINDOWS_1252.decode(bytes).0,
        (true, Some(_), true) => text,
        (true, _, false) => {
            return Err(Unread::failed("it is not text in UTF-8: save it as UTF-8"));
        }
    };
    if text.contains('\0') {
        return Err(Unread::failed("it is not text"));
    }
    Ok(text)
}

fn sniff(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..SNIFFED).unwrap_or(bytes).to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    let (_, after) = head.split_once("charset=")?;
    let name: String = after
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    Encoding::for_label(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_the_encoding_that_it_says() {
        assert_eq!(decode("Café".as_bytes(), None, false).unwrap(), "Café");
        assert_eq!(
            decode(b"Caf\xe9", Some("iso-8859-1"), false).unwrap(),
            "Café"
        );
        assert_eq!(decode(b"\xff\xfeC\0a\0", None, false).unwrap(), "Ca");
        let page = b"<meta charset=\"windows-1251\">\xcf\xf0\xe8\xe2\xe5\xf2";
        assert!(decode(page, None, true).unwrap().ends_with("Привет"));
        assert_eq!(decode(b"Caf\xe9", None, true).unwrap(), "Café");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bytes in [&b"\x89PNG\r\n\x1a\n"[..], b"a\0b", b"Caf\xe9"] {
            assert!(decode(bytes, None, false).is_err(), "{bytes:?}");
        }
    }
}
