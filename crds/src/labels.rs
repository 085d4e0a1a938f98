//! The labels of what is made for a Spirit.

use std::collections::BTreeMap;

/// The label that names the Spirit, on everything that is made for it.
pub const SPIRIT: &str = "eywa.dev/spirit";

/// The label that names the program.
pub const NAME: &str = "app.kubernetes.io/name";

/// The value of [`NAME`] of the pods that serve Spirits. Those of a Lore Job are of the Spirit, too, and have another.
pub const RUNTIME: &str = "eywa-runtime";

/// The labels by which the pods that serve `spirit` are told from all others. They never change.
#[must_use]
pub fn runtime_pods(spirit: &str) -> BTreeMap<String, String> {
    BTreeMap::from(
        [(NAME, RUNTIME), (SPIRIT, spirit)]
            .map(|(label, value)| (label.to_owned(), value.to_owned())),
    )
}

/// The same as a label selector, as `kubectl get pods -l` takes it.
#[must_use]
pub fn runtime_pods_selector(spirit: &str) -> String {
    format!("{NAME}={RUNTIME},{SPIRIT}={spirit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selector_asks_for_exactly_the_labels() {
        let labels = runtime_pods("barista");
        let pairs: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}={value}"))
            .collect();
        assert_eq!(runtime_pods_selector("barista"), pairs.join(","));
    }
}
