//! Markdown: its headings say what stands below them.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Document, Section};

/// Reads Markdown. The text of each section is as it was written.
pub(super) fn read(text: &str) -> Document {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reading = Reading::new(text);
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) if reading.depth == 0 => {
                reading.ends_at(range.start);
                reading.heading = Some((level as usize, String::new()));
                reading.depth += 1;
            }
            Event::End(TagEnd::Heading(_)) if reading.depth == 1 && reading.heading.is_some() => {
                reading.depth -= 1;
                reading.begins_below(range.end);
            }
            Event::Start(Tag::MetadataBlock(_)) => {
                reading.in_front_matter = true;
                reading.depth += 1;
            }
            Event::End(TagEnd::MetadataBlock(_)) => {
                reading.in_front_matter = false;
                reading.depth = reading.depth.saturating_sub(1);
                reading.from = range.end;
            }
            Event::Start(_) => reading.depth += 1,
            Event::End(_) => reading.depth = reading.depth.saturating_sub(1),
            Event::Text(piece) if reading.in_front_matter => reading.front_matter(&piece),
            Event::Text(piece) | Event::Code(piece) => {
                if let Some((_, heading)) = &mut reading.heading {
                    heading.push_str(&piece);
                }
            }
            _ => {}
        }
    }
    reading.ends_at(text.len());
    reading.document
}

struct Reading<'t> {
    text: &'t str,
    /// Where the section began.
    from: usize,
    /// How many things one is inside of.
    depth: usize,
    /// The heading that is being read.
    heading: Option<(usize, String)>,
    in_front_matter: bool,
    /// The headings that one is below, with their levels.
    path: Vec<(usize, String)>,
    document: Document,
}

impl<'t> Reading<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            from: 0,
            depth: 0,
            heading: None,
            in_front_matter: false,
            path: Vec::new(),
            document: Document::default(),
        }
    }

    fn ends_at(&mut self, end: usize) {
        let text = self.text.get(self.from..end).unwrap_or_default().trim();
        if !text.is_empty() {
            self.document.sections.push(Section {
                path: self.path.iter().map(|(_, name)| name.clone()).collect(),
                text: text.to_owned(),
                markdown: true,
            });
        }
        self.from = end;
    }

    fn begins_below(&mut self, from: usize) {
        self.from = from;
        let Some((level, name)) = self.heading.take() else {
            return;
        };
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        if level == 1 && self.document.title.is_empty() {
            self.document.title.clone_from(&name);
        }
        self.path.retain(|(above, _)| *above < level);
        self.path.push((level, name));
    }

    fn front_matter(&mut self, text: &str) {
        let title = text.lines().find_map(|line| line.strip_prefix("title:"));
        if let Some(title) = title {
            self.document.title = title.trim().trim_matches(['"', '\'']).to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, String)> {
        read(text)
            .sections
            .into_iter()
            .map(|section| (section.path.join(" / "), section.text))
            .collect()
    }

    #[test]
    fn every_section_knows_the_headings_that_it_is_below() {
        let text = "Before.\n\n# Café *Alma*\nWelcome.\n\n## Hours\nNine to five.\n### Sundays\nClosed.\n## Menu\n- Tea\n";
        let expected = [
            ("", "Before."),
            ("Café Alma", "Welcome."),
            ("Café Alma / Hours", "Nine to five."),
            ("Café Alma / Hours / Sundays", "Closed."),
            ("Café Alma / Menu", "- Tea"),
        ];
        let told = told(text);
        let told: Vec<(&str, &str)> = told.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        assert_eq!(told, expected);
        assert_eq!(read(text).title, "Café Alma");
    }

    #[test]
    fn what_only_looks_like_a_heading_is_text() {
        let text = "# Shell\n```sh\n# not a heading\nls\n```\n> # quoted\n";
        let told = told(text);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].1.contains("# not a heading") && told[0].1.contains("quoted"));
    }

    #[test]
    fn front_matter_gives_the_title_and_is_no_text() {
        let document = read("---\ntitle: \"The menu\"\ndraft: true\n---\n\nTea.\n");
        assert_eq!(document.title, "The menu");
        assert_eq!(document.sections[0].text, "Tea.");
    }
}
