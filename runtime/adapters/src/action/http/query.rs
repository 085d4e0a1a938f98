//! The query of a request.

use serde_json::Value;
use url::Url;

/// Adds to the query: texts, numbers and truths as they are, each item of a list by itself, what is deeper as JSON. Null is
/// left out.
pub(super) fn add(url: &mut Url, arguments: &Value) {
    let Value::Object(arguments) = arguments else {
        return;
    };
    if arguments.is_empty() {
        return;
    }
    let mut query = url.query_pairs_mut();
    for (name, value) in arguments {
        for item in value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice)
        {
            match item {
                Value::Null => {}
                Value::String(text) => drop(query.append_pair(name, text)),
                other => drop(query.append_pair(name, &other.to_string())),
            }
        }
    }
}
