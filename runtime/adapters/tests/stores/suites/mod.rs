//! One suite a port. A suite's macro makes each behaviour a test of one adapter:
//!
//! ```ignore
//! mod bond {
//!     suites::bond_suite!(async || Arc::new(InMemoryBond::new()));
//! }
//! ```
//!
//! The argument is called once a test, and gives a store that nobody else uses.

pub mod attachments;
pub mod bond;
pub mod chronicle;
pub mod contacts;
pub mod echoes;
pub mod imprint;
pub mod inbox;
pub mod lore;
pub mod memory;
pub mod rite;
pub mod vigil;

use std::time::Duration;

use eywa_weave::{Content, Pulse, PulseId, SessionKey, User, UserId, VoiceName};
use jiff::Timestamp;
use tokio::time::Instant;

/// Makes each behaviour of a suite a test.
macro_rules! behaviours {
    ($suite:ident, $open:expr, [$($behaviour:ident,)+]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::suites::$suite::$behaviour(($open)().await).await;
            }
        )+
    };
}
pub(crate) use behaviours;
pub(crate) use {
    attachments::attachments_suite, bond::bond_suite, chronicle::chronicle_suite,
    contacts::contacts_suite, echoes::echoes_suite, imprint::imprint_suite, inbox::inbox_suite,
    lore::lore_making_suite, lore::lore_suite, memory::memory_suite, rite::rite_suite,
    vigil::vigil_suite,
};

/// Long enough that nothing in a test outlives it.
pub const LONG: Duration = Duration::from_secs(600);
/// Short enough to be waited for.
pub const SHORT: Duration = Duration::from_millis(60);
/// When to give up waiting.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn ana() -> SessionKey {
    SessionKey::new("wa", "ana")
}

pub fn ben() -> SessionKey {
    SessionKey::new("wa", "ben")
}

pub fn id(name: &str) -> PulseId {
    PulseId::new(&VoiceName::from("wa"), name)
}

/// A Pulse of Ana's.
pub fn pulse(name: &str) -> Pulse {
    Pulse {
        id: id(name),
        session: ana(),
        user: User {
            id: UserId::from("ana"),
            name: Some("Ana \"🥐\"".to_owned()),
        },
        content: Content::text(format!("text of {name}\n\0 …")),
        received_at: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
        reply_to: serde_json::json!({ "to": "ana", "thread": 7 }),
        resumes: None,
    }
}

/// Asks until there is an answer. How long that took is for the caller to judge.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs all at the same time, as tasks, and gives what each gave.
pub async fn at_once<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut given = Vec::with_capacity(tasks.len());
    for task in tasks {
        given.push(task.await.unwrap());
    }
    given
}
