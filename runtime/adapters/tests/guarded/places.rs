//! Every place of the adapters that makes a request by a URL from a manifest, a tool or a message. A new adapter is a line
//! here; a test finds the ones that are missing.

mod channels;
mod models;
mod tools;

use eywa_guard::GuardedClient;
use futures::future::BoxFuture;
use url::Url;

const MIB: usize = 1024 * 1024;

/// What came of a request: how many bytes were made of the answer, or why there was none.
pub type Said = Result<usize, String>;

/// A place that makes requests.
pub struct Place {
    pub name: &'static str,
    /// The file that makes them, below `src/`.
    pub file: &'static str,
    /// Makes a request to this URL, or to one below it.
    pub ask: fn(GuardedClient, Url) -> BoxFuture<'static, Said>,
    /// Whether it follows redirects: it does if what it asks first is a GET.
    pub follows: bool,
    /// Whether a failure is told to whoever asked. The Herald and the answer to a reply are not.
    pub tells: Tells,
    /// The most bytes that it reads of an answer.
    pub reads: usize,
}

/// What a place tells of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// Why it failed.
    All,
    /// The same, and the beginning of an answer that is too long, 64 KiB of it.
    Beginnings,
    /// Why nothing was sent, but nothing of an answer's body, which it does not use.
    NotOfBodies,
    /// Nothing: nobody waits for it.
    Nothing,
}

const fn place(
    name: &'static str,
    file: &'static str,
    ask: fn(GuardedClient, Url) -> BoxFuture<'static, Said>,
) -> Place {
    Place {
        name,
        file,
        ask,
        follows: false,
        tells: Tells::All,
        reads: 8 * MIB,
    }
}

impl Place {
    const fn following(self) -> Self {
        Self {
            follows: true,
            ..self
        }
    }

    const fn reading(self, reads: usize) -> Self {
        Self { reads, ..self }
    }

    const fn telling(self, tells: Tells) -> Self {
        Self { tells, ..self }
    }
}

/// The places.
pub const PLACES: [Place; 21] = [
    place("anthropic", "oracle/anthropic.rs", models::anthropic),
    place("bedrock", "oracle/bedrock/mod.rs", models::bedrock),
    place("gemini", "oracle/gemini.rs", models::gemini),
    place("openai", "oracle/openai/mod.rs", models::openai),
    place("vertexai", "oracle/vertexai/mod.rs", models::vertexai),
    place(
        "bedrock's embedder",
        "embedder/bedrock.rs",
        models::bedrock_embedder,
    )
    .reading(64 * MIB),
    place(
        "gemini's embedder",
        "embedder/gemini.rs",
        models::gemini_embedder,
    )
    .reading(64 * MIB),
    place(
        "openai's embedder",
        "embedder/openai.rs",
        models::openai_embedder,
    )
    .reading(64 * MIB),
    place(
        "vertexai's embedder",
        "embedder/vertexai.rs",
        models::vertexai_embedder,
    )
    .reading(64 * MIB),
    place("a Lore in Qdrant", "lore/exchange.rs", tools::qdrant).reading(64 * MIB),
    place("a Lore in Weaviate", "lore/exchange.rs", tools::weaviate)
        .following()
        .reading(64 * MIB),
    place("a Lore in Pinecone", "lore/exchange.rs", tools::pinecone).reading(64 * MIB),
    place("an http Scout", "scout/http/mod.rs", tools::scout).following(),
    place(
        "an http Action that reads",
        "action/http/mod.rs",
        tools::action_get,
    )
    .following()
    .telling(Tells::Beginnings),
    place(
        "an http Action that writes",
        "action/http/mod.rs",
        tools::action_post,
    )
    .telling(Tells::Beginnings),
    place("a Conduit", "conduit/mcp/session.rs", tools::conduit),
    place(
        "a reply to a replyUrl",
        "voice/http/outbound.rs",
        channels::reply,
    )
    .telling(Tells::NotOfBodies),
    place(
        "a message by WhatsApp",
        "voice/whatsapp/outbound.rs",
        channels::whatsapp,
    )
    .telling(Tells::NotOfBodies),
    place(
        "what WhatsApp says of a file",
        "voice/whatsapp/media.rs",
        channels::whatsapp_about,
    )
    .following(),
    place(
        "a file of WhatsApp",
        "voice/whatsapp/media.rs",
        channels::whatsapp_file,
    )
    .following(),
    place("news for a Herald", "herald/webhook.rs", channels::herald).telling(Tells::Nothing),
];

/// Files that make requests and are not asked here, and why.
pub const FIXED: [(&str, &str); 4] = [
    (
        "aws/bedrock.rs",
        "makes the requests of the Oracle and the embedder on Bedrock",
    ),
    (
        "aws/connector.rs",
        "the addresses of AWS' credentials are the environment's: ADR 11",
    ),
    (
        "google/rest.rs",
        "what Storage and Tasks ask with, by the guarded client; neither is a place here yet",
    ),
    (
        "google/id_token/keys.rs",
        "Google's keys, by the guarded client; constant, unless keysUrl says otherwise",
    ),
];
