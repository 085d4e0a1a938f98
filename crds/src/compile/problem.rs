//! What is wrong with a Spirit or a Conduit, for whoever can fix it.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The object it is in, as `Kind/name`.
    pub object: String,
    /// The field it is in, such as `spec.oracle.apiKey.secretRef`.
    pub field: String,
    /// What is wrong, for machines.
    pub reason: ProblemReason,
    /// What is wrong and what to do, for people. It names the thing that is meant, and never holds a secret.
    pub message: String,
    /// The condition of the Spirit that it makes false.
    pub condition: ConditionType,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.object, self.field, self.message)
    }
}

/// What is wrong, for machines: the reason of a condition. These names are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ProblemReason {
    /// A Secret is not there.
    SecretNotFound,
    /// A Secret lacks a key.
    SecretKeyMissing,
    /// A ConfigMap is not there.
    ConfigMapNotFound,
    /// A ConfigMap lacks a key.
    ConfigMapKeyMissing,
    /// A Conduit is not there.
    ConduitNotFound,
    /// A Spirit that is routed to is not there.
    SpiritNotFound,
    /// Routes lead back to a Spirit that they come from.
    RouteCycle,
    /// A URL points where requests may not go.
    AddressNotAllowed,
    /// A URL is malformed.
    UrlInvalid,
    /// A template is malformed, or names what is not there.
    TemplateInvalid,
    /// A `when` expression is malformed, or names what is not there.
    ExpressionInvalid,
    /// A tool's parameters are not a JSON Schema of an object.
    SchemaInvalid,
    /// A scripted Oracle's script is malformed.
    ScriptInvalid,
    /// There is nowhere to keep state.
    StoresMissing,
    /// The spec breaks a rule that the API server would have refused it for.
    SpecInvalid,
}

impl ProblemReason {
    /// Its name, as conditions and Events write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::ConfigMapNotFound => "ConfigMapNotFound",
            Self::ConfigMapKeyMissing => "ConfigMapKeyMissing",
            Self::ConduitNotFound => "ConduitNotFound",
            Self::SpiritNotFound => "SpiritNotFound",
            Self::RouteCycle => "RouteCycle",
            Self::AddressNotAllowed => "AddressNotAllowed",
            Self::UrlInvalid => "UrlInvalid",
            Self::TemplateInvalid => "TemplateInvalid",
            Self::ExpressionInvalid => "ExpressionInvalid",
            Self::SchemaInvalid => "SchemaInvalid",
            Self::ScriptInvalid => "ScriptInvalid",
            Self::StoresMissing => "StoresMissing",
            Self::SpecInvalid => "SpecInvalid",
        }
    }
}

/// A condition of a Spirit that compiling it may make false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ConditionType {
    /// The spec is sound.
    Accepted,
    /// Every Secret it refers to is there, with its keys.
    SecretsResolved,
    /// Every Conduit it uses is there and usable.
    ConduitsReady,
}

impl ConditionType {
    /// Its name, as the status writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::SecretsResolved => "SecretsResolved",
            Self::ConduitsReady => "ConduitsReady",
        }
    }
}

/// Gathers what is wrong with one object.
pub(crate) struct Problems {
    object: String,
    condition: ConditionType,
    found: Vec<Problem>,
}

impl Problems {
    /// `condition` is the one that is false when the object itself is unsound.
    pub(crate) fn of(kind: &str, name: &str, condition: ConditionType) -> Self {
        Self {
            object: format!("{kind}/{name}"),
            condition,
            found: Vec::new(),
        }
    }

    pub(crate) fn push(
        &mut self,
        field: impl Into<String>,
        reason: ProblemReason,
        message: impl Into<String>,
    ) {
        let condition = match reason {
            ProblemReason::SecretNotFound | ProblemReason::SecretKeyMissing => {
                ConditionType::SecretsResolved
            }
            ProblemReason::ConduitNotFound => ConditionType::ConduitsReady,
            _ => self.condition,
        };
        self.found.push(Problem {
            object: self.object.clone(),
            field: field.into(),
            reason,
            message: one_line(message.into()),
            condition,
        });
    }

    pub(crate) fn extend(&mut self, others: Vec<Problem>) {
        self.found.extend(others);
    }

    pub(crate) fn into_found(self) -> Vec<Problem> {
        self.found
    }
}

/// Parsers draw arrows under what they do not like; a condition's message has one line.
fn one_line(message: String) -> String {
    if !message.contains('\n') {
        return message;
    }
    let lines = message.lines().map(str::trim);
    let words: Vec<&str> = lines
        .filter(|line| !line.bytes().all(|byte| byte == b'^'))
        .collect();
    words.join(" ")
}
