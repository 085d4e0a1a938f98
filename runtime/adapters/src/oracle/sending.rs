//! Which attachments a model is sent.

use super::wire::files::Limits;

/// Which attachments a model is sent. What it is not sent is named in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sending {
    /// Images and PDFs, as far as the provider takes them.
    #[default]
    All,
    /// Images alone.
    Images,
    /// Nothing: for a model that only reads.
    Nothing,
}

impl Sending {
    /// What remains of a provider's limits.
    pub(super) fn of(self, limits: Limits) -> Limits {
        match self {
            Self::All => limits,
            Self::Images => Limits {
                pdf: false,
                ..limits
            },
            Self::Nothing => Limits {
                pdf: false,
                images: &[],
                ..limits
            },
        }
    }
}
