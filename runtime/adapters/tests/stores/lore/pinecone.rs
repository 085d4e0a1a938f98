//! Lore in Pinecone, on a stand-in that answers as Pinecone documents.
//!
//! Sources: Pinecone's OpenAPI document of the data plane (pinecone-io/pinecone-api, 2026-04/db_data_2026-04.oas.yaml), its
//! page of operation limits, and the texts of errors as users quote them (probots-io/pinecone-php#15 for vectors of
//! another length, pinecone-io/pinecone-ts-client#23 for a request that is too long).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use eywa_adapters::lore::PineconeLore;
use eywa_weave::ports::lore::{Lore, LoreError, Passage};
use serde_json::{Value, json};

use super::{
    client, nearest, one, rejected,
    standin::{Answer, Asked, StandIn, cosine, numbers, only},
    unavailable,
};
use crate::suites::{
    self,
    lore::{DIMENSIONS, passage},
};

const KEY: &str = "fake-pinecone-key";

const MOST_BYTES: usize = 2 * 1024 * 1024;
const MOST_METADATA: usize = 40 * 1024;

/// A vector and its metadata.
type Record = (Vec<f64>, Value);

#[derive(Default)]
struct Index {
    gone: bool,
    metric: Option<&'static str>,
    namespaces: BTreeMap<String, BTreeMap<String, Record>>,
}

fn no(status: u16, code: u8, message: impl Into<String>) -> Answer {
    let message = message.into();
    (
        status,
        json!({ "code": code, "message": message, "details": [] }),
    )
}

fn namespace_of(body: &Value) -> String {
    let name = body["namespace"].as_str().unwrap().to_owned();
    assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
    match name.as_str() {
        "__default__" => String::new(),
        _ => name,
    }
}

fn answer(index: &mut Index, asked: &Asked) -> Answer {
    assert_eq!(asked.header("x-pinecone-api-version"), "2026-04");
    if asked.header("api-key") != KEY {
        return (401, "Unauthorized".into());
    }
    if index.gone {
        return (404, "".into());
    }
    if asked.length > MOST_BYTES {
        return no(
            400,
            3,
            "Your request is larger than the maximum supported size - 2MB. Please try to reduce your batch size.",
        );
    }
    match asked.line() {
        ("POST", path) if path == ["describe_index_stats"] => {
            let dimension = DIMENSIONS;
            let metric = index.metric.unwrap_or("cosine");
            (
                200,
                json!({ "namespaces": {}, "dimension": dimension, "indexFullness": 0, "totalVectorCount": 0, "metric": metric, "vectorType": "dense" }),
            )
        }
        ("POST", path) if path == ["vectors", "upsert"] => index.upsert(&asked.body),
        ("POST", path) if path == ["vectors", "delete"] => {
            only(&asked.body, &["namespace", "ids"]);
            let ids = asked.body["ids"].as_array().unwrap();
            assert!((1..=1000).contains(&ids.len()), "{} ids", ids.len());
            let Some(records) = index.namespaces.get_mut(&namespace_of(&asked.body)) else {
                return no(404, 5, "Namespace not found");
            };
            for id in ids {
                records.remove(id.as_str().unwrap());
            }
            (200, json!({}))
        }
        ("POST", path) if path == ["query"] => index.query(&asked.body),
        ("POST", path) if path == ["vectors", "fetch_by_metadata"] => index.fetch(&asked.body),
        (method, path) => no(404, 5, format!("{method} {path:?}")),
    }
}

/// `$and`, `$in` and `$eq`, of which a list has what is in it.
fn lets(filter: &Value, metadata: &Value) -> bool {
    if let Some(all) = filter.get("$and") {
        only(filter, &["$and"]);
        return all.as_array().unwrap().iter().all(|it| lets(it, metadata));
    }
    filter
        .as_object()
        .unwrap()
        .iter()
        .all(|(field, operators)| {
            only(operators, &["$in", "$eq"]);
            let wanted = match operators.get("$eq") {
                Some(one) => vec![one.clone()],
                None => operators["$in"].as_array().unwrap().clone(),
            };
            match &metadata[field] {
                Value::Array(values) => values.iter().any(|value| wanted.contains(value)),
                one => wanted.contains(one),
            }
        })
}

impl Index {
    fn upsert(&mut self, body: &Value) -> Answer {
        only(body, &["namespace", "vectors"]);
        let vectors = body["vectors"].as_array().unwrap();
        assert!((1..=1000).contains(&vectors.len()), "{}", vectors.len());
        let records = self.namespaces.entry(namespace_of(body)).or_default();
        for vector in vectors {
            only(vector, &["id", "values", "metadata"]);
            let values = numbers(&vector["values"]);
            if values.len() != DIMENSIONS {
                return wrong(values.len());
            }
            let metadata = &vector["metadata"];
            let length = metadata.to_string().len();
            if length > MOST_METADATA {
                return no(
                    400,
                    3,
                    format!(
                        "Metadata size is {length} bytes, which exceeds the limit of {MOST_METADATA} bytes per vector"
                    ),
                );
            }
            for value in metadata.as_object().unwrap().values() {
                let texts = value
                    .as_array()
                    .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string));
                assert!(value.is_string() || texts, "{value} is no metadata");
            }
            let id = vector["id"].as_str().unwrap();
            assert!(id.is_ascii() && (1..=512).contains(&id.len()), "{id}");
            records.insert(id.to_owned(), (values, metadata.clone()));
        }
        (200, json!({ "upsertedCount": vectors.len() }))
    }

    fn query(&self, body: &Value) -> Answer {
        let fields = [
            "namespace",
            "vector",
            "topK",
            "filter",
            "includeMetadata",
            "includeValues",
        ];
        only(body, &fields);
        let vector = numbers(&body["vector"]);
        if vector.len() != DIMENSIONS {
            return wrong(vector.len());
        }
        let top_k = body["topK"].as_u64().unwrap();
        assert!((1..=10_000).contains(&top_k), "{top_k}");
        let nobody = BTreeMap::new();
        let records = self.namespaces.get(&namespace_of(body)).unwrap_or(&nobody);
        // Equals in an order of the server's own.
        let mut found: Vec<_> = (records.iter().rev())
            .filter(|(_, (_, metadata))| {
                body.get("filter")
                    .is_none_or(|filter| lets(filter, metadata))
            })
            .map(|(id, (values, metadata))| (cosine(&vector, values), id, metadata))
            .collect();
        found.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        found.truncate(top_k as usize);
        let matches: Vec<Value> = found
            .into_iter()
            .map(|(score, id, metadata)| {
                json!({ "id": id, "score": score as f32, "values": [], "metadata": metadata })
            })
            .collect();
        (
            200,
            json!({ "results": [], "matches": matches, "namespace": body["namespace"], "usage": { "readUnits": 5 } }),
        )
    }

    fn fetch(&self, body: &Value) -> Answer {
        only(body, &["namespace", "filter", "limit", "paginationToken"]);
        let limit = body["limit"].as_u64().unwrap() as usize;
        let Some(records) = self.namespaces.get(&namespace_of(body)) else {
            return no(404, 5, "Namespace not found");
        };
        let after = body["paginationToken"].as_str().unwrap_or_default();
        let mut found = records
            .range(after.to_owned()..)
            .filter(|(id, (_, metadata))| **id != after && lets(&body["filter"], metadata));
        let fetched: Vec<_> = found.by_ref().take(limit).collect();
        let vectors: BTreeMap<&String, Value> = (fetched.iter())
            .map(|(id, (values, metadata))| {
                (
                    *id,
                    json!({ "id": id, "values": values, "metadata": metadata }),
                )
            })
            .collect();
        let mut answer = json!({ "vectors": vectors, "namespace": body["namespace"], "usage": { "readUnits": 1 } });
        if found.next().is_some() {
            answer["pagination"] = json!({ "next": fetched.last().unwrap().0 });
        }
        (200, answer)
    }
}

fn wrong(length: usize) -> Answer {
    no(
        400,
        3,
        format!("Vector dimension {length} does not match the dimension of the index {DIMENSIONS}"),
    )
}

async fn stand_in() -> (StandIn, Arc<Mutex<Index>>) {
    let index: Arc<Mutex<Index>> = Arc::default();
    let kept = index.clone();
    let stand_in = StandIn::serve(move |asked| answer(&mut kept.lock().unwrap(), asked)).await;
    (stand_in, index)
}

fn lore(stand_in: &StandIn) -> PineconeLore {
    PineconeLore::new(client(), stand_in.url.clone(), Some(KEY.into()))
}

suites::lore_suite!(async || Arc::new(lore(&stand_in().await.0)));

#[tokio::test]
async fn an_index_that_is_not_there_is_told_with_how_to_make_it() {
    let (stand_in, index) = stand_in().await;
    index.lock().unwrap().gone = true;
    let lore = lore(&stand_in);
    for missing in [
        lore.check(2).await,
        lore.prepare(2).await,
        lore.put("", &one("a")).await,
        lore.remove("", &["a"]).await,
        lore.ids("", "menu", None).await.map(drop),
        nearest(&lore, &[1.0, 0.0], 1).await.map(drop),
    ] {
        let missing = missing.unwrap_err();
        assert!(matches!(missing, LoreError::Missing { .. }), "{missing:?}");
        assert!(missing.to_string().contains("console"), "{missing}");
    }
}

#[tokio::test]
async fn an_index_of_another_metric_is_unfit() {
    let (stand_in, index) = stand_in().await;
    index.lock().unwrap().metric = Some("dotproduct");
    let unfit = lore(&stand_in).prepare(2).await.unwrap_err();
    assert!(matches!(unfit, LoreError::Unfit { .. }), "{unfit:?}");
    assert!(unfit.to_string().contains("dotproduct"), "{unfit}");
    stand_in.instead(
        200,
        r#"{"namespaces":{},"vectorType":"sparse","metric":"cosine"}"#,
    );
    let unfit = lore(&stand_in).check(2).await.unwrap_err().to_string();
    assert!(unfit.contains("no dense vectors"), "{unfit}");
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_told_without_the_key() {
    let (stand_in, _) = stand_in().await;
    let stranger = PineconeLore::new(client(), stand_in.url.clone(), None);
    let refused = stranger.check(2).await.unwrap_err();
    assert!(matches!(refused, LoreError::Refused { .. }), "{refused:?}");
    let lore = lore(&stand_in);
    stand_in.instead(403, r#"{"error":{"code":"FORBIDDEN","message":"fake-pinecone-key is of another project"},"status":403}"#);
    let refused = nearest(&lore, &[1.0, 0.0], 1).await.unwrap_err();
    let told = format!("{refused} {refused:?} {lore:?}");
    assert!(told.contains("another project"), "{told}");
    assert!(!told.contains(KEY), "{told}");
}

#[tokio::test]
async fn what_it_cannot_take_now_or_ever_is_told_in_its_own_words() {
    let (stand_in, _) = stand_in().await;
    let lore = lore(&stand_in);
    stand_in.instead_with(429, ("retry-after", "3"));
    let told = unavailable(lore.put("", &one("a")).await);
    assert!(told.contains("429") && told.contains("3 s"), "{told}");
    let mut long = one("a");
    long[0].0.text = "x".repeat(50_000);
    let told = rejected(lore.put("", &long).await);
    assert!(told.contains("exceeds the limit of 40960 bytes"), "{told}");
}

#[tokio::test]
async fn much_is_put_in_requests_that_it_takes() {
    let (stand_in, index) = stand_in().await;
    let lore = lore(&stand_in);
    let long: Vec<(Passage, Vec<f32>)> = (0..300)
        .map(|number| {
            let mut passage = passage(&format!("p{number}"), "menu");
            passage.text = "x".repeat(30_000);
            (passage, vec![1.0, 0.0])
        })
        .collect();
    lore.put("", &long).await.unwrap();
    let short: Vec<(Passage, Vec<f32>)> = (0..1500)
        .map(|number| (passage(&format!("s{number}"), "menu"), vec![1.0, 0.0]))
        .collect();
    lore.put("", &short).await.unwrap();
    assert_eq!(index.lock().unwrap().namespaces[""].len(), 1800);
    let ids: Vec<String> = (0..1500).map(|number| format!("s{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    lore.remove("", &ids).await.unwrap();
    assert_eq!(index.lock().unwrap().namespaces[""].len(), 300);
}
