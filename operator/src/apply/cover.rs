//! Does a live object already say everything that is wanted of it?

use serde_json::Value;

/// True when every field of `wanted` is in `live` with the same meaning. What `live` has beyond that (defaults that
/// the API server filled in, other managers' fields) does not matter, except in lists: they must be equally long.
pub fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| match live.get(key) {
                Some(live) => covers(live, wanted),
                None => is_nothing(wanted),
            })
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| covers(live, wanted))
        }
        (Value::String(live), Value::String(wanted)) => {
            live == wanted || same_quantity(live, wanted)
        }
        // A quantity written as a number comes back as a string.
        (Value::String(live), Value::Number(wanted)) => same_quantity(live, &wanted.to_string()),
        (live, wanted) => live == wanted,
    }
}

/// What the API server does not keep: null, and empty maps and lists.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// The API server rewrites quantities in their shortest form: `1000m` becomes `1`, `1024Mi` becomes `1Gi`.
fn same_quantity(live: &str, wanted: &str) -> bool {
    match (quantity(live), quantity(wanted)) {
        (Some(live), Some(wanted)) => live == wanted,
        _ => false,
    }
}

/// A Kubernetes quantity in thousandths, the finest that resources are counted in here.
fn quantity(text: &str) -> Option<i128> {
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let thousandths: i128 = match suffix {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 15 || fraction.len() > 9 {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some(digits * thousandths / scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_of_the_api_server_do_not_count_as_changes() {
        let wanted = json!({"spec": {"ports": [{"port": 80}], "labels": {}, "extra": null}});
        let live = json!({"metadata": {"uid": "1"}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "type": "ClusterIP"}});
        assert!(covers(&live, &wanted));
    }

    #[test]
    fn an_edit_by_hand_is_a_change() {
        let wanted = json!({"spec": {"ports": [{"port": 80}]}});
        assert!(!covers(
            &json!({"spec": {"ports": [{"port": 81}]}}),
            &wanted
        ));
        assert!(!covers(
            &json!({"spec": {"ports": [{"port": 80}, {"port": 81}]}}),
            &wanted
        ));
        assert!(!covers(&json!({"spec": {}}), &wanted));
    }

    #[test]
    fn quantities_are_compared_by_their_amount() {
        for (live, wanted) in [
            ("1", "1000m"),
            ("1Gi", "1024Mi"),
            ("500m", "0.5"),
            ("1500m", "1.5"),
            ("2k", "2000"),
        ] {
            assert!(covers(&json!(live), &json!(wanted)), "{live} is {wanted}");
        }
        for (live, wanted) in [
            ("1", "2"),
            ("1Gi", "1G"),
            ("a", "b"),
            ("1Gi", "1Gib"),
            ("", "0"),
        ] {
            assert!(
                !covers(&json!(live), &json!(wanted)),
                "{live} is not {wanted}"
            );
        }
        assert!(covers(&json!("2"), &json!(2)));
    }
}
