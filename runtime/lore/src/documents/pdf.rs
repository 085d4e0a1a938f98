//! PDF: its text, by pages.

use super::{Document, LONGEST_TEXT, Section, Unread};

/// Reads a PDF. What reads it panics at many an unsound file: to be called by a process that may.
pub(super) fn read(bytes: &[u8]) -> Result<Document, Unread> {
    let pages = pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(Unread::failed)?;
    let mut document = Document::default();
    let mut length = 0;
    for (at, page) in pages.iter().enumerate() {
        length += page.len();
        if length > LONGEST_TEXT {
            return Err(Unread::TooLong);
        }
        document.sections.push(Section {
            path: vec![format!("page {}", at + 1)],
            text: tidy(page),
            markdown: false,
        });
    }
    Ok(document)
}

/// Without the space that stands for where things are on the page.
fn tidy(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut empty = 0;
    for line in page.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PDF of these pages, each of one line.
    pub(crate) fn made(pages: &[&str]) -> Vec<u8> {
        let kids: Vec<String> = (0..pages.len())
            .map(|at| format!("{} 0 R", 4 + 2 * at))
            .collect();
        let mut objects = vec![
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            format!(
                "<< /Type /Pages /Kids [{}] /Count {} >>",
                kids.join(" "),
                pages.len()
            ),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
                .to_owned(),
        ];
        for (at, line) in pages.iter().enumerate() {
            let content = format!("BT /F1 12 Tf 72 720 Td ({line}) Tj ET");
            objects.push(format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
                5 + 2 * at
            ));
            objects.push(format!(
                "<< /Length {} >>\nstream\n{content}\nendstream",
                content.len()
            ));
        }
        let mut pdf = "%PDF-1.4\n".to_owned();
        let mut places = Vec::new();
        for (at, object) in objects.iter().enumerate() {
            places.push(pdf.len());
            pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", at + 1));
        }
        let table = pdf.len();
        pdf.push_str(&format!(
            "xref\n0 {}\n0000000000 65535 f \n",
            objects.len() + 1
        ));
        for place in places {
            pdf.push_str(&format!("{place:010} 00000 n \n"));
        }
        pdf.push_str(&format!(
            "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
            objects.len() + 1
        ));
        pdf.into_bytes()
    }

    #[test]
    fn a_pdf_is_its_pages() {
        let document = read(&made(&["We open at nine.", "Flat white: 4.20"])).unwrap();
        let pages: Vec<(&str, &str)> = document
            .sections
            .iter()
            .map(|page| (page.path[0].as_str(), page.text.as_str()))
            .collect();
        assert_eq!(
            pages,
            [
                ("page 1", "We open at nine."),
                ("page 2", "Flat white: 4.20")
            ]
        );
    }

    #[test]
    fn white_space_that_places_things_is_left_out() {
        assert_eq!(tidy("\n\n a   b \n\n\n\nc\n"), "a b\n\nc");
    }
}
