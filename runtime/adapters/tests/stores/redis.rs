//! The Redis adapters, on a real Redis.

/// The suite of every port, each on what `spirit()` gives where this stands.
macro_rules! every_suite {
    () => {
        $crate::redis::every_suite! {
            attachments: attachments_suite, RedisAttachments;
            bond: bond_suite, RedisBond;
            chronicle: chronicle_suite, RedisChronicle;
            contacts: contacts_suite, RedisContacts;
            echoes: echoes_suite, RedisEchoes;
            imprint: imprint_suite, RedisImprint;
            inbox: inbox_suite, RedisInbox;
            memory: memory_suite, RedisMemory;
            rite: rite_suite, RedisRites;
            vigil: vigil_suite, RedisVigil;
        }
    };
    ($($port:ident: $suite:ident, $adapter:ident;)+) => {
        $(
            mod $port {
                use super::*;
                $crate::suites::$suite!(async || {
                    std::sync::Arc::new(eywa_adapters::$port::$adapter::new(spirit().await))
                });
            }
        )+
    };
}
pub(crate) use every_suite;

mod limits;
pub mod server;
mod topologies;

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use eywa_adapters::{
    bond::RedisBond,
    chronicle::RedisChronicle,
    echoes::RedisEchoes,
    imprint::RedisImprint,
    inbox::RedisInbox,
    memory::RedisMemory,
    redis::{Redis, Scope},
    rite::RedisRites,
    vigil::RedisVigil,
};
use eywa_weave::{
    Echo, EchoBody, SessionKey, SpiritName, StoreError,
    ports::{
        Bond, Chronicle, Echoes, Imprint, Inbox, Memory, Rites, Vigil,
        chronicle::Entry,
        imprint::{Fact, Keeping},
        inbox::{Acceptance, Speech},
        memory::Tally,
        vigil::{Phase, ReleaseReason, Target},
    },
    pulse::Outcome,
};
use jiff::Timestamp;
use server::RedisServer;
use tokio::time::Instant;

use crate::suites::{self, LONG, ana, pulse, until};

/// One Redis for the whole process; each test has a Spirit of its own in it.
static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

pub(crate) async fn spirit() -> Redis {
    static SPIRITS: AtomicUsize = AtomicUsize::new(0);
    let spirit = format!("spirit-{}", SPIRITS.fetch_add(1, SeqCst));
    Redis::new(&SERVER.url(), Scope::new("tests", &spirit)).unwrap()
}

every_suite!();

/// No call takes longer than this, whatever Redis does.
const BOUND: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spirits_in_one_redis_do_not_meet() {
    let barista = spirit().await;
    let waiter = barista.scoped(Scope::new("tests", "another"));
    assert!(
        RedisBond::new(barista.clone())
            .acquire(&ana(), LONG)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        RedisBond::new(waiter.clone())
            .acquire(&ana(), LONG)
            .await
            .unwrap()
            .is_some()
    );
    for redis in [barista, waiter] {
        assert_eq!(
            RedisInbox::new(redis)
                .accept(&[pulse("a")], LONG)
                .await
                .unwrap(),
            [Acceptance::New]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgot_the_scripts_is_told_again() {
    let server = RedisServer::start();
    let bond = RedisBond::new(Redis::new(&server.url(), Scope::new("tests", "a")).unwrap());
    let guard = bond.acquire(&ana(), LONG).await.unwrap().unwrap();
    server.say(&["SCRIPT", "FLUSH"]);
    assert!(bond.release(&guard).await.unwrap());
    assert!(bond.acquire(&ana(), LONG).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_has_a_bound_or_an_end() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), Scope::new("tests", "a")).unwrap();
    let vigil = RedisVigil::new(redis.clone());
    exercise(&redis, &vigil).await;
    let now = Timestamp::now();
    vigil
        .take_over(&Target::Everyone, "ben", now)
        .await
        .unwrap();
    let mut endless = Vec::new();
    let keys = server.say(&["KEYS", "*"]);
    assert!(keys.lines().count() >= 24, "not much was written: {keys}");
    for key in keys.lines() {
        assert!(key.starts_with("eywa:{tests/a}:"), "{key} is nobody's");
        if server.say(&["PTTL", key]).trim() == "-1" {
            endless.push(key);
        }
    }
    endless.sort_unstable();
    // One integer a Spirit, and what a human has for as long as they do.
    assert_eq!(
        endless,
        ["eywa:{tests/a}:bond-fence", "eywa:{tests/a}:vigil:*"]
    );
    vigil
        .release(&Target::Everyone, "ben", ReleaseReason::Human, now)
        .await
        .unwrap();
    assert_ne!(server.say(&["PTTL", "eywa:{tests/a}:vigil:*"]).trim(), "-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_stored_than_was_said() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), Scope::new("tests", "a")).unwrap();
    let echoes = RedisEchoes::new(redis.clone()).keeping(3, LONG);
    let chronicle = RedisChronicle::new(redis).keeping(3, LONG);
    for n in 0..150 {
        echoes
            .append(&ana(), None, &[echo(&n.to_string())])
            .await
            .unwrap();
        chronicle.append(&entry()).await.unwrap();
    }
    let length = |key: &str| server.say(&["LLEN", &format!("eywa:{{tests/a}}:{key}")]);
    assert_eq!(length("echoes:wa/ana").trim(), "3");
    assert_eq!(length("echoes-ids:wa/ana").trim(), "100");
    assert_eq!(length("chronicle:wa/ana").trim(), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_conversations_lasts_as_long_as_what_was_said_last() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), Scope::new("tests", "a")).unwrap();
    let echoes = RedisEchoes::new(redis).keeping(9, LONG);
    let key = |key: &str| format!("eywa:{{tests/a}}:{key}");
    let list = ["", "-last", "-names", "-lengths"].map(|part| key(&format!("conversations{part}")));
    let lasts = |of: &str| -> i64 { server.say(&["PTTL", of]).trim().parse().unwrap() };
    let mark = |name: &str| Echo {
        body: EchoBody::TookOver { by: "ben".into() },
        ..echo(name)
    };
    let mut named = echo("1");
    if let EchoBody::User { name, .. } = &mut named.body {
        *name = Some("Ana".to_owned());
    }
    // What is begun later lasts as well.
    echoes.append(&ana(), None, &[mark("0")]).await.unwrap();
    echoes.append(&ana(), None, &[named]).await.unwrap();
    for n in 2..8 {
        let said = lasts(&key("echoes:wa/ana"));
        for key in &list {
            assert!(lasts(key) >= said, "{key} ends before what was said");
            // Much later.
            server.say(&["PEXPIRE", key, "60000"]);
        }
        let next = [mark(&n.to_string())];
        echoes.append(&ana(), None, &next).await.unwrap();
    }
}

fn echo(name: &str) -> Echo {
    let body = EchoBody::User {
        name: None,
        text: "hi".into(),
        attachments: vec![],
        findings: vec![],
    };
    Echo {
        id: name.into(),
        at: Timestamp::now(),
        pulse: None,
        body,
    }
}

/// An entry of the Pulse `a`.
fn entry() -> Entry {
    let now = Timestamp::now();
    Entry {
        pulse: pulse("a").id,
        session: ana(),
        spirit: SpiritName::from("a"),
        outcome: Outcome::Answered,
        reason: String::new(),
        received_at: now,
        ended_at: now,
        attempt: 1,
        steps: vec![],
        usage: Default::default(),
    }
}

/// Writes something under every key of the schema.
async fn exercise(redis: &Redis, vigil: &RedisVigil) {
    let session = ana();
    let bond = RedisBond::new(redis.clone());
    let guard = bond.acquire(&session, LONG).await.unwrap().unwrap();
    bond.acquire_or_wait(&session, LONG, &pulse("b").id, 1)
        .await
        .unwrap();
    let inbox = RedisInbox::new(redis.clone());
    inbox
        .accept(&[pulse("a"), pulse("b")], Duration::ZERO)
        .await
        .unwrap();
    until("the leases to end", async || {
        (inbox.reclaim(9, Duration::ZERO).await.unwrap().len() == 2).then_some(())
    })
    .await;
    inbox.mark(&pulse("a").id, Speech::Unknown).await.unwrap();
    let now = Timestamp::now();
    let echoes = RedisEchoes::new(redis.clone());
    echoes
        .append(&session, Some(guard.fence), &[echo("1")])
        .await
        .unwrap();
    let memory = RedisMemory::new(redis.clone());
    memory
        .keep(&session, guard.fence, &Default::default(), LONG)
        .await
        .unwrap();
    memory.tally(&session, Tally::Pulses, 1).await.unwrap();
    memory.tally(&session, Tally::Tokens, 1).await.unwrap();
    RedisChronicle::new(redis.clone())
        .append(&entry())
        .await
        .unwrap();
    RedisRites::new(redis.clone())
        .park(&suites::rite::asked("refund"))
        .await
        .unwrap();
    let imprint = RedisImprint::new(redis.clone());
    let fact = [Fact {
        text: "Likes tea.".into(),
        at: now,
    }];
    imprint
        .amend(&session, &[], &fact, 1, Keeping::default())
        .await
        .unwrap();
    imprint.advance(None, 1, &[]).await.unwrap();
    imprint
        .advance(Some(1), 2, std::slice::from_ref(&session))
        .await
        .unwrap();
    imprint.claim("a", 1, LONG).await.unwrap();
    let own = Target::Session(session.clone());
    vigil
        .begin_speaking(&session, guard.fence, LONG)
        .await
        .unwrap();
    vigil.take_over(&own, "ana", now).await.unwrap();
    vigil.note(&session, &pulse("a").id, now).await.unwrap();
    vigil
        .release(&own, "ana", ReleaseReason::Human, now)
        .await
        .unwrap();
    vigil
        .request(&Target::Session(SessionKey::new("wa", "ben")), "help", now)
        .await
        .unwrap();
    vigil
        .take_over(&Target::Everyone, "ben", now)
        .await
        .unwrap();
    vigil.note(&session, &pulse("a").id, now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_goes_away_is_unavailable_within_bounds_and_heals_with_its_data() {
    let mut server = RedisServer::start();
    let redis = Redis::new(&server.url(), Scope::new("tests", "a")).unwrap();
    let (bond, inbox) = (
        RedisBond::new(redis.clone()),
        RedisInbox::new(redis.clone()),
    );
    let vigil = RedisVigil::new(redis.clone());
    let guard = bond.acquire(&ana(), LONG).await.unwrap().unwrap();
    inbox.accept(&[pulse("a")], LONG).await.unwrap();
    vigil
        .take_over(&Target::Everyone, "ben", Timestamp::now())
        .await
        .unwrap();
    assert_eq!(
        vigil
            .settle(&Target::Everyone, Timestamp::now())
            .await
            .unwrap()
            .phase,
        Phase::Active
    );

    server.stop();
    let (session, offered) = (ana(), [pulse("b")]);
    for _ in 0..50 {
        let start = Instant::now();
        let (taken, accepted) =
            tokio::join!(bond.acquire(&session, LONG), inbox.accept(&offered, LONG));
        assert!(
            matches!(taken, Err(StoreError::Unavailable { store: "redis", .. })),
            "{taken:?}"
        );
        assert!(
            matches!(accepted, Err(StoreError::Unavailable { .. })),
            "{accepted:?}"
        );
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    }

    server.start_again();
    until("Redis to heal", async || redis.ping().await.ok()).await;
    assert_eq!(
        bond.acquire(&ana(), LONG).await.unwrap(),
        None,
        "the Bond was forgotten"
    );
    assert!(bond.extend(&guard, LONG).await.unwrap());
    assert_eq!(
        inbox.accept(&[pulse("a"), pulse("b")], LONG).await.unwrap(),
        [Acceptance::Duplicate, Acceptance::New]
    );
    assert_eq!(vigil.watch(&ana()).await.unwrap().phase, Phase::Active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_unavailable_within_bounds_and_heals() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), Scope::new("tests", "a")).unwrap();
    redis.ping().await.unwrap();
    server.signal("STOP");
    let start = Instant::now();
    let pings = suites::at_once((0..100).map(|_| {
        let redis = redis.clone();
        async move { redis.ping().await }
    }));
    assert!(pings.await.iter().all(Result::is_err));
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    server.signal("CONT");
    until("Redis to heal", async || redis.ping().await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_turns_callers_away_is_asked_again() {
    let server = RedisServer::start();
    let redis = Redis::new(&server.url(), Scope::new("tests", "a")).unwrap();
    server.say(&["CONFIG", "SET", "requirepass", "fake-password"]);
    let refused = redis.ping().await.unwrap_err().to_string();
    assert!(
        refused.contains("unavailable") && refused.contains("NOAUTH"),
        "{refused}"
    );
    server.say(&["-a", "fake-password", "CONFIG", "SET", "requirepass", ""]);
    until("Redis to let the caller in", async || {
        redis.ping().await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_have_written_is_unreadable_and_says_where() {
    let server = RedisServer::start();
    let memory = RedisMemory::new(Redis::new(&server.url(), Scope::new("tests", "a")).unwrap());
    server.say(&["SET", "eywa:{tests/a}:memory:wa/ana", "not json"]);
    server.say(&["RPUSH", "eywa:{tests/a}:tally-pulses:wa/ana", "a list"]);
    for refused in [
        memory.recall(&ana()).await.unwrap_err(),
        memory.tally(&ana(), Tally::Pulses, 1).await.unwrap_err(),
    ] {
        assert!(
            matches!(&refused, StoreError::Unreadable { store: "redis", key, .. } if key.ends_with(":wa/ana")),
            "{refused:?}"
        );
    }
}
