//! `when`: a CEL expression over a Pulse.

use std::fmt;

use kube::core::cel::{
    KubeCelExt,
    cel::{Context, Program, Value},
};

use crate::facts::PulseFacts;

/// Names a `when` expression may use.
const VARIABLES: [&str; 6] = ["voice", "text", "user", "session", "now", "spirit"];

/// A compiled `when` expression: CEL with Kubernetes' extensions, over [`PulseFacts`].
pub struct When {
    source: String,
    program: Program,
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("When").field(&self.source).finish()
    }
}

/// Why an expression was refused, or could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// It is not CEL.
    #[error("{0}")]
    Syntax(String),
    /// It uses a name that no Pulse has.
    #[error(
        "{0:?} is not known here: an expression may use voice, text, user.id, user.name, session.id, spirit and now (date, time, weekday, hour, minute, iso)"
    )]
    Unknown(String),
    /// It could not be evaluated.
    #[error("it cannot be evaluated: {0}")]
    Evaluation(String),
    /// It is not a yes or no.
    #[error("it must be true or false, and gives {0}")]
    NotABool(String),
}

impl When {
    /// Compiles an expression and tries it on a sample Pulse.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(source: &str) -> Result<Self, WhenError> {
        let program =
            Program::compile(source).map_err(|error| WhenError::Syntax(error.to_string()))?;
        let unknown = program
            .references()
            .variables()
            .into_iter()
            .filter(|name| !VARIABLES.contains(name))
            .min()
            .map(str::to_owned);
        if let Some(name) = unknown {
            return Err(WhenError::Unknown(name));
        }
        let when = Self {
            source: source.to_owned(),
            program,
        };
        when.holds(&PulseFacts::sample())?;
        Ok(when)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it holds for this Pulse.
    ///
    /// # Errors
    /// When it cannot be evaluated; callers take that as "does not hold" and say so.
    pub fn holds(&self, facts: &PulseFacts) -> Result<bool, WhenError> {
        let evaluation = |error: &dyn fmt::Display| WhenError::Evaluation(error.to_string());
        let mut context = Context::default().with_all();
        context.add_variable_from_value("voice", facts.voice.clone());
        context.add_variable_from_value("text", facts.text.clone());
        context.add_variable_from_value("spirit", facts.spirit.clone());
        context
            .add_variable("user", &facts.user)
            .and_then(|()| context.add_variable("session", &facts.session))
            .and_then(|()| context.add_variable("now", &facts.now))
            .map_err(|error| evaluation(&error))?;
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(WhenError::NotABool(other.type_of().to_string())),
            Err(error) => Err(evaluation(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(voice: &str, text: &str) -> PulseFacts {
        PulseFacts {
            voice: voice.to_owned(),
            text: text.to_owned(),
            ..PulseFacts::sample()
        }
    }

    #[test]
    fn an_expression_sees_the_pulse() {
        let when = When::parse("voice == 'wa' && text.matches('(?i)invoice')").unwrap();
        assert!(when.holds(&facts("wa", "My INVOICE please")).unwrap());
        assert!(!when.holds(&facts("wa", "a flat white")).unwrap());
        assert!(!when.holds(&facts("web", "invoice")).unwrap());
        assert!(
            When::parse("now.hour >= 18 && user.name == 'Ana' && session.id.startsWith('web/')")
                .unwrap()
                .holds(&facts("web", ""))
                .unwrap()
        );
    }

    #[test]
    fn what_is_not_cel_is_refused() {
        for source in [
            "voice ==",
            "text.matches('(?i",
            "(",
            "voice == 'wa' &&",
            "'",
            "text.matches('(')",
        ] {
            assert!(When::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn a_name_no_pulse_has_is_refused_by_name() {
        assert_eq!(
            When::parse("channel == 'wa'").unwrap_err(),
            WhenError::Unknown("channel".to_owned())
        );
        assert!(matches!(
            When::parse("user.nme == 'Ana'").unwrap_err(),
            WhenError::Evaluation(_)
        ));
    }

    #[test]
    fn an_expression_that_is_no_yes_or_no_is_refused() {
        assert!(matches!(
            When::parse("text").unwrap_err(),
            WhenError::NotABool(_)
        ));
    }
}
