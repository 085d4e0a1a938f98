//! The names of tools, as every provider takes them.

use std::{borrow::Cow, sync::Arc};

use eywa_weave::tool::ToolSpec;

/// The longest name that every provider takes.
const LONGEST_NAME: usize = 64;

/// The longest id of a call that OpenAI takes.
const LONGEST_ID: usize = 40;

/// The name of a tool as the formats allow it: letters, digits, `_` and `-`, at most 64. MCP allows more. A name that
/// has to change gets a hash of the whole, so that it stays the same from request to request, and unique.
pub(in crate::oracle) fn wire_name(name: &str) -> Cow<'_, str> {
    fitted(name, LONGEST_NAME)
}

/// The id of a call for OpenAI, which refuses one of more than 40 characters; vLLM makes longer ones.
pub(in crate::oracle) fn wire_id(id: &str) -> Cow<'_, str> {
    // Shorter ones go as they are: other servers of its format may look for what they made.
    if id.len() <= LONGEST_ID {
        return Cow::Borrowed(id);
    }
    fitted(id, LONGEST_ID)
}

fn fitted(name: &str, longest: usize) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= longest && name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let suffix = format!("_{:08x}", fnv1a(name.as_bytes()));
    let mut wire: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .take(longest - suffix.len())
        .collect();
    wire.push_str(&suffix);
    Cow::Owned(wire)
}

/// The name that a called tool has here; the called name when there is no such tool.
pub(in crate::oracle) fn own_name(wire: String, tools: &[Arc<ToolSpec>]) -> String {
    match tools.iter().find(|tool| wire_name(&tool.name) == wire) {
        Some(tool) => tool.name.clone(),
        None => wire,
    }
}

/// FNV-1a, 32 bits: the standard library promises nothing about its own hash from one version to the next.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_is_cut_and_stays_another_than_its_like() {
        assert_eq!(wire_id("functions.menu:0"), "functions.menu:0");
        let long = |last| format!("chatcmpl-tool-{}{last}", "0".repeat(31));
        let (one, other) = (long('1'), long('2'));
        let (one, other) = (wire_id(&one), wire_id(&other));
        assert_eq!((one.len(), other.len()), (40, 40));
        assert_ne!(one, other);
    }

    #[test]
    fn a_name_that_the_formats_refuse_becomes_one_that_they_take() {
        assert_eq!(wire_name("place_order-2"), "place_order-2");
        let names = [
            "shop.refund",
            "shop/refund",
            "",
            "ação",
            &"x".repeat(65),
            &"y".repeat(128),
        ];
        let wire: std::collections::HashSet<String> = names
            .iter()
            .map(|name| wire_name(name).into_owned())
            .collect();
        assert_eq!(wire.len(), names.len(), "two tools have one name: {wire:?}");
        for name in wire {
            assert!(
                name.len() <= 64
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)),
                "{name}"
            );
        }
    }
}
