//! The Spirit that most scenarios need: it listens on WhatsApp and asks the stand-in for a model.

use serde_json::{Value, json};

use crate::webhook::PHONE_NUMBER_ID;

/// Its name.
pub const NAME: &str = "concierge";
/// What it sends messages with.
pub const ACCESS_TOKEN: &str = "fake-access-token";
/// What its webhooks are signed with.
pub const APP_SECRET: &str = "fake-app-secret";
/// What the verification of its webhook carries.
pub const VERIFY_TOKEN: &str = "fake-verify-token";
/// What it asks the model with.
pub const API_KEY: &str = "fake-api-key";

/// The Spirit. Its Bond is short, so that a dead pod's sessions are soon free.
pub fn concierge(graph_url: &str, model_url: &str) -> Value {
    json!({
        "apiVersion": "eywa.dev/v1alpha1",
        "kind": "Spirit",
        "metadata": {"name": NAME},
        "spec": {
            "persona": {"text": "You are the concierge. You speak to {{ user.name }}."},
            "oracle": {
                "provider": "openai",
                "model": "stand-in",
                "baseUrl": model_url,
                "timeout": "60s",
                "apiKey": {"secretRef": {"name": "model", "key": "api-key"}},
            },
            "voices": [{"name": "wa", "whatsapp": {
                "phoneNumberId": PHONE_NUMBER_ID,
                "secretRef": {"name": "wa"},
                "graphUrl": graph_url,
            }}],
            "bond": {"ttl": "4s"},
            "runtime": {"replicas": 2, "terminationGracePeriod": "10s"},
        },
    })
}

/// The Secret of its voice.
pub fn voice_secret() -> Value {
    secret(
        "wa",
        &json!({"access-token": ACCESS_TOKEN, "app-secret": APP_SECRET, "verify-token": VERIFY_TOKEN}),
    )
}

/// The Secret of its model.
pub fn model_secret(key: &str) -> Value {
    secret("model", &json!({"api-key": key}))
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}
