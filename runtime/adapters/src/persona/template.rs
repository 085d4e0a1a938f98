//! A persona that is a minijinja template.

use eywa_crds::template::{Template, TemplateError, Vocabulary};
use eywa_weave::spirit::{Facts, NotApplicable, Persona};

use crate::facts;

/// A persona with places for what is known: `now`, `user`, `session`, `voice` and `spirit`. The language is the one that
/// manifests are checked with.
#[derive(Debug)]
pub struct TemplatePersona(Template);

impl TemplatePersona {
    /// Compiles a template.
    ///
    /// # Errors
    /// When it is malformed, or names what no persona knows.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        Template::parse(source, Vocabulary::PERSONA).map(Self)
    }
}

impl Persona for TemplatePersona {
    fn render(&self, facts: Facts<'_>) -> Result<String, NotApplicable> {
        self.0
            .render(&facts::known(facts))
            .map_err(|error| NotApplicable(format!("the persona cannot be rendered: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use eywa_weave::SpiritName;

    use super::*;

    #[test]
    fn a_persona_knows_the_person_the_moment_and_the_voice() {
        let persona = "It is {{ now.weekday }} {{ now.date }}. {{ spirit }} speaks to {{ user.name }} ({{ user.id }}) on {{ voice }}.";
        let persona = TemplatePersona::parse(persona).unwrap();
        let (pulse, spirit) = (facts::tests::pulse("hi"), SpiritName::from("barista"));
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let text = persona
            .render(Facts {
                pulse: &pulse,
                spirit: &spirit,
                now,
            })
            .unwrap();
        // At noon in UTC most places have the same date; the time zone is the machine's.
        assert!(text.starts_with("It is "), "{text}");
        assert!(
            text.ends_with("barista speaks to Ana (5511999990000) on wa."),
            "{text}"
        );
    }

    #[test]
    fn a_name_that_is_written_like_a_template_stays_text() {
        let persona = TemplatePersona::parse("You speak to {{ user.name }}.").unwrap();
        let mut pulse = facts::tests::pulse("hi");
        pulse.user.name = Some("{{ 7 * 7 }}".to_owned());
        let spirit = SpiritName::from("barista");
        let facts = Facts {
            pulse: &pulse,
            spirit: &spirit,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(persona.render(facts).unwrap(), "You speak to {{ 7 * 7 }}.");
    }

    #[test]
    fn a_persona_that_names_the_unknown_is_refused() {
        assert!(
            TemplatePersona::parse("Hi {{ user.nme }}")
                .unwrap_err()
                .to_string()
                .contains("user.nme")
        );
    }
}
