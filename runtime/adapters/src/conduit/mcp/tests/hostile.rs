//! Servers that mean no good, or were made without care.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

/// What a server answers to one request, whole with its head, by the request's head and body. It then closes the
/// connection.
type Answer = dyn Fn(&str, &Value) -> Vec<u8> + Send + Sync;

/// A server of raw answers, that notes every request's first word. Its thread ends with the process.
fn raw(answer: Box<Answer>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Some((head, body)) = request(&mut stream) else {
                continue;
            };
            let word = match body["method"].as_str() {
                Some(method) => method.to_owned(),
                None => head.split(' ').next().unwrap().to_owned(),
            };
            noted.lock().unwrap().push(word);
            let _ = stream.write_all(&answer(&head, &body));
        }
    });
    (url, seen)
}

fn request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.parse().unwrap())
                })
                .unwrap_or(0);
            if body.len() >= length {
                let body = serde_json::from_str(body).unwrap_or(Value::Null);
                return Some((head.to_owned(), body));
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            count => read.extend_from_slice(&piece[..count]),
        }
    }
}

fn json_of(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: s\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// A server that is as it should be, but for what `odd` answers.
fn otherwise_sound(
    odd: impl Fn(&str, &Value) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    raw(Box::new(move |head, body| {
        if let Some(odd) = odd(head, body) {
            return odd;
        }
        let result = match body["method"].as_str() {
            Some("initialize") => {
                json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": true}},
                       "serverInfo": {"name": "s", "version": "1"}})
            }
            Some("tools/list") => {
                json!({"tools": [{"name": "a", "inputSchema": {"type": "object"}}]})
            }
            Some("tools/call") => json!({"content": [{"type": "text", "text": "tea"}]}),
            _ if head.starts_with("GET") => return status("405 Method Not Allowed"),
            _ => return status("202 Accepted"),
        };
        json_of(&json!({"jsonrpc": "2.0", "id": body["id"], "result": result}))
    }))
}

fn page(body: &Value, name: &str, next: &str) -> Vec<u8> {
    let tool = json!({"name": name, "inputSchema": {"type": "object"}});
    json_of(
        &json!({"jsonrpc": "2.0", "id": body["id"], "result": {"tools": [tool], "nextCursor": next}}),
    )
}

#[tokio::test]
async fn pages_without_end_are_read_up_to_a_limit() {
    let pages = AtomicUsize::new(0);
    let (url, seen) = otherwise_sound(move |_, body| {
        let page_of = |next: usize| page(body, &format!("tool_{next}"), &next.to_string());
        (body["method"] == "tools/list").then(|| page_of(pages.fetch_add(1, Ordering::SeqCst)))
    });
    let found = probe(&client(), &endpoint(&url), LIMIT).await.unwrap();
    assert_eq!(found.tools.len(), 64);
    assert!(
        found.left_out[0].reason.contains("no end"),
        "{:?}",
        found.left_out
    );
    let listings = seen.lock().unwrap();
    assert_eq!(
        listings.iter().filter(|word| *word == "tools/list").count(),
        64
    );
}

#[tokio::test]
async fn a_cursor_that_leads_to_itself_is_followed_once() {
    let (url, seen) = otherwise_sound(|_, body| {
        (body["method"] == "tools/list").then(|| page(body, "a", "again"))
    });
    let found = probe(&client(), &endpoint(&url), LIMIT).await.unwrap();
    assert_eq!(found.tools.len(), 1);
    let listings = seen.lock().unwrap();
    assert_eq!(
        listings.iter().filter(|word| *word == "tools/list").count(),
        2
    );
}

#[tokio::test]
async fn a_stream_that_ends_at_once_is_not_opened_without_a_pause() {
    let (url, seen) = otherwise_sound(|head, _| {
        let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 0\nid: 1\ndata:\n\n";
        head.starts_with("GET").then(|| stream.as_bytes().to_vec())
    });
    let conduit = conduit_within(&url, LIMIT);
    assert_eq!(tools(&conduit).await, ["a"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let streams = seen.lock().unwrap();
    let streams = streams.iter().filter(|word| *word == "GET").count();
    assert!((2..=7).contains(&streams), "{streams} streams in 3 s");
}

#[tokio::test]
async fn an_answer_without_end_ends_the_call() {
    for kind in ["application/json", "text/event-stream"] {
        let (url, _) = otherwise_sound(move |_, body| {
            (body["method"] == "tools/call").then(|| {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\ndata: "
                );
                [head.into_bytes(), vec![b'x'; 16 * 1024 * 1024]].concat()
            })
        });
        let error = call(&conduit_within(&url, LIMIT), "a").await.unwrap_err();
        assert!(
            error.contains("not known whether the call took effect"),
            "{kind}: {error}"
        );
        assert!(!error.contains("no answer within"), "{kind}: {error}");
    }
}

#[tokio::test]
async fn what_a_server_asks_for_at_its_door_is_told() {
    let (url, _) = raw(Box::new(|_, _| {
        let challenge = format!(
            "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer error=\"invalid_token\", got=\"fake-token-1111\", {}\r\n\
             connection: close\r\ncontent-length: 0\r\n\r\n",
            "x".repeat(5000)
        );
        challenge.into_bytes()
    }));
    let endpoint = Endpoint::new(Url::parse(&url).unwrap(), bearer("Bearer fake-token-1111"));
    let error = probe(&client(), &endpoint, LIMIT).await.unwrap_err();
    let ConnectError::Unauthorized(said) = &error else {
        panic!("{error:?}");
    };
    assert!(
        said.starts_with(
            "HTTP 401, WWW-Authenticate: Bearer error=\"invalid_token\", got=\"[redacted]\""
        ),
        "{said}"
    );
    assert!(said.len() < 300, "{said}");
}

#[tokio::test]
async fn a_header_that_a_server_gives_back_is_not_shown_to_the_oracle() {
    let (url, _) = otherwise_sound(|head, body| {
        (body["method"] == "tools/call").then(|| {
            let content = json!([{"type": "text", "text": head}]);
            json_of(&json!({"jsonrpc": "2.0", "id": body["id"], "result": {"content": content}}))
        })
    });
    let endpoint = Endpoint::new(Url::parse(&url).unwrap(), bearer("Bearer fake-token-1111"));
    let conduit = McpConduit::new(client(), "mirror", endpoint, |_| true, LIMIT);
    let said = call(&conduit, "a").await.unwrap();
    assert!(said.contains("authorization: [redacted]"), "{said}");
}
