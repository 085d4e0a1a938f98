//! Templates of JSON.

use minijinja::{Environment, value::Serde};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Template, TemplateError, Vocabulary, explain, strict};

/// How deep a template of JSON may be.
const DEEPEST: usize = 32;

/// A compiled template of a JSON object. Every text in it is a template; what it gives is a JSON value of its own, so that
/// no value can change the shape of what it stands in.
///
/// A text that is a single `{{ expression }}` keeps the expression's type, and is left out, of its object or its list,
/// where there is no such value.
#[derive(Debug)]
pub struct JsonTemplate {
    fields: Vec<(String, Node)>,
    environment: Environment<'static>,
}

/// A part of the template.
#[derive(Debug)]
enum Node {
    /// What it is, whatever the facts.
    Literal(Value),
    /// A text with places.
    Text(Box<Template>),
    /// A text that is a single expression.
    Expression(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl JsonTemplate {
    /// Compiles a template of a JSON object.
    ///
    /// # Errors
    /// What is wrong with it, and in which of its fields.
    pub fn parse(source: &Map<String, Value>, vocabulary: Vocabulary) -> Result<Self, InField> {
        Ok(Self {
            fields: fields(source, vocabulary, "", 0)?,
            environment: strict(),
        })
    }

    /// Fills it in.
    ///
    /// # Errors
    /// When a text names what is not there, or does more work than a template may.
    pub fn render(&self, facts: &impl Serialize) -> Result<Map<String, Value>, TemplateError> {
        // Once, and not for each of its texts.
        let facts = minijinja::Value::from(Serde(facts));
        object(&self.fields, &self.environment, &facts)
    }
}

/// What is wrong with a template of JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InField {
    /// The field, such as `customer.name`; empty for all of it.
    pub field: String,
    /// What is wrong.
    pub error: TemplateError,
}

fn fields(
    source: &Map<String, Value>,
    vocabulary: Vocabulary,
    at: &str,
    depth: usize,
) -> Result<Vec<(String, Node)>, InField> {
    let named = source.iter().map(|(name, value)| {
        let at = if at.is_empty() {
            name.clone()
        } else {
            format!("{at}.{name}")
        };
        if name.contains("{{") || name.contains("{%") {
            let message = "the name of a field is no template: write it out".to_owned();
            return Err(wrong(&at, TemplateError::Syntax(message)));
        }
        Ok((name.clone(), node(value, vocabulary, &at, depth)?))
    });
    named.collect()
}

fn node(source: &Value, vocabulary: Vocabulary, at: &str, depth: usize) -> Result<Node, InField> {
    if depth >= DEEPEST {
        let message = format!("it is more than {DEEPEST} levels deep");
        return Err(wrong(at, TemplateError::Syntax(message)));
    }
    Ok(match source {
        Value::String(text) => {
            let template = Template::parse(text, vocabulary).map_err(|error| wrong(at, error))?;
            match single_expression(text) {
                Some(expression) => Node::Expression(expression.to_owned()),
                None if text.contains(['{', '}']) => Node::Text(Box::new(template)),
                None => Node::Literal(source.clone()),
            }
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            let each = each
                .map(|(index, item)| node(item, vocabulary, &format!("{at}[{index}]"), depth + 1));
            Node::List(each.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => Node::Object(fields(object, vocabulary, at, depth + 1)?),
        other => Node::Literal(other.clone()),
    })
}

fn wrong(at: &str, error: TemplateError) -> InField {
    InField {
        field: at.to_owned(),
        error,
    }
}

fn object(
    fields: &[(String, Node)],
    environment: &Environment<'_>,
    facts: &minijinja::Value,
) -> Result<Map<String, Value>, TemplateError> {
    let mut object = Map::new();
    for (name, node) in fields {
        if let Some(value) = filled(node, environment, facts)? {
            object.insert(name.clone(), value);
        }
    }
    Ok(object)
}

fn filled(
    node: &Node,
    environment: &Environment<'_>,
    facts: &minijinja::Value,
) -> Result<Option<Value>, TemplateError> {
    let render = |error: minijinja::Error| TemplateError::Render(explain(&error));
    Ok(Some(match node {
        Node::Literal(value) => value.clone(),
        Node::Text(template) => Value::String(template.render(facts)?),
        Node::Expression(expression) => {
            let value = environment
                .compile_expression(expression)
                .and_then(|expression| expression.eval(facts.clone()))
                .map_err(render)?;
            if value.is_undefined() {
                return Ok(None);
            }
            serde_json::to_value(&value)
                .map_err(|error| TemplateError::Render(error.to_string()))?
        }
        Node::List(items) => {
            let items = items.iter().map(|item| filled(item, environment, facts));
            let items: Vec<Option<Value>> = items.collect::<Result<_, _>>()?;
            Value::Array(items.into_iter().flatten().collect())
        }
        Node::Object(fields) => Value::Object(object(fields, environment, facts)?),
    }))
}

/// The expression of a text that is `{{ expression }}` and nothing else.
fn single_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(source: Value) -> Result<JsonTemplate, InField> {
        let Value::Object(source) = source else {
            panic!("{source}")
        };
        JsonTemplate::parse(&source, Vocabulary::ACTION_URL)
    }

    fn rendered(source: Value, arguments: Value) -> Value {
        let facts = json!({"arguments": arguments, "user": {"id": "55"}, "voice": "wa"});
        Value::Object(template(source).unwrap().render(&facts).unwrap())
    }

    #[test]
    fn an_expression_keeps_its_type_and_a_text_is_a_text() {
        let source = json!({
            "cups": "{{ arguments.cups }}",
            "label": "{{ arguments.cups }} cups for {{ user.id }}",
            "drinks": "{{ arguments.drinks }}",
            "fixed": {"channel": "{{ voice }}", "priority": 3, "tags": ["a", "{{ arguments.drinks[0] }}"]},
            "double": "{{ arguments.cups * 2 }}",
        });
        let arguments = json!({"cups": 2, "drinks": ["flat white", {"tea": true}]});
        assert_eq!(
            rendered(source, arguments),
            json!({
                "cups": 2,
                "label": "2 cups for 55",
                "drinks": ["flat white", {"tea": true}],
                "fixed": {"channel": "wa", "priority": 3, "tags": ["a", "flat white"]},
                "double": 4,
            })
        );
    }

    #[test]
    fn what_is_not_there_is_left_out_and_null_is_null() {
        let source = json!({
            "note": "{{ arguments.note }}",
            "gift": "{{ arguments.gift }}",
            "list": ["{{ arguments.note }}", "x"],
            "in": {"note": "{{ arguments.note }}"},
        });
        assert_eq!(
            rendered(source, json!({"gift": null})),
            json!({"gift": null, "list": ["x"], "in": {}})
        );
        let in_a_text = template(json!({"note": "says {{ arguments.note }}"})).unwrap();
        let error = in_a_text.render(&json!({"arguments": {}})).unwrap_err();
        assert!(matches!(error, TemplateError::Render(_)), "{error}");
    }

    #[test]
    fn a_value_cannot_change_the_shape() {
        let evil = r#"x", "admin": true, "y": "{{ user.id }}"#;
        let source = json!({"whole": "{{ arguments.name }}", "part": "for {{ arguments.name }}"});
        assert_eq!(
            rendered(source, json!({"name": evil})),
            json!({"whole": evil, "part": format!("for {evil}")})
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        for (source, field, says) in [
            (
                json!({"a": {"b": ["{{ order.id }}"]}}),
                "a.b[0]",
                "order.id",
            ),
            (json!({"a": "{{ arguments.x"}), "a", "line 1"),
            (json!({"a": "{{ arguments. }}"}), "a", ""),
            (json!({"{{ voice }}": 1}), "{{ voice }}", "write it out"),
        ] {
            let wrong = template(source).unwrap_err();
            assert_eq!(wrong.field, field);
            assert!(wrong.error.to_string().contains(says), "{}", wrong.error);
        }
        let deep = (0..40).fold(json!(1), |inner, _| json!({"d": inner}));
        assert!(
            template(deep)
                .unwrap_err()
                .error
                .to_string()
                .contains("deep")
        );
    }

    #[test]
    fn a_text_that_would_not_end_is_stopped() {
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let endless = template(json!({"a": endless})).unwrap();
        let error = endless.render(&json!({})).unwrap_err();
        assert!(matches!(error, TemplateError::Render(_)), "{error}");
    }
}
