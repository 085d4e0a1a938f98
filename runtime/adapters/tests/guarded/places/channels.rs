//! What speaks to people: Voices and the Herald.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{
    contacts::InMemoryContacts,
    herald::{WebhookHerald, WebhookHeraldSettings},
    standard_webhooks::SigningKey,
    voice::{HttpVoice, HttpVoiceSettings, MediaSettings, WhatsAppSettings, WhatsAppVoice},
};
use eywa_guard::GuardedClient;
use eywa_weave::{
    SessionKey,
    ports::{
        Herald, Voice,
        herald::{Happening, News},
        vigil::Target,
        voice::Utterance,
    },
    pulse::Attachment,
};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::Said;

fn key() -> SigningKey {
    SigningKey::parse(&"not-a-real-signing-key".into()).unwrap()
}

async fn spoken(voice: impl Voice, to: Value) -> Said {
    let pulse = "wa/wamid.1".into();
    let said = voice.speak(Utterance::new(&pulse, &to, "hi")).await;
    said.map(|()| 0).map_err(|error| error.to_string())
}

pub fn reply(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async move {
        let settings = HttpVoiceSettings {
            name: "web".into(),
            key: key(),
            reply_url: Some(url),
        };
        let to = json!({"session": SessionKey::new("web", "ana")});
        spoken(HttpVoice::new(settings, client), to).await
    })
}

fn whatsapp_voice(client: GuardedClient, graph_url: Url) -> WhatsAppVoice {
    let settings = WhatsAppSettings {
        name: "wa".into(),
        phone_number_id: "1055".to_owned(),
        graph_url,
        access_token: "not-a-real-access-token".into(),
        app_secret: "not-a-real-app-secret".into(),
        verify_token: "not-a-real-verify-token".into(),
        typing: false,
        media: MediaSettings {
            max_bytes: 1024 * 1024,
            types: vec!["image/*".to_owned()],
        },
        template: None,
        list_label: "Options".to_owned(),
    };
    WhatsAppVoice::new(settings, Arc::new(InMemoryContacts::new()), client).unwrap()
}

pub fn whatsapp(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    let to =
        json!({"to": "5511999990000", "message": "wamid.1", "at": Timestamp::now().as_second()});
    Box::pin(spoken(whatsapp_voice(client, url), to))
}

async fn fetched(voice: WhatsAppVoice) -> Said {
    let attachment = Attachment {
        id: "7".to_owned(),
        media_type: "image/png".to_owned(),
        ..Attachment::default()
    };
    let media = voice.fetch(&attachment).await;
    media
        .map(|media| media.bytes.len())
        .map_err(|error| error.to_string())
}

pub fn whatsapp_about(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(fetched(whatsapp_voice(client, url)))
}

/// The file's address is in what Meta says. Plain http is for the Graph API's own host, so there the server is both.
pub fn whatsapp_file(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async move {
        if url.scheme() == "http" {
            return fetched(whatsapp_voice(client, url.join("graph/").unwrap())).await;
        }
        let graph = MockServer::start().await;
        let about = json!({"url": url, "mime_type": "image/png"});
        Mock::given(any())
            .respond_with(ResponseTemplate::new(200).set_body_json(about))
            .mount(&graph)
            .await;
        fetched(whatsapp_voice(client, graph.uri().parse().unwrap())).await
    })
}

/// It tells nobody what came of it, and goes on in the background for a while.
pub fn herald(client: GuardedClient, url: Url) -> BoxFuture<'static, Said> {
    Box::pin(async move {
        let settings = WebhookHeraldSettings {
            url,
            key: key(),
            include_text: false,
        };
        let herald = WebhookHerald::new(settings, client);
        let news = |id: &str| News {
            id: id.to_owned(),
            spirit: "barista".into(),
            about: Target::Everyone,
            at: Timestamp::now(),
            what: Happening::TakenOver {
                by: "ana@cafe.example".to_owned(),
            },
        };
        herald.tell(&news("1"));
        herald.tell(&news("2"));
        tokio::time::sleep(Duration::from_millis(500)).await;
        Err("nobody is told".to_owned())
    })
}
