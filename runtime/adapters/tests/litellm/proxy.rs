//! litellm's server, and the stand-in for a model behind it.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

/// The key that the server takes.
pub const KEY: &str = "sk-not-a-real-key";

/// The version that `cargo xtask tools` installs.
const VERSION: &str = "1.106.2";

/// How long the server may take to start: it imports a great deal.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// litellm's server. It ends with this value.
pub struct Proxy {
    /// Where it answers, up to and with `/v1`.
    pub url: String,
    server: Child,
    model: MockServer,
    _folder: tempfile::TempDir,
}

impl Proxy {
    pub async fn start() -> Self {
        let model = MockServer::start().await;
        Mock::given(path("/v1/chat/completions"))
            .respond_with(answer)
            .mount(&model)
            .await;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, configuration(&model.uri())).unwrap();
        let port = free_port();
        let server = Command::new(program())
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .arg("--config")
            .arg(&config)
            .current_dir(folder.path())
            // Prices come from its package, and nothing is told to anybody.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env("NO_PROXY", "*")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut proxy = Self {
            url: format!("http://127.0.0.1:{port}/v1"),
            server,
            model,
            _folder: folder,
        };
        proxy.wait(port).await;
        proxy
    }

    async fn wait(&mut self, port: u16) {
        let until = Instant::now() + STARTS_WITHIN;
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            let ended = self.server.try_wait().unwrap();
            assert!(ended.is_none(), "litellm ended: {ended:?}");
            assert!(
                Instant::now() < until,
                "litellm did not start within {STARTS_WITHIN:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the model was asked last.
    pub async fn asked(&self) -> Value {
        let requests = self.model.received_requests().await.unwrap();
        requests.last().unwrap().body_json().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn program() -> PathBuf {
    let cache = env::var_os("EYWA_CACHE").map(PathBuf::from);
    let caches = || {
        env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
            .map(|caches| caches.join("eywa"))
    };
    let cache = cache.or_else(caches).unwrap();
    let program = cache.join(format!("tools/litellm-{VERSION}/bin/litellm"));
    assert!(
        program.is_file(),
        "this test needs litellm's server: run `cargo xtask tools` ({} is not there)",
        program.display()
    );
    program
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// One model, that is asked once a question and never rested.
fn configuration(model: &str) -> String {
    json!({
        "model_list": [{"model_name": "chat", "litellm_params": {
            "model": "hosted_vllm/stand-in", "api_base": format!("{model}/v1"), "api_key": "not-a-real-key",
        }}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": false, "num_retries": 0},
        "router_settings": {"disable_cooldowns": true, "num_retries": 0},
    })
    .to_string()
}

/// What the model says: by what it was asked, in one piece or in several.
fn answer(request: &Request) -> ResponseTemplate {
    let body: Value = request.body_json().unwrap();
    let said = body["messages"].to_string();
    let error = |status, message: &str, code: &str| {
        ResponseTemplate::new(status)
            .set_body_json(json!({"error": {"message": message, "type": "error", "code": code}}))
    };
    if said.contains("too long") {
        let message = "This model's maximum context length is 4096 tokens.";
        return error(400, message, "context_length_exceeded");
    }
    if said.contains("too often") {
        return error(429, "Rate limit reached", "rate_limit_exceeded");
    }
    if said.contains("broken") {
        return error(500, "The server had an error", "server_error");
    }
    let call = |index: u32, id: &str, arguments: String| {
        let name = body["tools"][0]["function"]["name"].clone();
        json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    };
    let calls = body.get("tools").map(|_| {
        json!([
            call(0, "call_a", json!({"drink": "tea"}).to_string()),
            call(1, "call_b", json!({"drink": "latte"}).to_string()),
        ])
    });
    let finish = if calls.is_some() {
        "tool_calls"
    } else {
        "stop"
    };
    let usage = json!({
        "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4},
    });
    let named = json!({"id": "chatcmpl-1", "created": 1, "model": "stand-in"});
    if body["stream"] != true {
        let message = json!({"role": "assistant", "content": "Coming!", "tool_calls": calls});
        let mut whole = named;
        whole["object"] = json!("chat.completion");
        whole["choices"] = json!([{"index": 0, "message": message, "finish_reason": finish}]);
        whole["usage"] = usage;
        return ResponseTemplate::new(200).set_body_json(whole);
    }
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = named.clone();
        chunk["object"] = json!("chat.completion.chunk");
        chunk["choices"] = choices;
        chunk["usage"] = usage;
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(
            json!([{"index": 0, "delta": delta, "finish_reason": finish}]),
            Value::Null,
        )
    };
    let mut events = delta(json!({"role": "assistant", "content": "Com"}), Value::Null);
    events += &delta(json!({"content": "ing!"}), Value::Null);
    for call in calls.iter().filter_map(Value::as_array).flatten() {
        events += &delta(json!({"tool_calls": [call]}), Value::Null);
    }
    events += &delta(json!({}), json!(finish));
    events += &chunk(json!([]), usage);
    events += "data: [DONE]\n\n";
    ResponseTemplate::new(200).set_body_raw(events, "text/event-stream")
}
