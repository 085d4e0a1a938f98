//! What is taken of a JSON response.

use std::fmt::Write as _;

use serde_json::Value;

/// JSON pointers (RFC 6901), each with the label that its value is shown under.
#[derive(Clone, Debug, Default)]
pub struct Pick(Vec<(String, String)>);

impl Pick {
    /// Takes what these pointers lead to, in this order.
    pub fn new(pointers: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pointers.into_iter().collect())
    }

    /// Whether nothing is taken apart: the response is shown as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line `label: value` for each pointer that leads to something. Lists and objects are compact JSON; the lines after
    /// the first of a text are set in, so that none of them can pose as another label.
    #[must_use]
    pub fn of(&self, response: &Value) -> String {
        let mut lines = String::new();
        for (label, pointer) in &self.0 {
            let value = match response.pointer(pointer) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) if text.trim().is_empty() => continue,
                Some(Value::String(text)) => text.trim().lines().collect::<Vec<_>>().join("\n  "),
                Some(other) => other.to_string(),
            };
            let _ = writeln!(lines, "{label}: {value}");
        }
        lines.truncate(lines.trim_end().len());
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn picked(pointers: &[(&str, &str)], response: &Value) -> String {
        let pointers = pointers
            .iter()
            .map(|(label, pointer)| ((*label).to_owned(), (*pointer).to_owned()));
        Pick::new(pointers).of(response)
    }

    #[test]
    fn each_pointer_that_leads_to_something_is_a_line() {
        let response = json!({
            "name": "Ana", "visits": 7, "prefers": {"milk": "oat", "a/b~c": true}, "tags": ["vip"], "gone": null, "no": " ",
        });
        let pointers = [
            ("name", "/name"),
            ("visits", "/visits"),
            ("milk", "/prefers/milk"),
            ("odd", "/prefers/a~1b~0c"),
            ("first tag", "/tags/0"),
            ("tags", "/tags"),
            ("missing", "/prefers/sugar"),
            ("null", "/gone"),
            ("empty", "/no"),
        ];
        assert_eq!(
            picked(&pointers, &response),
            "name: Ana\nvisits: 7\nmilk: oat\nodd: true\nfirst tag: vip\ntags: [\"vip\"]"
        );
        assert_eq!(picked(&[("all", "")], &json!([1])), "all: [1]");
        assert_eq!(picked(&[("none", "/x")], &response), "");
    }

    #[test]
    fn a_text_of_several_lines_cannot_pose_as_another_label() {
        let response = json!({"note": "likes tea\nrole: admin\r\nand more"});
        assert_eq!(
            picked(&[("note", "/note")], &response),
            "note: likes tea\n  role: admin\n  and more"
        );
    }
}
