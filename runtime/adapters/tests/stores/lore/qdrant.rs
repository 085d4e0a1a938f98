//! Lore in Qdrant, on a stand-in that answers as Qdrant documents.
//!
//! Sources: Qdrant's OpenAPI document (qdrant/qdrant, docs/redoc/v1.19.x/openapi.json); the texts of errors as users quote
//! them (qdrant/qdrant-client#463 for a body that is too long, qdrant/qdrant#2312 for vectors of another length).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use eywa_adapters::lore::QdrantLore;
use eywa_weave::ports::lore::{Lore, LoreError, Passage};
use serde_json::{Value, json};

use super::{
    client, nearest, one,
    standin::{Answer, Asked, StandIn, cosine, numbers, only},
    unavailable,
};
use crate::suites::{self, lore::passage};

const KEY: &str = "fake-qdrant-key";

/// What Qdrant takes in one request unless told otherwise.
const MOST_BYTES: usize = 32 * 1024 * 1024;

#[derive(Default)]
struct Collection {
    size: usize,
    distance: String,
    indexes: BTreeSet<String>,
    points: BTreeMap<String, (Vec<f64>, Value)>,
}

type Collections = BTreeMap<String, Collection>;

fn fine(result: Value) -> Answer {
    (
        200,
        json!({ "result": result, "status": "ok", "time": 0.001 }),
    )
}

fn no(status: u16, error: impl Into<String>) -> Answer {
    let error = error.into();
    (status, json!({ "status": { "error": error }, "time": 0.0 }))
}

fn answer(collections: &mut Collections, asked: &Asked) -> Answer {
    if asked.header("api-key") != KEY {
        return (
            401,
            "Must provide an API key or an Authorization bearer token".into(),
        );
    }
    if asked.length > MOST_BYTES {
        let length = asked.length;
        return no(
            400,
            format!(
                "Payload error: JSON payload ({length} bytes) is larger than allowed (limit: {MOST_BYTES} bytes)."
            ),
        );
    }
    let (method, path) = asked.line();
    let name = path.get(1).copied().unwrap_or_default().to_owned();
    if (method, path.as_slice()) == ("PUT", &["collections", &name]) {
        only(&asked.body, &["vectors"]);
        if collections.contains_key(&name) {
            return no(
                409,
                format!("Wrong input: Collection `{name}` already exists!"),
            );
        }
        let vectors = &asked.body["vectors"];
        only(vectors, &["size", "distance"]);
        let made = Collection {
            size: vectors["size"].as_u64().unwrap() as usize,
            distance: vectors["distance"].as_str().unwrap().to_owned(),
            ..Collection::default()
        };
        collections.insert(name, made);
        return fine(true.into());
    }
    let Some(collection) = collections.get_mut(&name) else {
        return no(
            404,
            format!("Not found: Collection `{name}` doesn't exist!"),
        );
    };
    match (method, &path[2..]) {
        ("GET", []) => fine(json!({
            "status": "green",
            "points_count": collection.points.len(),
            "config": { "params": {
                "vectors": { "size": collection.size, "distance": collection.distance },
                "shard_number": 1,
            } },
        })),
        ("PUT", ["index"]) => {
            only(&asked.body, &["field_name", "field_schema"]);
            assert_eq!(asked.body["field_schema"]["type"], "keyword");
            let field = asked.body["field_name"].as_str().unwrap();
            collection.indexes.insert(field.to_owned());
            fine(json!({ "operation_id": 1, "status": "completed" }))
        }
        ("PUT", ["points"]) => collection.upsert(asked),
        ("POST", ["points", "delete"]) => {
            assert_eq!(asked.query, "wait=true");
            only(&asked.body, &["points"]);
            for id in asked.body["points"].as_array().unwrap() {
                collection.points.remove(id.as_str().unwrap());
            }
            fine(json!({ "operation_id": 3, "status": "completed" }))
        }
        ("POST", ["points", "query"]) => collection.query(&asked.body),
        ("POST", ["points", "scroll"]) => collection.scroll(&asked.body),
        _ => no(404, ""),
    }
}

impl Collection {
    fn upsert(&mut self, asked: &Asked) -> Answer {
        assert_eq!(asked.query, "wait=true");
        only(&asked.body, &["points"]);
        let points = asked.body["points"].as_array().unwrap();
        for point in points {
            only(point, &["id", "vector", "payload"]);
            let id: uuid::Uuid = point["id"].as_str().unwrap().parse().unwrap();
            let vector = numbers(&point["vector"]);
            if vector.len() != self.size {
                return self.wrong(vector.len());
            }
            let kept = (vector, point["payload"].clone());
            self.points.insert(id.to_string(), kept);
        }
        fine(json!({ "operation_id": 2, "status": "completed" }))
    }

    fn wrong(&self, length: usize) -> Answer {
        let expected = self.size;
        no(
            400,
            format!("Wrong input: Vector dimension error: expected dim: {expected}, got {length}"),
        )
    }

    /// Whether a payload has what all conditions ask for. A list has a value that is in it.
    fn lets(&self, filter: &Value, payload: &Value) -> bool {
        only(filter, &["must"]);
        filter["must"].as_array().unwrap().iter().all(|condition| {
            only(condition, &["key", "match"]);
            only(&condition["match"], &["value"]);
            let key = condition["key"].as_str().unwrap();
            // As a server in strict mode has it.
            assert!(self.indexes.contains(key), "{key} has no index");
            let value = &condition["match"]["value"];
            match &payload[key] {
                Value::Array(values) => values.contains(value),
                one => one == value,
            }
        })
    }

    fn query(&self, body: &Value) -> Answer {
        only(body, &["query", "filter", "limit", "with_payload"]);
        let vector = numbers(&body["query"]);
        if vector.len() != self.size {
            return self.wrong(vector.len());
        }
        // Equals in an order of the server's own.
        let mut found: Vec<_> = (self.points.iter().rev())
            .filter(|(_, (_, payload))| self.lets(&body["filter"], payload))
            .map(|(id, (of, payload))| (cosine(&vector, of), id, payload))
            .collect();
        found.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        found.truncate(body["limit"].as_u64().unwrap() as usize);
        let points: Vec<Value> = found
            .into_iter()
            .map(|(score, id, payload)| {
                json!({ "id": id, "version": 2, "score": score as f32, "payload": payload })
            })
            .collect();
        fine(json!({ "points": points }))
    }

    fn scroll(&self, body: &Value) -> Answer {
        let fields = ["filter", "limit", "with_payload", "with_vector", "offset"];
        only(body, &fields);
        let from = body["offset"].as_str().unwrap_or_default();
        let limit = body["limit"].as_u64().unwrap() as usize;
        let mut found = (self.points.range(from.to_owned()..))
            .filter(|(_, (_, payload))| self.lets(&body["filter"], payload));
        let points: Vec<Value> = (found.by_ref().take(limit))
            .map(|(id, (_, payload))| json!({ "id": id, "payload": { "id": payload["id"] } }))
            .collect();
        let next = found.next().map(|(id, _)| id);
        fine(json!({ "points": points, "next_page_offset": next }))
    }
}

async fn stand_in() -> (StandIn, Arc<Mutex<Collections>>) {
    let collections: Arc<Mutex<Collections>> = Arc::default();
    let kept = collections.clone();
    let stand_in = StandIn::serve(move |asked| answer(&mut kept.lock().unwrap(), asked)).await;
    (stand_in, collections)
}

fn lore(stand_in: &StandIn) -> QdrantLore {
    QdrantLore::new(client(), stand_in.url.clone(), "menu", Some(KEY.into()))
}

async fn open() -> Arc<QdrantLore> {
    Arc::new(lore(&stand_in().await.0))
}

suites::lore_suite!(open);
suites::lore_making_suite!(open);

#[tokio::test]
async fn a_key_that_is_not_accepted_is_told_without_the_key() {
    let (stand_in, _) = stand_in().await;
    let stranger = QdrantLore::new(client(), stand_in.url.clone(), "menu", None);
    let refused = stranger.check(2).await.unwrap_err();
    assert!(matches!(refused, LoreError::Refused { .. }), "{refused:?}");
    assert!(refused.to_string().contains("401"), "{refused}");

    let lore = lore(&stand_in);
    stand_in.instead(
        403,
        r#"{"status":{"error":"Forbidden: fake-qdrant-key may not read"}}"#,
    );
    let refused = lore.check(2).await.unwrap_err();
    assert!(matches!(refused, LoreError::Refused { .. }), "{refused:?}");
    let told = format!("{refused} {refused:?} {lore:?}");
    assert!(!told.contains(KEY), "{told}");
    assert!(told.contains("may not read"), "{told}");
}

#[tokio::test]
async fn a_store_that_is_busy_or_broken_is_unavailable_in_its_own_words() {
    let (stand_in, _) = stand_in().await;
    let lore = lore(&stand_in);
    lore.prepare(2).await.unwrap();
    stand_in.instead_with(429, ("retry-after", "7"));
    let told = unavailable(nearest(&lore, &[1.0, 0.0], 1).await);
    assert!(told.contains("429") && told.contains("7 s"), "{told}");
    stand_in.instead(
        500,
        r#"{"status":{"error":"Service internal error: the disk\nis full"},"time":0.0}"#,
    );
    let told = unavailable(lore.put("", &one("a")).await);
    assert!(told.contains("the disk is full"), "{told}");
    stand_in.instead(502, "<html>Bad Gateway</html>");
    assert!(unavailable(lore.ids("", "menu", None).await).contains("502"));
    stand_in.instead(200, "<html>Welcome</html>");
    assert!(unavailable(lore.check(2).await).contains("line 1"));
    lore.check(2).await.unwrap();
}

#[tokio::test]
async fn a_collection_of_another_kind_is_unfit() {
    let (stand_in, collections) = stand_in().await;
    let lore = lore(&stand_in);
    lore.prepare(2).await.unwrap();
    let distance = |name: &str| {
        let mut collections = collections.lock().unwrap();
        collections.get_mut("menu").unwrap().distance = name.to_owned();
    };
    distance("Dot");
    let unfit = lore.prepare(2).await.unwrap_err();
    assert!(matches!(unfit, LoreError::Unfit { .. }), "{unfit:?}");
    assert!(unfit.to_string().contains("Dot"), "{unfit}");
    stand_in.instead(
        200,
        r#"{"result":{"config":{"params":{"vectors":{"text":{"size":2,"distance":"Cosine"}}}}},"status":"ok","time":0}"#,
    );
    let unfit = lore.check(2).await.unwrap_err().to_string();
    assert!(unfit.contains("names"), "{unfit}");
}

#[tokio::test]
async fn a_crash_between_making_the_collection_and_its_indexes_is_mended() {
    let (stand_in, collections) = stand_in().await;
    let lore = lore(&stand_in);
    lore.prepare(2).await.unwrap();
    let indexes = || collections.lock().unwrap()["menu"].indexes.clone();
    let all = indexes();
    assert_eq!(all.len(), 3, "{all:?}");
    collections
        .lock()
        .unwrap()
        .get_mut("menu")
        .unwrap()
        .indexes
        .clear();
    lore.prepare(2).await.unwrap();
    assert_eq!(indexes(), all);
}

#[tokio::test]
async fn much_is_put_in_requests_that_the_server_takes() {
    let (stand_in, collections) = stand_in().await;
    let lore = lore(&stand_in);
    lore.prepare(2).await.unwrap();
    let long: Vec<(Passage, Vec<f32>)> = (0..60)
        .map(|number| {
            let mut passage = passage(&format!("p{number}"), "menu");
            passage.text = "x".repeat(1024 * 1024);
            (passage, vec![1.0, 0.0])
        })
        .collect();
    lore.put("", &long).await.unwrap();
    let points = collections.lock().unwrap()["menu"].points.len();
    assert_eq!(points, 60);
    let longest = stand_in.lengths().into_iter().max().unwrap();
    assert!(longest < 10 * 1024 * 1024, "{longest}");
}

#[tokio::test]
async fn where_nobody_listens_it_is_unavailable() {
    let lore = QdrantLore::new(
        client(),
        "http://127.0.0.1:9".parse().unwrap(),
        "menu",
        None,
    );
    unavailable(lore.check(2).await);
    unavailable(lore.prepare(2).await);
    let guarded = QdrantLore::new(client(), "http://10.0.0.1".parse().unwrap(), "menu", None);
    let told = unavailable(guarded.check(2).await);
    assert!(told.contains("not allowed"), "{told}");
}
