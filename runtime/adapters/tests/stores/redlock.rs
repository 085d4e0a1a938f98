//! The Bond by majority, on real Redis servers.

use std::{
    net::TcpListener,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use eywa_adapters::{
    bond::{RedlockBond, TooFewServers},
    redis::{Redis, Scope},
};
use eywa_weave::{StoreError, ports::Bond};
use secrecy::SecretString;

use crate::{
    redis::server::RedisServer,
    suites::{self, LONG, SHORT, ana, at_once, id, until},
};

/// Five servers for the whole process; each test has a Spirit of its own in them.
static SERVERS: LazyLock<Vec<RedisServer>> =
    LazyLock::new(|| (0..5).map(|_| RedisServer::start()).collect());

fn scope() -> Scope {
    static SPIRITS: AtomicUsize = AtomicUsize::new(0);
    Scope::new(
        "redlock",
        &format!("spirit-{}", SPIRITS.fetch_add(1, SeqCst)),
    )
}

fn redis(url: &SecretString, scope: &Scope) -> Redis {
    Redis::new(url, scope.clone()).unwrap()
}

/// A Bond over the first `servers`, those of `dead` away: nobody listens there.
fn bond(scope: &Scope, servers: usize, dead: u32) -> RedlockBond {
    let nowhere = SecretString::from("redis://127.0.0.1:1");
    let nodes = SERVERS[..servers].iter().enumerate();
    let nodes = nodes.map(|(node, server)| match dead >> node & 1 {
        0 => redis(&server.url(), scope),
        _ => redis(&nowhere, scope),
    });
    RedlockBond::new(nodes.collect()).unwrap()
}

mod of_three {
    use super::*;
    suites::bond_suite!(async || Arc::new(bond(&scope(), 3, 0)));
}

mod of_five_with_two_away {
    use super::*;
    suites::bond_suite!(async || Arc::new(bond(&scope(), 5, 0b11000)));
}

#[test]
fn two_servers_are_too_few() {
    let nodes = SERVERS[..2]
        .iter()
        .map(|server| redis(&server.url(), &scope()));
    assert_eq!(
        RedlockBond::new(nodes.collect()).unwrap_err(),
        TooFewServers(2)
    );
}

/// The first server holds the fence and the line, so it is needed; of the others, enough for a majority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_takes_and_extends_and_a_minority_fails_for_every_set_of_dead_servers() {
    for dead in 0..32_u32 {
        let scope = scope();
        let bond = bond(&scope, 5, dead);
        let taken = bond.acquire(&ana(), LONG).await;
        if dead.count_ones() <= 2 && dead & 1 == 0 {
            let guard = taken.unwrap().expect("nobody holds it");
            assert!(bond.extend(&guard, LONG).await.unwrap(), "{dead:05b}");
            assert_eq!(
                bond.acquire(&ana(), LONG).await.unwrap(),
                None,
                "{dead:05b}"
            );
            assert!(bond.release(&guard).await.unwrap(), "{dead:05b}");
        } else {
            assert!(
                matches!(taken, Err(StoreError::Unavailable { .. })),
                "{dead:05b}: {taken:?}"
            );
            // What the minority took is let go, so that those who see all servers are not kept waiting.
            let whole = self::bond(&scope, 5, 0);
            assert!(
                whole.acquire(&ana(), LONG).await.unwrap().is_some(),
                "{dead:05b}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_everything_lets_nobody_else_in() {
    let scope = scope();
    let servers: Vec<RedisServer> = (0..3).map(|_| RedisServer::start()).collect();
    let open =
        || RedlockBond::new(servers.iter().map(|s| redis(&s.url(), &scope)).collect()).unwrap();
    for forgetful in &servers {
        let (ours, theirs) = (open(), open());
        let guard = ours.acquire(&ana(), LONG).await.unwrap().unwrap();
        until("every server to know of the Bond", async || {
            let knows = |server: &RedisServer| !server.say(&["KEYS", "*:bond:*"]).trim().is_empty();
            servers.iter().all(knows).then_some(())
        })
        .await;
        forgetful.say(&["FLUSHALL"]);
        assert_eq!(theirs.acquire(&ana(), LONG).await.unwrap(), None);
        assert!(ours.extend(&guard, LONG).await.unwrap());
        assert!(ours.release(&guard).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_lost_its_majority_is_told_so() {
    let scope = scope();
    let servers: Vec<RedisServer> = (0..3).map(|_| RedisServer::start()).collect();
    let bond = RedlockBond::new(servers.iter().map(|s| redis(&s.url(), &scope)).collect()).unwrap();
    let guard = bond.acquire(&ana(), LONG).await.unwrap().unwrap();
    servers[1].say(&["FLUSHALL"]);
    servers[2].say(&["FLUSHALL"]);
    assert!(!bond.extend(&guard, LONG).await.unwrap());
    let next = bond.acquire(&ana(), LONG).await;
    // One server still has the old token, two are free: a majority.
    let next = next.unwrap().expect("a majority is free");
    assert!(next.fence > guard.fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_answers_delays_nobody_much() {
    let scope = scope();
    // The kernel accepts; nobody ever reads.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = SecretString::from(format!("redis://{}", mute.local_addr().unwrap()));
    let nodes = vec![
        redis(&SERVERS[0].url(), &scope),
        redis(&url, &scope),
        redis(&SERVERS[1].url(), &scope),
    ];
    let bond = RedlockBond::new(nodes).unwrap();
    let whole = tokio::time::timeout(Duration::from_secs(4), async {
        let guard = bond.acquire(&ana(), LONG).await.unwrap().unwrap();
        assert!(bond.extend(&guard, LONG).await.unwrap());
        assert!(bond.release(&guard).await.unwrap());
    });
    whole.await.expect("two of three answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_split_the_servers_between_them_all_let_go_and_one_gets_in() {
    for _ in 0..20 {
        let bond = Arc::new(bond(&scope(), 5, 0));
        let asked = at_once((0..12).map(|_| {
            let bond = bond.clone();
            async move { bond.acquire(&ana(), LONG).await }
        }));
        let asked = asked.await;
        let taken = asked
            .iter()
            .filter(|taken| matches!(taken, Ok(Some(_))))
            .count();
        assert!(taken <= 1, "{taken} hold the Bond");
        let held = asked
            .iter()
            .filter(|taken| matches!(taken, Ok(None)))
            .count();
        assert!(
            taken == 1 || held == 0,
            "{held} were told that somebody holds it, and nobody does"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_holders_bond_ends_everywhere_and_its_line_is_served() {
    let bond = Arc::new(bond(&scope(), 3, 0));
    bond.acquire(&ana(), SHORT).await.unwrap().unwrap();
    bond.acquire_or_wait(&ana(), LONG, &id("a"), 1)
        .await
        .unwrap();
    let served = until("the Bond to end", async || {
        match bond
            .acquire_or_wait(&ana(), LONG, &id("b"), 9)
            .await
            .unwrap()
        {
            eywa_weave::ports::bond::Turn::Yours { tickets, .. } => Some(tickets),
            _ => None,
        }
    });
    assert_eq!(served.await, [id("a"), id("b")]);
}
