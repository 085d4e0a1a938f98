//! What `kubectl` reads otherwise: to its YAML, a `?` between `{ }` or `[ ]` ends a text without quotes, and the file is
//! refused. Here it is a character like any other, so that it has to be looked for.

use super::{
    node::{Node, NodeValue},
    structural::{Fault, join},
};

/// Each text of a document that `kubectl` would end at a `?`. `source` is what the document was read from.
pub(super) fn question_marks(document: &Node, source: &str) -> Vec<Fault> {
    let mut reading = Reading {
        source,
        faults: Vec::new(),
    };
    reading.value(document, false, "");
    reading.faults
}

struct Reading<'a> {
    source: &'a str,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn value(&mut self, node: &Node, inside: bool, field: &str) {
        match &node.value {
            NodeValue::Object(fields) => {
                let inside = inside || self.from(node.at).starts_with('{');
                for (key, value) in fields {
                    let field = join(field, &key.name);
                    self.text(&key.name, key.at, key.line, inside, &field);
                    self.value(value, inside, &field);
                }
            }
            NodeValue::List(items) => {
                let inside = inside || self.from(node.at).starts_with('[');
                for (index, item) in items.iter().enumerate() {
                    self.value(item, inside, &format!("{field}[{index}]"));
                }
            }
            NodeValue::String(text) => self.text(text, node.at, node.line, inside, field),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str, at: Option<usize>, line: u64, inside: bool, field: &str) {
        if !inside || !text.contains('?') {
            return;
        }
        // A text without quotes begins with its own first word.
        let word = text.split_whitespace().next().unwrap_or_default();
        if !word.starts_with(['"', '\'']) && self.from(at).starts_with(word) {
            self.faults.push(Fault {
                line,
                field: field.to_owned(),
                message:
                    "kubectl takes no ? without quotes between { } or [ ]; put the text in quotes"
                        .to_owned(),
            });
        }
    }

    /// The source from there on; nothing where the place is not known.
    fn from(&self, at: Option<usize>) -> &str {
        at.and_then(|at| self.source.get(at..)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::manifest::Manifests;

    /// The fields of a ConfigMap with this data in which something is wrong, after their lines.
    fn wrong(data: &str) -> Vec<String> {
        let mut manifests = Manifests::default();
        let text = format!(
            "# Café\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: menu}}\ndata:{data}\n"
        );
        manifests.add(Path::new("menu.yaml"), &text);
        let problems = manifests.problems.iter();
        problems
            .map(|problem| format!("{}:{}", problem.line, problem.field))
            .collect()
    }

    #[test]
    fn what_kubectl_refuses_is_refused() {
        for (data, field) in [
            (" {a: A coffee?}", "5:data.a"),
            (" {a: é, b: Which? That}", "5:data.b"),
            (" {a: x?y}", "5:data.a"),
            (" {a?: x}", "5:data.a?"),
            (" {\n  a: tea,\n  b: A\n    coffee?}", "7:data.b"),
        ] {
            assert_eq!(wrong(data), [field], "{data}");
        }
    }

    #[test]
    fn what_kubectl_takes_is_taken() {
        for data in [
            r#" {a: "A coffee?"}"#,
            " {a: 'A coffee?', \"b?\": x}",
            r#" {a: '"A" coffee?', b: "\"A\" coffee?", c: "'?"}"#,
            " {a: '''tis?'}",
            "\n  a: A coffee?\n  b?: c",
            "\n  a: |\n    {text: A coffee?}",
            "\n  a: &a A coffee?\n  b: *a",
        ] {
            assert_eq!(wrong(data), Vec::<String>::new(), "{data}");
        }
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let mut manifests = Manifests::default();
        let text =
            "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {key: not?real}\n";
        manifests.add(Path::new("secret.yaml"), text);
        let said = manifests.problems[0].to_string();
        assert!(
            said.contains("quotes") && !said.contains("not?real"),
            "{said}"
        );
    }
}
