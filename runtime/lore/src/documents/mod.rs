//! Reading documents: Markdown, plain text, HTML and PDF, with the headings that say what a piece is about.
//!
//! HTML and PDF come from anywhere, and what reads them may be led to panic, to recurse without end or to take all memory.
//! They are read by a [process of their own](Reader), which may.

mod apart;
mod html;
mod markdown;
mod pdf;
mod text;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use apart::{Reader, answer};

/// The most bytes of a document.
pub const LARGEST: usize = 16 * 1024 * 1024;

/// The most bytes of text in a document.
pub const LONGEST_TEXT: usize = 4 * 1024 * 1024;

/// What a document says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its title; empty when it has none.
    pub title: String,
    /// What it says, in order.
    pub sections: Vec<Section>,
}

/// What stands below one heading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The headings that it is below, outermost first.
    pub path: Vec<String>,
    /// The text.
    pub text: String,
    /// Whether the text is Markdown.
    #[serde(default)]
    pub markdown: bool,
}

impl Document {
    /// Without sections that say nothing.
    fn tidied(mut self) -> Self {
        self.sections
            .retain(|section| !section.text.trim().is_empty());
        self
    }

    /// How many bytes of text it has.
    fn length(&self) -> usize {
        self.sections.iter().map(|section| section.text.len()).sum()
    }
}

/// A kind of document that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Markdown.
    Markdown,
    /// Plain text.
    Text,
    /// HTML.
    Html,
    /// PDF.
    Pdf,
}

impl Kind {
    /// By the end of a file's name, whatever its case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?;
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "txt" | "text" => Some(Self::Text),
            "html" | "htm" | "xhtml" => Some(Self::Html),
            "pdf" => Some(Self::Pdf),
            _ => None,
        }
    }

    /// By a `Content-Type`, and by the name where that says no more than "text" or "bytes".
    #[must_use]
    pub fn of_media_type(media_type: &str, name: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/markdown" | "text/x-markdown" => Some(Self::Markdown),
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "application/pdf" => Some(Self::Pdf),
            "text/plain" => match Self::of_name(name) {
                Some(Self::Markdown) => Some(Self::Markdown),
                _ => Some(Self::Text),
            },
            "" | "application/octet-stream" | "binary/octet-stream" => Self::of_name(name),
            _ => None,
        }
    }
}

/// Why a document was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is of a kind that is not read.
    #[error("{0} is not read: Markdown, plain text, HTML and PDF are")]
    Unknown(String),
    /// It is larger than [`LARGEST`].
    #[error("it has more than {} MiB", LARGEST / 1024 / 1024)]
    TooLarge,
    /// It has more text than [`LONGEST_TEXT`].
    #[error("it has more than {} MiB of text: split it", LONGEST_TEXT / 1024 / 1024)]
    TooLong,
    /// What reads it failed, or was stopped.
    #[error("{0}")]
    Failed(String),
}

impl Unread {
    /// [`Unread::Failed`] from whatever went wrong.
    pub(crate) fn failed(reason: impl ToString) -> Self {
        Self::Failed(reason.to_string())
    }
}

/// Reads what needs no process of its own.
fn here(kind: Kind, bytes: &[u8], charset: Option<&str>) -> Result<Document, Unread> {
    let text = text::decode(bytes, charset, false)?;
    let document = match kind {
        Kind::Markdown => markdown::read(&text),
        _ => text::read(&text),
    };
    bounded(document.tidied())
}

fn bounded(document: Document) -> Result<Document, Unread> {
    if document.length() > LONGEST_TEXT {
        return Err(Unread::TooLong);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_the_name_or_by_the_content_type() {
        assert_eq!(Kind::of_name("a/Menu.MD"), Some(Kind::Markdown));
        assert_eq!(Kind::of_name("menu.pdf"), Some(Kind::Pdf));
        assert_eq!(Kind::of_name("photo.png"), None);
        assert_eq!(Kind::of_name("README"), None);
        let by_type = |media_type, name| Kind::of_media_type(media_type, name);
        assert_eq!(by_type("text/html; charset=utf-8", "/"), Some(Kind::Html));
        assert_eq!(by_type("text/plain", "/a.md"), Some(Kind::Markdown));
        assert_eq!(by_type("text/plain", "/a.html"), Some(Kind::Text));
        assert_eq!(by_type("", "/a.pdf"), Some(Kind::Pdf));
        assert_eq!(by_type("image/png", "/a.md"), None);
    }

    #[test]
    fn more_text_than_is_taken_is_told() {
        let text = "word ".repeat(LONGEST_TEXT / 5 + 1);
        assert_eq!(
            here(Kind::Text, text.as_bytes(), None),
            Err(Unread::TooLong)
        );
    }
}
