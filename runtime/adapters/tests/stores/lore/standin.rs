//! A server of HTTP that answers as a vendor documents, and what its tests ask of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    body::{Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, Response},
};
use serde_json::Value;
use url::Url;

/// A request as it came.
pub struct Asked {
    pub method: Method,
    /// The path's segments, decoded.
    pub path: Vec<String>,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Value,
    /// How long the body was, in bytes.
    pub length: usize,
}

impl Asked {
    /// The method and the path, for matching.
    pub fn line(&self) -> (&str, Vec<&str>) {
        let path = self.path.iter().map(String::as_str).collect();
        (self.method.as_str(), path)
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// An answer: its status and its body. A text goes as it is.
pub type Answer = (u16, Value);

/// An answer that is given out of turn.
pub struct Instead {
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: &'static str,
}

pub struct StandIn {
    pub url: Url,
    instead: Arc<Mutex<VecDeque<Instead>>>,
    lengths: Arc<Mutex<Vec<usize>>>,
}

impl StandIn {
    /// Serves what `answer` says until the test's runtime ends.
    pub async fn serve(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let instead: Arc<Mutex<VecDeque<Instead>>> = Arc::default();
        let lengths: Arc<Mutex<Vec<usize>>> = Arc::default();
        let (out_of_turn, seen) = (instead.clone(), lengths.clone());
        let app = axum::Router::new().fallback(move |request: Request| {
            let (answer, instead, seen) = (answer.clone(), out_of_turn.clone(), seen.clone());
            async move {
                let asked = read(request).await;
                seen.lock().unwrap().push(asked.length);
                if let Some(instead) = instead.lock().unwrap().pop_front() {
                    let mut response = Response::builder().status(instead.status);
                    for (name, value) in instead.headers {
                        response = response.header(name, value);
                    }
                    return response.body(instead.body.to_owned()).unwrap();
                }
                let (status, body) = answer(&asked);
                let body = match body {
                    Value::String(text) => text,
                    json => json.to_string(),
                };
                Response::builder().status(status).body(body).unwrap()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            url: url.parse().unwrap(),
            instead,
            lengths,
        }
    }

    /// Answers the next request so.
    pub fn instead(&self, status: u16, body: &'static str) {
        self.instead.lock().unwrap().push_back(Instead {
            status,
            headers: Vec::new(),
            body,
        });
    }

    /// Answers the next request so, with a header.
    pub fn instead_with(&self, status: u16, header: (&'static str, &'static str)) {
        self.instead.lock().unwrap().push_back(Instead {
            status,
            headers: vec![header],
            body: "",
        });
    }

    /// How long the bodies were of all requests until now, in bytes.
    pub fn lengths(&self) -> Vec<usize> {
        self.lengths.lock().unwrap().clone()
    }
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = to_bytes(body, usize::MAX).await.unwrap();
    let segments = parts.uri.path().trim_matches('/').split('/');
    Asked {
        method: parts.method,
        path: segments.map(decoded).collect(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).unwrap_or(Value::String("no JSON".to_owned())),
        },
        length: bytes.len(),
    }
}

fn decoded(segment: &str) -> String {
    let pairs = url::form_urlencoded::parse(segment.as_bytes());
    pairs.map(|(name, _)| name.into_owned()).collect()
}

/// Cosine similarity, as the vendors define it.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// A list of numbers.
pub fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("a vector");
    numbers.iter().map(|it| it.as_f64().unwrap()).collect()
}

/// That an object has only fields that are documented.
pub fn only(body: &Value, fields: &[&str]) {
    let object = body.as_object().expect("an object");
    for field in object.keys() {
        assert!(
            fields.contains(&field.as_str()),
            "no field {field} is documented"
        );
    }
}
