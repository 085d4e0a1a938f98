//! Whose keys are whose.

use std::{fmt, sync::Arc};

/// The keys of one Spirit: nobody else's stores touch them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    prefix: Arc<str>,
}

impl Scope {
    /// The keys of the Spirit of this name in this namespace. Both are names of Kubernetes objects: letters, digits, `-`
    /// and `.`.
    #[must_use]
    pub fn new(namespace: &str, spirit: &str) -> Self {
        Self {
            prefix: format!("eywa:{{{namespace}/{spirit}}}:").into(),
        }
    }

    /// The one key of a kind.
    pub(crate) fn only(&self, kind: &str) -> String {
        format!("{}{kind}", self.prefix)
    }

    /// The key of a kind for `of`, which may hold any characters: a kind holds no colon, so no two keys are the same.
    pub(crate) fn of(&self, kind: &str, of: impl fmt::Display) -> String {
        format!("{}{kind}:{of}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_spirit_has_one_hash_tag() {
        let scope = Scope::new("cafe", "barista");
        assert_eq!(scope.only("inbox"), "eywa:{cafe/barista}:inbox");
        // The first braces count, so a sender cannot move a key to another node.
        assert_eq!(
            scope.of("bond", "web/{x}"),
            "eywa:{cafe/barista}:bond:web/{x}"
        );
    }

    #[test]
    fn a_namespace_and_a_spirit_are_not_mixed_up() {
        assert_ne!(Scope::new("a-b", "c"), Scope::new("a", "b-c"));
    }
}
