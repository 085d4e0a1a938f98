//! Why a configuration cannot be run.

use eywa_weave::weave::BuildError;

use crate::secrets::MissingSecret;

/// A configuration cannot be run as it is.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A secret value is missing.
    #[error(transparent)]
    Secret(#[from] MissingSecret),
    /// It names an adapter that this program was built without.
    #[error(
        "the Spirit {spirit} uses {what}, which this build does not have: build it with the cargo feature {feature}"
    )]
    NotBuiltIn {
        /// The Spirit.
        spirit: String,
        /// The adapter, as the manifest writes it.
        what: String,
        /// The feature that has it.
        feature: &'static str,
    },
    /// A field does not hold what it should. The compiler of manifests refuses such a one, so the file was written by
    /// another release, or by hand.
    #[error("the Spirit {spirit}, {field}: {reason}")]
    Invalid {
        /// The Spirit.
        spirit: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A port is missing.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl WireError {
    pub(super) fn invalid(spirit: &str, field: impl Into<String>, reason: impl ToString) -> Self {
        Self::Invalid {
            spirit: spirit.to_owned(),
            field: field.into(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn no_front(front: &str) -> Self {
        Self::invalid(
            front,
            "front",
            "the configuration has no Spirit of this name",
        )
    }

    #[allow(dead_code, reason = "every adapter may be built in")]
    pub(super) fn not_built_in(
        spirit: &str,
        what: impl Into<String>,
        feature: &'static str,
    ) -> Self {
        Self::NotBuiltIn {
            spirit: spirit.to_owned(),
            what: what.into(),
            feature,
        }
    }
}
