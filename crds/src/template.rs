//! Templates of personas, and of the URLs, headers and bodies of requests.

mod header;
mod json;

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use minijinja::{Environment, ErrorKind, Output, State, UndefinedBehavior, Value, value::Serde};
use serde::Serialize;
use url::Url;

pub use self::{
    header::HeaderTemplate,
    json::{InField, JsonTemplate},
};

/// How much work rendering one template may do; a loop that would not end is stopped.
const FUEL: u64 = 100_000;

/// What a template may name. A name that ends in `.*` allows whatever is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocabulary(&'static [&'static str]);

impl Vocabulary {
    /// Of a persona.
    pub const PERSONA: Self = Self(&[
        "now.date",
        "now.time",
        "now.weekday",
        "now.hour",
        "now.minute",
        "now.iso",
        "user.id",
        "user.name",
        "session.id",
        "voice",
        "spirit",
    ]);
    /// Of a Scout's URL.
    pub const SCOUT_URL: Self = Self(&[
        "user.id",
        "user.name",
        "session.id",
        "voice",
        "text",
        "spirit",
    ]);
    /// Of the namespace that is searched in Lore.
    pub const LORE_NAMESPACE: Self = Self(&["user.id", "session.id", "voice", "spirit"]);
    /// Of an Action's URL.
    pub const ACTION_URL: Self = Self(&[
        "arguments.*",
        "user.id",
        "user.name",
        "session.id",
        "voice",
        "spirit",
    ]);

    fn knows(self, name: &str) -> bool {
        self.0.iter().any(|known| match known.strip_suffix(".*") {
            Some(parent) => {
                name == parent
                    || name
                        .strip_prefix(parent)
                        .is_some_and(|rest| rest.starts_with('.'))
            }
            // `user` alone is fine as far as this goes: `user[key]` names it so.
            None => {
                *known == name
                    || known
                        .strip_prefix(name)
                        .is_some_and(|rest| rest.starts_with('.'))
            }
        })
    }
}

/// Why a template was refused, or could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not a minijinja template.
    #[error("{0}")]
    Syntax(String),
    /// It names what is not there.
    #[error("{name:?} is not known here; a template may use {known}")]
    Unknown {
        /// The name.
        name: String,
        /// What it could name.
        known: String,
    },
    /// A value stands where the scheme or the host must be written out.
    #[error("the scheme and the host must be written out: values may only stand behind them")]
    HostNotLiteral,
    /// The rendered text is no URL.
    #[error("it is not a URL: {0}")]
    NotAUrl(String),
    /// A line break, or another control character, stands in a header's value.
    #[error("a header's value must not hold a line break or another control character")]
    NotAHeader,
    /// It could not be rendered.
    #[error("it cannot be rendered: {0}")]
    Render(String),
}

/// A compiled template of a text.
pub struct Template {
    environment: Environment<'static>,
    source: String,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

impl Template {
    const NAME: &'static str = "template";

    /// Compiles a template that may name what `vocabulary` has. Naming what is not there is an error when it is rendered.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(source: &str, vocabulary: Vocabulary) -> Result<Self, TemplateError> {
        Self::with_environment(strict(), source, vocabulary)
    }

    fn with_environment(
        mut environment: Environment<'static>,
        source: &str,
        vocabulary: Vocabulary,
    ) -> Result<Self, TemplateError> {
        environment
            .add_template_owned(Self::NAME, source.to_owned())
            .map_err(|error| TemplateError::Syntax(explain(&error)))?;
        let globals: BTreeSet<String> = environment
            .globals()
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut named: Vec<String> = environment
            .get_template(Self::NAME)
            .map_err(|error| TemplateError::Syntax(explain(&error)))?
            .undeclared_variables(true)
            .into_iter()
            .collect();
        named.sort();
        if let Some(name) = named
            .into_iter()
            .find(|name| !globals.contains(name) && !vocabulary.knows(name))
        {
            return Err(TemplateError::Unknown {
                name,
                known: vocabulary.0.join(", "),
            });
        }
        Ok(Self {
            environment,
            source: source.to_owned(),
        })
    }

    /// The template as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Fills it in. `facts` is anything that serializes to an object with the names of its vocabulary.
    ///
    /// # Errors
    /// When it names what is not there, or does more work than a template may.
    pub fn render(&self, facts: &impl Serialize) -> Result<String, TemplateError> {
        self.environment
            .get_template(Self::NAME)
            .and_then(|template| template.render(Serde(facts)))
            .map_err(|error| TemplateError::Render(explain(&error)))
    }
}

/// A compiled template of a URL. Values are percent-encoded, so that none of them can change where the URL points.
#[derive(Debug)]
pub struct UrlTemplate {
    template: Template,
    origin: Url,
}

impl UrlTemplate {
    /// Compiles a template of a URL.
    ///
    /// # Errors
    /// What is wrong with it; that its scheme, host and port are not written out, too.
    pub fn parse(source: &str, vocabulary: Vocabulary) -> Result<Self, TemplateError> {
        let literal = source.split("{{").next().unwrap_or_default();
        let literal = literal.split("{%").next().unwrap_or_default();
        let literal = literal.split("{#").next().unwrap_or_default();
        let authority_ends = literal
            .find("://")
            .is_some_and(|at| literal[at + 3..].contains(['/', '?', '#']));
        if literal.len() < source.len() && !authority_ends {
            return Err(TemplateError::HostNotLiteral);
        }
        let origin =
            Url::parse(literal).map_err(|error| TemplateError::NotAUrl(error.to_string()))?;
        if !origin.has_host() {
            return Err(TemplateError::NotAUrl("it has no host".to_owned()));
        }
        let mut environment = strict();
        environment.set_formatter(percent_encode);
        Ok(Self {
            template: Template::with_environment(environment, source, vocabulary)?,
            origin,
        })
    }

    /// Where every URL made of it points: its scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &Url {
        &self.origin
    }

    /// Fills it in.
    ///
    /// # Errors
    /// When it names what is not there, or does more work than a template may.
    pub fn render(&self, facts: &impl Serialize) -> Result<Url, TemplateError> {
        let text = self.template.render(facts)?;
        let url = Url::parse(&text).map_err(|error| TemplateError::NotAUrl(error.to_string()))?;
        // Encoding keeps values from leaving their place; a filter that marks one as safe must not either.
        if url.origin() != self.origin.origin() || url.username() != self.origin.username() {
            return Err(TemplateError::HostNotLiteral);
        }
        Ok(url)
    }
}

fn strict() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment
}

fn percent_encode(
    out: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    if value.is_none() {
        return Ok(());
    }
    let text = value.to_string();
    // "." and ".." mean something in a path even when encoded: %2e%2e is "..", says the URL standard.
    if matches!(text.as_str(), "." | "..") {
        return Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "a value in a URL must not be \".\" or \"..\"",
        ));
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.write_char(char::from(byte))?;
        } else {
            write!(out, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// minijinja's error in one line, with its line in the template.
fn explain(error: &minijinja::Error) -> String {
    match (error.line(), error.detail()) {
        (Some(line), Some(detail)) => format!("line {line}: {detail}"),
        (Some(line), None) => format!("line {line}: {}", error.kind()),
        (None, Some(detail)) => detail.to_owned(),
        (None, None) => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::PulseFacts;

    #[test]
    fn a_persona_is_filled_in() {
        let template = Template::parse(
            "Today is {{ now.date }}. You speak to {{ user.name }}.",
            Vocabulary::PERSONA,
        )
        .unwrap();
        assert_eq!(
            template.render(&PulseFacts::sample()).unwrap(),
            "Today is 2026-11-22. You speak to Ana."
        );
    }

    #[test]
    fn a_name_that_is_not_there_is_refused_before_it_is_used() {
        let error = Template::parse("Hi {{ user.nme }}", Vocabulary::PERSONA).unwrap_err();
        assert!(
            error.to_string().contains("user.nme") && error.to_string().contains("user.name"),
            "{error}"
        );
        assert!(Template::parse("{{ text }}", Vocabulary::PERSONA).is_err());
        assert!(
            Template::parse(
                "{% for i in range(3) %}{{ i }}{% endfor %}",
                Vocabulary::PERSONA
            )
            .is_ok()
        );
    }

    #[test]
    fn a_template_that_is_malformed_says_in_which_line() {
        let error = Template::parse("one\n{{ user.name", Vocabulary::PERSONA).unwrap_err();
        assert!(error.to_string().starts_with("line 2"), "{error}");
    }

    #[test]
    fn a_template_that_would_not_end_is_stopped() {
        let loops =
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        let template = Template::parse(loops, Vocabulary::PERSONA).unwrap();
        assert!(matches!(
            template.render(&PulseFacts::sample()),
            Err(TemplateError::Render(_))
        ));
    }

    #[test]
    fn a_value_cannot_change_where_a_url_points() {
        let template = UrlTemplate::parse(
            "https://crm.example/people/{{ user.id }}?q={{ text }}",
            Vocabulary::SCOUT_URL,
        )
        .unwrap();
        let mut facts = PulseFacts::sample();
        facts.user.id = "../admin?x=1#@evil.example/".to_owned();
        facts.text = "a b&c=d".to_owned();
        assert_eq!(
            template.render(&facts).unwrap().as_str(),
            "https://crm.example/people/..%2Fadmin%3Fx%3D1%23%40evil.example%2F?q=a%20b%26c%3Dd"
        );
        facts.user.id = "..".to_owned();
        assert!(template.render(&facts).is_err());
    }

    #[test]
    fn the_host_must_be_written_out() {
        for source in [
            "https://{{ arguments.host }}/x",
            "https://a.example{{ arguments.host }}/x",
            "{{ arguments.url }}",
            "https://a.example:{{ arguments.port }}/",
            "https://user:{{ arguments.password }}@a.example/",
            "https://{# a #}evil.example/",
        ] {
            assert_eq!(
                UrlTemplate::parse(source, Vocabulary::ACTION_URL).unwrap_err(),
                TemplateError::HostNotLiteral,
                "{source}"
            );
        }
        for source in ["https://", "not a url", "/relative"] {
            assert!(
                UrlTemplate::parse(source, Vocabulary::ACTION_URL).is_err(),
                "{source}"
            );
        }
    }

    #[test]
    fn arguments_may_be_named_freely() {
        let template = UrlTemplate::parse(
            "https://shop.example/orders/{{ arguments.order.id }}",
            Vocabulary::ACTION_URL,
        )
        .unwrap();
        let url = template
            .render(&json!({"arguments": {"order": {"id": 7}}}))
            .unwrap();
        assert_eq!(url.as_str(), "https://shop.example/orders/7");
        assert!(template.render(&json!({"arguments": {}})).is_err());
    }
}
