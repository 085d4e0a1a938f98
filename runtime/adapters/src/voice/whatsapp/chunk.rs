//! A long text in parts that WhatsApp takes.

/// The most characters of one message. Counted in UTF-16, which is the most that any way of counting gives.
const LIMIT: usize = 4096;

/// The text in as few messages as it takes.
pub(super) fn chunks(text: &str) -> Vec<&str> {
    chunks_of(text, LIMIT)
}

/// The text in as few parts of at most `limit` as it takes, each cut where a reader would pause: before a paragraph, a
/// line, a sentence or a word, in this order. A text of white space alone has no parts.
pub(super) fn chunks_of(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while let Some(over) = first_over(rest, limit) {
        let cut = pause(&rest[..over]).unwrap_or(over);
        let (part, left) = rest.split_at(cut);
        parts.push(part.trim_end());
        rest = left.trim_start();
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

/// Where the first character stands that does not fit, if there is one.
fn first_over(text: &str, limit: usize) -> Option<usize> {
    // A byte is at least a unit of UTF-16, so that most texts need not be counted.
    if text.len() <= limit {
        return None;
    }
    let mut units = 0;
    text.char_indices().find_map(|(at, c)| {
        units += c.len_utf16();
        (units > limit).then_some(at)
    })
}

/// The last good place to cut, if it leaves at least half of the room used.
fn pause(text: &str) -> Option<usize> {
    let places = [
        text.rfind("\n\n"),
        text.rfind('\n'),
        [". ", "! ", "? "]
            .iter()
            .filter_map(|end| text.rfind(end))
            .max()
            .map(|at| at + 1),
        text.rfind(char::is_whitespace),
    ];
    places
        .into_iter()
        .flatten()
        .find(|at| *at >= text.len() / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_fits_is_one_part() {
        assert_eq!(chunks("hello"), ["hello"]);
        assert_eq!(chunks(&"x".repeat(LIMIT)).len(), 1);
        assert_eq!(chunks(&"é".repeat(LIMIT)).len(), 1);
        assert_eq!(chunks(&"🙂".repeat(LIMIT / 2)).len(), 1);
        assert!(chunks(" \n").is_empty());
    }

    #[test]
    fn a_long_text_is_cut_where_a_reader_would_pause() {
        let (a, b) = ("a".repeat(3000), "b".repeat(3000));
        for (between, first) in [
            ("\n\n", ""),
            ("\n", ""),
            (". ", "."),
            ("? ", "?"),
            (" ", ""),
        ] {
            let text = format!("{a}{between}{b}");
            assert_eq!(
                chunks(&text),
                [format!("{a}{first}"), b.clone()],
                "{between:?}"
            );
        }
        let text = format!(
            "{}\n\n{} {}",
            "a".repeat(2500),
            "b".repeat(1000),
            "c".repeat(3000)
        );
        assert_eq!(
            chunks(&text)[0],
            "a".repeat(2500),
            "a paragraph comes before a word"
        );
        let text = format!("a\n\n{} {}", "b".repeat(3000), "c".repeat(3000));
        assert_eq!(
            chunks(&text).len(),
            2,
            "a cut right at the beginning would only make more parts"
        );
    }

    #[test]
    fn a_text_without_a_pause_is_cut_all_the_same() {
        let parts = chunks(&"x".repeat(2 * LIMIT + 1))
            .iter()
            .map(|part| part.len())
            .collect::<Vec<_>>();
        assert_eq!(parts, [LIMIT, LIMIT, 1]);
        assert_eq!(chunks(&"🙂".repeat(LIMIT)).len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_part_fits_and_nothing_but_white_space_is_lost(text in "(\\PC|[ \n.]){0,9000}") {
            let parts = chunks(&text);
            for part in &parts {
                prop_assert!(!part.is_empty() && part.encode_utf16().count() <= LIMIT);
            }
            let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(solid(&parts.concat()), solid(&text));
        }
    }
}
