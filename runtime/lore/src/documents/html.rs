//! HTML: what a person would read of it.

use html2text::{
    config,
    render::{TaggedLine, TextDecorator},
};

use super::{Document, Section, Unread};

/// Stands before a heading, and its level behind it. No text has it: it is taken out first.
const MARK: char = '\u{1}';

/// Lines are as long as they are: a passage is no page.
const WIDTH: usize = 4096;

/// Reads HTML. Scripts, styles and where links lead are left out.
pub(super) fn read(text: &str) -> Result<Document, Unread> {
    let text = text.replace(MARK, " ");
    let plain = config::with_decorator(Plain)
        .no_table_borders()
        .link_footnotes(false)
        .allow_width_overflow()
        .string_from_read(text.as_bytes(), WIDTH)
        .map_err(Unread::failed)?;
    let mut document = sections(&plain);
    if let Some(title) = title(&text) {
        document.title = title;
    }
    Ok(document)
}

fn sections(plain: &str) -> Document {
    let mut document = Document::default();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut section = Section::default();
    for line in plain.lines() {
        let Some((level, name)) = heading(line) else {
            section.text.push_str(line.trim_end());
            section.text.push('\n');
            continue;
        };
        if level == 1 && document.title.is_empty() {
            name.clone_into(&mut document.title);
        }
        path.retain(|(above, _)| *above < level);
        path.push((level, name.to_owned()));
        let next = Section {
            path: path.iter().map(|(_, name)| name.clone()).collect(),
            ..Section::default()
        };
        document
            .sections
            .push(std::mem::replace(&mut section, next));
    }
    document.sections.push(section);
    for section in &mut document.sections {
        section.text = section.text.trim().to_owned();
    }
    document
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let mut rest = line.trim_start().strip_prefix(MARK)?.chars();
    let level = rest.next()?.to_digit(10)?;
    Some((level as usize, rest.as_str().trim()))
}

/// What stands in `<title>`, which no renderer shows.
fn title(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let from = lower.find("<title")?;
    let from = from + lower.get(from..)?.find('>')? + 1;
    let to = from + lower.get(from..)?.find("</title")?;
    let inner = config::with_decorator(Plain)
        .string_from_read(text.get(from..to)?.as_bytes(), WIDTH)
        .ok()?;
    let title = inner.split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then_some(title)
}

/// Marks headings and the items of lists, and nothing else.
struct Plain;

impl TextDecorator for Plain {
    type Annotation = ();

    fn decorate_link_start(&mut self, _: &str) -> (String, ()) {
        Default::default()
    }

    fn decorate_link_end(&mut self) -> String {
        String::new()
    }

    fn decorate_em_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_em_end(&self) -> String {
        String::new()
    }

    fn decorate_strong_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_strong_end(&self) -> String {
        String::new()
    }

    fn decorate_strikeout_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }

    fn decorate_code_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_code_end(&self) -> String {
        String::new()
    }

    fn decorate_preformat_first(&self) {}

    fn decorate_preformat_cont(&self) {}

    fn decorate_image(&mut self, _: &str, title: &str) -> (String, ()) {
        (title.to_owned(), ())
    }

    fn header_prefix(&self, level: usize) -> String {
        format!("{MARK}{level} ")
    }

    fn quote_prefix(&self) -> String {
        "> ".to_owned()
    }

    fn unordered_item_prefix(&self) -> String {
        "- ".to_owned()
    }

    fn ordered_item_prefix(&self, i: i64) -> String {
        format!("{i}. ")
    }

    fn make_subblock_decorator(&self) -> Self {
        Self
    }

    fn finalise(&mut self, _: Vec<String>) -> Vec<TaggedLine<()>> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<html><head><title>Caf&eacute;  Alma</title><style>p {}</style></head><body>
        <script>alert(1)</script><h1>Welcome</h1><p>Come <a href='https://cafe.example'>in</a>.</p>
        <h2>Menu</h2><ul><li>Tea</li><li>Coffee</li></ul>
        <table><tr><th>Cup</th><th>Price</th></tr><tr><td>Flat white</td><td>4.20</td></tr></table></body></html>";

    #[test]
    fn a_page_is_what_a_person_reads_below_its_headings() {
        let document = read(PAGE).unwrap();
        assert_eq!(document.title, "Café Alma");
        let [_, welcome, menu] = &document.sections[..] else {
            panic!("{document:?}")
        };
        assert_eq!(welcome.path, ["Welcome"]);
        assert_eq!(welcome.text, "Come in.");
        assert_eq!(menu.path, ["Welcome", "Menu"]);
        assert!(menu.text.starts_with("- Tea\n- Coffee"), "{}", menu.text);
        let row = menu.text.lines().find(|line| line.contains("Flat white"));
        assert!(row.is_some_and(|row| row.contains("4.20")), "{}", menu.text);
        assert!(!format!("{document:?}").contains("alert"));
    }

    #[test]
    fn a_text_cannot_pass_for_a_heading() {
        let document = read("<p>\u{1}1 Trust me</p><pre># not a heading</pre>").unwrap();
        assert!(
            document
                .sections
                .iter()
                .all(|section| section.path.is_empty())
        );
    }
}
