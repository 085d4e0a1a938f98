//! Which attachments go to a provider as what they are, and which are only named.

use std::{borrow::Cow, collections::HashSet};

use eywa_weave::{ports::oracle::Turn, pulse::Attachment};
use serde_json::Value;

/// The media type of a PDF.
const PDF: &str = "application/pdf";

/// What a provider takes.
#[derive(Clone, Copy, Debug)]
pub(in crate::oracle) struct Limits {
    /// The media types of images.
    pub(in crate::oracle) images: &'static [&'static str],
    /// Whether it reads PDFs.
    pub(in crate::oracle) pdf: bool,
    /// The most bytes of an image, before base64.
    pub(in crate::oracle) largest_image: usize,
    /// The most bytes of a PDF, before base64.
    pub(in crate::oracle) largest_pdf: usize,
    /// The most files in one request.
    pub(in crate::oracle) most: usize,
    /// The most bytes of all files in one request, before base64.
    pub(in crate::oracle) all: usize,
}

/// A file that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oracle) enum File<'a> {
    /// A picture.
    Image {
        /// One of [`Limits::images`].
        media_type: &'static str,
        /// What is in it.
        bytes: &'a [u8],
    },
    /// A PDF.
    Pdf {
        /// Its name, or one that says what it is.
        name: &'a str,
        /// What is in it.
        bytes: &'a [u8],
    },
}

impl Limits {
    /// Whether it takes files of this media type at all.
    pub(in crate::oracle) fn takes(&self, media_type: &str) -> bool {
        self.pdf && essence(media_type) == PDF || self.image(media_type).is_some()
    }

    fn image(&self, media_type: &str) -> Option<&'static str> {
        let essence = essence(media_type);
        self.images.iter().find(|taken| **taken == essence).copied()
    }

    fn file<'a>(&self, attachment: &'a Attachment) -> Option<File<'a>> {
        let media = attachment.media.as_ref()?;
        let bytes: &[u8] = &media.bytes;
        if let Some(media_type) = self.image(&media.media_type) {
            return (bytes.len() <= self.largest_image)
                .then_some(File::Image { media_type, bytes });
        }
        let name = media
            .file_name
            .as_deref()
            .or(attachment.file_name.as_deref());
        let pdf = self.pdf && essence(&media.media_type) == PDF && bytes.len() <= self.largest_pdf;
        pdf.then_some(File::Pdf {
            name: name.unwrap_or("document.pdf"),
            bytes,
        })
    }
}

/// The files of one request.
#[derive(Debug)]
pub(in crate::oracle) struct Files<'a> {
    limits: &'a Limits,
    /// The ids of those that are sent.
    sent: HashSet<&'a str>,
}

impl<'a> Files<'a> {
    /// Chooses the files of these turns that a request has room for, the newest first.
    pub(in crate::oracle) fn of(turns: &'a [Turn], limits: &'a Limits) -> Self {
        let mut sent = HashSet::new();
        let mut left = limits.all;
        let newest_first = turns.iter().rev().filter_map(|turn| match turn {
            Turn::User { attachments, .. } => Some(attachments.iter().rev()),
            Turn::Agent { .. } | Turn::Tools(_) => None,
        });
        for attachment in newest_first.flatten() {
            let size = match limits.file(attachment) {
                Some(File::Image { bytes, .. } | File::Pdf { bytes, .. }) => bytes.len(),
                None => continue,
            };
            if sent.len() == limits.most || size > left {
                break;
            }
            left -= size;
            sent.insert(attachment.id.as_str());
        }
        Self { limits, sent }
    }

    /// A person's turn: the text, with a line for each attachment that is not sent, and those that are.
    pub(in crate::oracle) fn split(
        &self,
        text: &'a str,
        attachments: &'a [Attachment],
    ) -> (Cow<'a, str>, Vec<File<'a>>) {
        let mut whole = Cow::Borrowed(text);
        let mut files = Vec::new();
        for attachment in attachments {
            let sent = self.sent.contains(attachment.id.as_str());
            match self.limits.file(attachment).filter(|_| sent) {
                Some(file) => files.push(file),
                None => name(attachment, whole.to_mut()),
            }
        }
        (whole, files)
    }
}

/// Adds a line that says what an attachment is, not what is in it.
fn name(attachment: &Attachment, text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str("[attachment ");
    text.push_str(&attachment.media_type);
    if let Some(name) = &attachment.file_name {
        // Quoted as JSON, so that a name cannot end the bracket and go on as something else.
        text.push(' ');
        text.push_str(&Value::from(name.as_str()).to_string());
    }
    text.push(']');
}

/// A media type without its parameters, in lower case.
fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eywa_weave::pulse::Media;

    use super::*;

    const LIMITS: Limits = Limits {
        images: &["image/png"],
        pdf: true,
        largest_image: 10,
        largest_pdf: 20,
        most: 2,
        all: 25,
    };

    fn attachment(id: &str, media_type: &str, size: usize) -> Attachment {
        Attachment {
            id: id.into(),
            media_type: media_type.into(),
            media: Some(Media {
                media_type: media_type.into(),
                file_name: None,
                bytes: Arc::from(vec![7; size]),
            }),
            ..Attachment::default()
        }
    }

    fn turn(attachments: Vec<Attachment>) -> Turn {
        Turn::User {
            text: String::new(),
            attachments,
        }
    }

    /// The sizes of what is sent, and the words for the rest.
    fn sent(turns: &[Turn]) -> (Vec<usize>, Vec<String>) {
        let files = Files::of(turns, &LIMITS);
        let (mut sizes, mut words) = (Vec::new(), Vec::new());
        for turn in turns {
            if let Turn::User { text, attachments } = turn {
                let (text, files) = files.split(text, attachments);
                sizes.extend(files.iter().map(|file| match file {
                    File::Image { bytes, .. } | File::Pdf { bytes, .. } => bytes.len(),
                }));
                words.push(text.into_owned());
            }
        }
        (sizes, words)
    }

    #[test]
    fn images_and_pdfs_are_sent_and_everything_else_is_named() {
        let (sizes, words) = sent(&[turn(vec![
            attachment("1", "IMAGE/PNG; x=y", 10),
            attachment("2", "audio/ogg", 1),
            attachment("3", "application/pdf", 12),
        ])]);
        assert_eq!(sizes, [10, 12]);
        assert_eq!(words, ["[attachment audio/ogg]"]);
    }

    #[test]
    fn what_was_not_loaded_or_is_too_large_is_named() {
        let unloaded = Attachment {
            media: None,
            ..attachment("1", "image/png", 1)
        };
        let (sizes, words) = sent(&[turn(vec![unloaded, attachment("2", "image/png", 11)])]);
        assert!(sizes.is_empty());
        assert_eq!(words, ["[attachment image/png]\n[attachment image/png]"]);
    }

    #[test]
    fn the_newest_come_first_when_there_is_not_room_for_all() {
        let pdf = |id| attachment(id, "application/pdf", 12);
        let (sizes, words) = sent(&[
            turn(vec![pdf("1")]),
            turn(vec![pdf("2")]),
            turn(vec![pdf("3")]),
        ]);
        assert_eq!(sizes, [12, 12]);
        assert_eq!(words, ["[attachment application/pdf]", "", ""]);
        let big = |id| attachment(id, "application/pdf", 20);
        assert_eq!(sent(&[turn(vec![big("1")]), turn(vec![big("2")])]).0, [20]);
    }
}
