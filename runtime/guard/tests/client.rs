//! The guarded client against servers on this machine.
#![allow(
    clippy::unwrap_used,
    reason = "the functions that tests share are tests too"
)]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use eywa_guard::{
    GuardedClient, Policy, Reason, RequestError,
    http::{
        Method, StatusCode,
        header::{ACCEPT, HeaderValue},
    },
};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

const MIB: usize = 1024 * 1024;

fn loopback() -> GuardedClient {
    GuardedClient::new(Arc::new(Policy {
        loopback: true,
        ..Policy::default()
    }))
}

fn url(server: &MockServer, path: &str) -> Url {
    Url::parse(&server.uri()).unwrap().join(path).unwrap()
}

async fn answers(at: &str, template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path(at))
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

fn reason(error: RequestError) -> Reason {
    match error {
        RequestError::Refused(refusal) => refusal.reason,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn an_answer_is_read_with_its_status() {
    let server = answers(
        "/a",
        ResponseTemplate::new(404).set_body_string("no such thing"),
    )
    .await;
    let answer = loopback()
        .request(Method::GET, url(&server, "/a"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.bytes(MIB).await.unwrap().as_ref(), b"no such thing");
}

#[tokio::test]
async fn json_headers_and_a_bearer_token_arrive() {
    let server = answers("/a", ResponseTemplate::new(200)).await;
    let client = loopback();
    let request = client
        .request(Method::POST, url(&server, "/a"))
        .bearer("not-a-real-token")
        .header(ACCEPT, HeaderValue::from_static("text/plain"))
        .json(&serde_json::json!({"a": 1}));
    request.send().await.unwrap();
    let seen: Vec<Request> = server.received_requests().await.unwrap();
    assert_eq!(seen[0].body, br#"{"a":1}"#);
    assert_eq!(seen[0].headers["authorization"], "Bearer not-a-real-token");
    assert_eq!(seen[0].headers["accept"], "text/plain");
    assert_eq!(seen[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_token_with_a_line_break_is_never_sent() {
    let server = answers("/a", ResponseTemplate::new(200)).await;
    let error = loopback()
        .request(Method::GET, url(&server, "/a"))
        .bearer("x\r\nEvil: 1")
        .send()
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, RequestError::Invalid(_)) && error.never_sent(),
        "{error}"
    );
    assert!(!error.to_string().contains("Evil"));
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_url_that_the_policy_refuses_is_never_connected_to() {
    let server = answers("/a", ResponseTemplate::new(200)).await;
    let client = GuardedClient::new(Arc::new(Policy::default()));
    for url in [
        url(&server, "/a"),
        format!("http://localhost:{}/a", server.address().port())
            .parse()
            .unwrap(),
    ] {
        let error = client
            .request(Method::GET, url.clone())
            .send()
            .await
            .err()
            .unwrap();
        assert!(error.never_sent());
        assert_eq!(reason(error), Reason::LoopbackAddress);
        assert!(client.bare_client_for(&url).is_err());
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_address_is_refused() {
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "//[fe80::1]/",
    ] {
        let server = answers(
            "/a",
            ResponseTemplate::new(302).insert_header("location", target),
        )
        .await;
        let error = loopback()
            .request(Method::GET, url(&server, "/a"))
            .send()
            .await
            .err()
            .unwrap();
        assert!(
            matches!(error, RequestError::Refused(_)),
            "{target}: {error}"
        );
    }
}

#[tokio::test]
async fn each_hop_of_a_chain_of_redirects_is_judged() {
    let server = MockServer::start().await;
    for (from, to) in [
        ("/a", "/b"),
        ("/b", "/c"),
        ("/c", "http://169.254.169.254/"),
    ] {
        let hop = ResponseTemplate::new(307).insert_header("location", to);
        Mock::given(path(from))
            .respond_with(hop)
            .mount(&server)
            .await;
    }
    let error = loopback()
        .request(Method::GET, url(&server, "/a"))
        .send()
        .await
        .err()
        .unwrap();
    assert_eq!(reason(error), Reason::ForbiddenAddress);
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn redirects_that_go_round_end() {
    let server = answers(
        "/a",
        ResponseTemplate::new(302).insert_header("location", "/a"),
    )
    .await;
    let error = loopback()
        .request(Method::GET, url(&server, "/a"))
        .send()
        .await
        .err()
        .unwrap();
    assert!(matches!(error, RequestError::Redirects { .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_to_another_origin_takes_no_secret_along() {
    let other = answers(
        "/there",
        ResponseTemplate::new(200).set_body_string("found"),
    )
    .await;
    let to = url(&other, "/there").to_string();
    let server = answers(
        "/here",
        ResponseTemplate::new(302).insert_header("location", to.as_str()),
    )
    .await;
    let answer = loopback()
        .request(Method::GET, url(&server, "/here"))
        .bearer("not-a-real-token")
        .header(
            "x-api-key".parse().unwrap(),
            HeaderValue::from_static("not-a-real-key"),
        )
        .header(ACCEPT, HeaderValue::from_static("text/plain"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes(MIB).await.unwrap().as_ref(), b"found");
    let seen = other.received_requests().await.unwrap();
    assert!(
        !seen[0].headers.contains_key("authorization")
            && !seen[0].headers.contains_key("x-api-key")
    );
    assert_eq!(seen[0].headers["accept"], "text/plain");
    assert!(
        server.received_requests().await.unwrap()[0]
            .headers
            .contains_key("x-api-key")
    );
}

#[tokio::test]
async fn a_redirect_of_a_post_is_an_answer_and_its_body_goes_nowhere_else() {
    let server = answers(
        "/a",
        ResponseTemplate::new(307).insert_header("location", "/b"),
    )
    .await;
    let answer = loopback()
        .request(Method::POST, url(&server, "/a"))
        .body("private")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_told_apart() {
    let server = answers(
        "/a",
        ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 2000]),
    )
    .await;
    let read = async |limit| {
        let answer = loopback()
            .request(Method::GET, url(&server, "/a"))
            .send()
            .await
            .unwrap();
        answer.bytes(limit).await.map(|body| body.len())
    };
    assert_eq!(read(2000).await.unwrap(), 2000);
    let error = read(1999).await.unwrap_err();
    assert!(
        matches!(error, RequestError::TooLarge { limit: 1999, .. }),
        "{error}"
    );
    assert!(!error.never_sent());
    let answer = loopback()
        .request(Method::GET, url(&server, "/a"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.beginning(100).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_body_is_measured_as_it_is_decompressed() {
    // 1 MiB of zeros in about a kilobyte.
    let bomb = gzip(MIB);
    assert!(bomb.len() < 4096, "{}", bomb.len());
    let compressed = ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_bytes(bomb);
    let server = answers("/a", compressed).await;
    let client = loopback();
    let answer = client
        .request(Method::GET, url(&server, "/a"))
        .send()
        .await
        .unwrap();
    assert!(matches!(
        answer.bytes(64 * 1024).await,
        Err(RequestError::TooLarge { .. })
    ));
    let answer = client
        .request(Method::GET, url(&server, "/a"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes(MIB).await.unwrap().len(), MIB);
}

/// `length` zeros, as the `gzip` of the machine compresses them.
fn gzip(length: usize) -> Vec<u8> {
    use std::io::Write;
    let mut gzip = std::process::Command::new("gzip")
        .args(["--best", "--stdout"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    gzip.stdin
        .take()
        .unwrap()
        .write_all(&vec![0; length])
        .unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[tokio::test]
async fn a_late_answer_is_a_timeout_and_may_have_been_acted_on() {
    let server = answers(
        "/a",
        ResponseTemplate::new(200).set_delay(Duration::from_secs(60)),
    )
    .await;
    let began = Instant::now();
    let request = loopback();
    let request = request
        .request(Method::POST, url(&server, "/a"))
        .timeout(Duration::from_millis(200));
    let error = request.send().await.err().unwrap();
    assert!(
        matches!(error, RequestError::TimedOut { .. }) && !error.never_sent(),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_port_where_nobody_listens_was_never_sent_to() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address: SocketAddr = free.local_addr().unwrap();
    drop(free);
    let url: Url = format!("http://{address}/?token=not-a-real-token")
        .parse()
        .unwrap();
    let error = loopback()
        .request(Method::GET, url)
        .send()
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, RequestError::Connect { .. }) && error.never_sent(),
        "{error}"
    );
    assert!(!error.to_string().contains("not-a-real-token"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_answer_is_told_as_such() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            .await
            .unwrap();
    });
    let answer = loopback().request(Method::GET, url).send().await.unwrap();
    let error = answer.bytes(MIB).await.unwrap_err();
    assert!(
        matches!(error, RequestError::BrokenOff { .. }) && !error.never_sent(),
        "{error}"
    );
    server.await.unwrap();
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_not_asked() {
    // Read when a client is built; the variable is set for a process of its own.
    if std::env::var_os("http_proxy").is_none() {
        let me = std::env::current_exe().unwrap();
        let child = tokio::process::Command::new(me)
            .args(["--exact", "a_proxy_in_the_environment_is_not_asked"])
            .env("http_proxy", "http://127.0.0.1:9")
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .status();
        assert!(child.await.unwrap().success());
        return;
    }
    let server = answers("/a", ResponseTemplate::new(204)).await;
    let answer = loopback()
        .request(Method::GET, url(&server, "/a"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_server_without_tls_is_not_sent_an_https_request() {
    let server = answers("/a", ResponseTemplate::new(200)).await;
    let url: Url = format!("https://127.0.0.1:{}/a", server.address().port())
        .parse()
        .unwrap();
    let error = loopback()
        .request(Method::GET, url)
        .send()
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, RequestError::Connect { .. }) && error.never_sent(),
        "{error}"
    );
    assert!(server.received_requests().await.unwrap().is_empty());
}
