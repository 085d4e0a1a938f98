//! Texts of characters that mean something to one store or another.

use std::sync::Arc;

use eywa_weave::ports::lore::{Lore, Passage};

use super::{Ask, DIMENSIONS, NOWHERE, ids, passage, tagged};

pub async fn namespaces_are_apart(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let tenants = [
        "",
        "cafe/barista",
        "cafe/barista ",
        "cafe/Barista",
        "cafe/barista2",
        "__default__",
        "*",
        "' or true --",
        "\"}, {\"",
        "café ☕",
        "\\u2615",
        "☕",
    ];
    for tenant in tenants {
        let mut own = passage("a", "menu");
        own.text = format!("of {tenant}");
        lore.put(tenant, &[(own, vec![1.0, 0.0])]).await.unwrap();
    }
    for tenant in tenants {
        let of = Ask {
            namespace: tenant,
            ..Ask::default()
        };
        let matches = of.matches(&*lore).await.unwrap();
        assert_eq!(matches.len(), 1, "{tenant:?} sees {matches:?}");
        assert_eq!(matches[0].passage.text, format!("of {tenant}"));
        assert_eq!(ids(&*lore, tenant, "menu").await.0, ["a"], "{tenant:?}");
    }
    for (removed, tenant) in tenants.iter().enumerate() {
        lore.remove(tenant, &["a"]).await.unwrap();
        for (place, tenant) in tenants.iter().enumerate() {
            let left = ids(&*lore, tenant, "menu").await.0.len();
            assert_eq!(left, usize::from(place > removed), "{tenant:?}");
        }
    }
}

/// Keys and values that mean something to one store or another.
const ODD: [&str; 20] = [
    "",
    " ",
    "two words",
    " before and after ",
    "UPPER",
    "upper",
    "a.b",
    "a[0]",
    "a[]",
    "$eq",
    "_id",
    "id",
    "text",
    "=",
    "it's",
    "\"quoted\"",
    "back\\slash \\u2615",
    "line\nbreak\ttab\r",
    "größe",
    "☕ 🥐 👩‍🍳 \u{10FFFF}",
];

pub async fn a_passage_comes_back_to_the_letter(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let odd = Passage {
        // The whole of printable ASCII.
        id: (' '..='~').collect(),
        set: format!("set {}", ODD.join(", ")),
        source: format!("https://example.com/?q={}#☕", ODD.join("&")),
        text: ODD.join("\n").repeat(40),
        metadata: (ODD.iter().zip(ODD.iter().rev()))
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let empty = Passage {
        id: "~".to_owned(),
        ..Passage::default()
    };
    let both = [
        (odd.clone(), vec![1.0, 0.0]),
        (empty.clone(), vec![0.0, 1.0]),
    ];
    lore.put(NOWHERE, &both).await.unwrap();
    let matches = Ask::default().matches(&*lore).await.unwrap();
    let found: Vec<&Passage> = matches.iter().map(|found| &found.passage).collect();
    assert_eq!(found, [&odd, &empty]);
    assert_eq!(
        ids(&*lore, NOWHERE, &odd.set).await.0,
        [odd.id.as_str()],
        "a set of odd characters"
    );
    assert_eq!(ids(&*lore, NOWHERE, "").await.0, ["~"]);
    lore.remove(NOWHERE, &[&odd.id]).await.unwrap();
    assert_eq!(Ask::default().of(&*lore).await, ["~"]);
}

pub async fn a_filter_is_data(lore: Arc<impl Lore>) {
    lore.prepare(DIMENSIONS).await.unwrap();
    let mut kept = vec![tagged("plain", &[("lang", "de")])];
    for (place, odd) in ODD.iter().enumerate() {
        kept.push(tagged(&format!("key{place:02}"), &[(odd, "value")]));
        kept.push(tagged(&format!("value{place:02}"), &[("key", odd)]));
    }
    lore.put(NOWHERE, &kept).await.unwrap();
    let by = async |filter: &[(&str, &str)]| {
        let asked = Ask {
            filter,
            top_k: 50,
            ..Ask::default()
        };
        asked.of(&*lore).await
    };
    for (place, odd) in ODD.iter().enumerate() {
        assert_eq!(by(&[(odd, "value")]).await, [format!("key{place:02}")]);
        assert_eq!(by(&[("key", odd)]).await, [format!("value{place:02}")]);
    }
    for attempt in [
        "de' or true or '1'='1",
        "de\" or \"1\"=\"1",
        "de\"}]}) {x} } #",
        "de\\",
        "%",
        "*",
        "d_",
        "{\"$exists\": true}",
    ] {
        assert!(by(&[("lang", attempt)]).await.is_empty(), "{attempt}");
        assert!(by(&[(attempt, "de")]).await.is_empty(), "{attempt}");
    }
    assert_eq!(by(&[]).await.len(), kept.len(), "nothing was harmed");
}
