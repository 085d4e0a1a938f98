//! A Spirit on a stage of in-memory adapters.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{
    bond::InMemoryBond,
    chronicle::InMemoryChronicle,
    echoes::InMemoryEchoes,
    inbox::InMemoryInbox,
    memory::InMemoryMemory,
    oracle::{Asked, InMemoryOracle},
    vigil::InMemoryVigil,
    voice::InMemoryVoice,
};
use eywa_weave::{
    Content, Pulse, PulseId, SessionKey, Spirit, SpiritName, User, VoiceName, Weave, WeaveBuilder,
    ports::{
        Chronicle as _, Oracle,
        inbox::Acceptance,
        oracle::{Fault, OracleError, Reply},
        voice::{Method, Webhook},
    },
    pulse::Outcome,
    spirit::{Asking, BondSettings, Facts, Limits, NotApplicable, Persona, WhenBusy},
    weave::{Receipt, ReceiveError},
};
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

pub const TTL: Duration = Duration::from_secs(30);

/// What outlives a pod.
#[derive(Clone)]
pub struct Stores {
    pub bond: Arc<InMemoryBond>,
    pub inbox: Arc<InMemoryInbox>,
    pub echoes: Arc<InMemoryEchoes>,
    pub chronicle: Arc<InMemoryChronicle>,
    pub memory: Arc<InMemoryMemory>,
    pub vigil: Arc<InMemoryVigil>,
}

impl Stores {
    pub fn new() -> Self {
        Self {
            bond: Arc::new(InMemoryBond::new()),
            inbox: Arc::new(InMemoryInbox::new()),
            echoes: Arc::new(InMemoryEchoes::new()),
            chronicle: Arc::new(InMemoryChronicle::new()),
            memory: Arc::new(InMemoryMemory::new()),
            vigil: Arc::new(InMemoryVigil::new()),
        }
    }

    /// A pod on these stores.
    pub fn pod(&self, spirit: Spirit, voice: &Arc<InMemoryVoice>, when_busy: WhenBusy) -> Weave {
        self.builder(spirit, voice, when_busy)
            .build()
            .expect("every port is given")
    }

    pub fn builder(
        &self,
        spirit: Spirit,
        voice: &Arc<InMemoryVoice>,
        when_busy: WhenBusy,
    ) -> WeaveBuilder {
        WeaveBuilder::new(spirit.name.clone())
            .bond(self.bond.clone())
            .inbox(self.inbox.clone())
            .echoes(self.echoes.clone())
            .chronicle(self.chronicle.clone())
            .memory(self.memory.clone())
            .vigil(self.vigil.clone())
            .voice("wa", voice.clone())
            .bond_settings(BondSettings {
                ttl: TTL,
                when_busy,
            })
            .spirit(spirit)
    }

    /// How the Pulse ended, once it has.
    pub async fn outcome(&self, id: &str) -> Outcome {
        self.entry(id).await.0
    }

    /// How the Pulse ended and why, once it has.
    pub async fn entry(&self, id: &str) -> (Outcome, String) {
        let id = PulseId::new(&VoiceName::from("wa"), id);
        for _ in 0..20_000 {
            let entries = self
                .chronicle
                .of_pulse(&id)
                .await
                .expect("memory does not fail");
            if let Some(entry) = entries
                .into_iter()
                .find(|entry| entry.outcome != Outcome::Duplicate)
            {
                return (entry.outcome, entry.reason);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the Pulse {id} did not end");
    }
}

/// Waits for something to be there. The clock of these tests is paused, so this takes no time.
pub async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> Option<T> {
    for _ in 0..20_000 {
        if let Some(found) = ask().await {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

struct Fixed(&'static str);

impl Persona for Fixed {
    fn render(&self, _: Facts<'_>) -> Result<String, NotApplicable> {
        Ok(self.0.to_owned())
    }
}

/// A Spirit that asks these Oracles and can do nothing else.
pub fn spirit(name: &str, oracles: Vec<Arc<dyn Oracle>>) -> Spirit {
    Spirit {
        name: SpiritName::from(name),
        generation: 1,
        persona: Arc::new(Fixed("You serve coffee.")),
        oracles: oracles
            .into_iter()
            .map(|oracle| Asking {
                oracle,
                temperature: None,
                max_tokens: None,
                effort: None,
                breaker: Default::default(),
                timeout: Duration::from_secs(60),
            })
            .collect(),
        scouts: Vec::new(),
        actions: Vec::new(),
        conduits: Vec::new(),
        rites: Vec::new(),
        limits: Limits::default(),
    }
}

/// An Oracle that repeats what the person said last.
pub fn parrot() -> Arc<InMemoryOracle> {
    Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(says(&last_words(&asked)))
    }))
}

/// An Oracle that repeats what the person said, once it is let.
pub fn gated(gate: &Arc<Semaphore>) -> Arc<InMemoryOracle> {
    let gate = Arc::clone(gate);
    Arc::new(InMemoryOracle::new(move |asked| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("the gate stays").forget();
            Ok(says(&last_words(&asked)))
        }
    }))
}

/// What the person said last, of what an Oracle was asked.
pub fn last_words(asked: &Asked) -> String {
    use eywa_weave::ports::oracle::Turn;
    let words = |turn: &Turn| match turn {
        Turn::User { text, .. } => Some(text.clone()),
        _ => None,
    };
    asked.turns.iter().rev().find_map(words).unwrap_or_default()
}

pub fn says(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        ..Reply::default()
    }
}

pub fn fails(fault: Fault) -> OracleError {
    OracleError::new("in-memory", fault, "it was told to")
}

pub fn session(user: &str) -> SessionKey {
    SessionKey::new("wa", user)
}

pub fn pulse(id: &str, user: &str, text: &str) -> Pulse {
    Pulse {
        id: PulseId::new(&VoiceName::from("wa"), id),
        session: session(user),
        user: User {
            id: user.into(),
            name: None,
        },
        content: Content::text(text),
        received_at: jiff::Timestamp::now(),
        reply_to: serde_json::json!(user),
        resumes: None,
    }
}

/// The channel delivers these in one webhook.
pub fn deliver<'a>(
    weave: &'a Weave,
    pulses: &'a [Pulse],
) -> BoxFuture<'a, Result<Vec<Acceptance>, ReceiveError>> {
    Box::pin(async move {
        let body = serde_json::to_vec(pulses).expect("Pulses are JSON");
        let webhook = Webhook {
            method: Method::Post,
            query: "",
            header: &|_| None,
            body: &body,
        };
        match weave.receive(&"wa".into(), webhook).await? {
            Receipt::Accepted { pulses, .. } => Ok(pulses
                .into_iter()
                .map(|(_, acceptance)| acceptance)
                .collect()),
            Receipt::Challenge(_) => panic!("nothing was to be verified"),
        }
    })
}

/// What was said, to whomever.
pub fn texts(voice: &InMemoryVoice) -> Vec<String> {
    voice.said().into_iter().map(|said| said.text).collect()
}
