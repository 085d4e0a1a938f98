//! What every Bond does.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use eywa_weave::{
    PulseId,
    ports::bond::{Bond, BondGuard, LONGEST_LINE, Turn},
};
use tokio::time::Instant;

use super::{LONG, SHORT, ana, at_once, ben, id, until};

macro_rules! bond_suite {
    ($open:expr) => {
        $crate::suites::behaviours!(
            bond,
            $open,
            [
                a_held_bond_is_not_taken_by_another,
                of_hundreds_who_ask_at_once_one_takes_it,
                holders_never_overlap_and_their_fences_grow,
                sessions_do_not_lock_each_other,
                another_token_changes_nothing,
                a_bond_ends_with_its_ttl_and_is_taken_with_a_larger_fence,
                a_bond_that_is_extended_outlives_its_ttl,
                an_ended_bond_is_not_its_holders_any_more,
                a_ticket_stands_in_line_once_and_in_order,
                a_free_bond_comes_with_the_oldest_tickets,
                a_full_line_takes_no_more,
                a_free_bond_with_a_full_line_serves_the_oldest,
                acquiring_looks_past_the_line,
                releasing_leaves_the_line_standing,
                the_line_is_read_while_holding_on,
                letting_go_with_nobody_waiting_frees_the_bond,
                letting_go_with_somebody_waiting_holds_on,
                a_ticket_that_joins_while_the_holder_lets_go_is_never_stranded,
                every_ticket_of_a_crowd_is_served_once,
                which_sessions_are_held_is_told_in_their_order,
            ]
        );
    };
}
pub(crate) use bond_suite;

async fn take(bond: &Arc<impl Bond>) -> BondGuard {
    bond.acquire(&ana(), LONG)
        .await
        .unwrap()
        .expect("nobody holds it")
}

async fn wait(bond: &Arc<impl Bond>, name: &str) {
    assert_eq!(
        bond.acquire_or_wait(&ana(), LONG, &id(name), 1)
            .await
            .unwrap(),
        Turn::Waiting,
        "{name}"
    );
}

fn ids(names: &[&str]) -> Vec<PulseId> {
    names.iter().map(|name| id(name)).collect()
}

pub async fn a_held_bond_is_not_taken_by_another(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    assert_eq!(guard.session, ana());
    assert_eq!(bond.acquire(&ana(), LONG).await.unwrap(), None);
    assert!(bond.release(&guard).await.unwrap());
    assert!(bond.acquire(&ana(), LONG).await.unwrap().is_some());
}

pub async fn of_hundreds_who_ask_at_once_one_takes_it(bond: Arc<impl Bond + 'static>) {
    let asked = at_once((0..300).map(|_| {
        let bond = bond.clone();
        async move { bond.acquire(&ana(), LONG).await.unwrap() }
    }));
    assert_eq!(asked.await.into_iter().flatten().count(), 1);
}

pub async fn holders_never_overlap_and_their_fences_grow(bond: Arc<impl Bond + 'static>) {
    let holders = Arc::new(AtomicUsize::new(0));
    let fence = Arc::new(AtomicU64::new(0));
    let taken = Arc::new(AtomicUsize::new(0));
    at_once((0..50).map(|_| {
        let (bond, holders, fence, taken) =
            (bond.clone(), holders.clone(), fence.clone(), taken.clone());
        async move {
            for _ in 0..20 {
                let Some(guard) = bond.acquire(&ana(), LONG).await.unwrap() else {
                    continue;
                };
                assert_eq!(holders.fetch_add(1, SeqCst), 0, "two hold the Bond");
                assert!(
                    fence.swap(guard.fence.0, SeqCst) < guard.fence.0,
                    "the fence did not grow"
                );
                assert!(bond.extend(&guard, LONG).await.unwrap());
                taken.fetch_add(1, SeqCst);
                holders.fetch_sub(1, SeqCst);
                assert!(bond.release(&guard).await.unwrap());
            }
        }
    }))
    .await;
    assert!(taken.load(SeqCst) > 1, "nobody followed the first holder");
}

pub async fn sessions_do_not_lock_each_other(bond: Arc<impl Bond>) {
    take(&bond).await;
    assert!(bond.acquire(&ben(), LONG).await.unwrap().is_some());
}

pub async fn another_token_changes_nothing(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    wait(&bond, "a").await;
    let forged = BondGuard {
        token: "0".repeat(guard.token.len()),
        ..guard.clone()
    };
    assert!(!bond.extend(&forged, SHORT).await.unwrap());
    assert_eq!(bond.line(&forged, 9).await.unwrap(), []);
    assert_eq!(bond.release_or_next(&forged, SHORT, 9).await.unwrap(), []);
    assert!(!bond.release(&forged).await.unwrap());
    assert_eq!(bond.acquire(&ana(), LONG).await.unwrap(), None);
    assert_eq!(bond.line(&guard, 9).await.unwrap(), ids(&["a"]));
}

pub async fn a_bond_ends_with_its_ttl_and_is_taken_with_a_larger_fence(bond: Arc<impl Bond>) {
    let start = Instant::now();
    let first = bond.acquire(&ana(), SHORT).await.unwrap().unwrap();
    let second = until("the Bond to end", async || {
        bond.acquire(&ana(), LONG).await.unwrap()
    })
    .await;
    // A store's clock may be a millisecond off.
    assert!(
        start.elapsed() + Duration::from_millis(2) >= SHORT,
        "it ended after {:?}",
        start.elapsed()
    );
    assert!(second.fence > first.fence);
    assert_ne!(second.token, first.token);
}

pub async fn a_bond_that_is_extended_outlives_its_ttl(bond: Arc<impl Bond>) {
    let guard = bond.acquire(&ana(), SHORT).await.unwrap().unwrap();
    assert!(bond.extend(&guard, LONG).await.unwrap());
    let other = bond.acquire(&ben(), SHORT).await.unwrap().unwrap();
    until("a Bond of the same TTL to end", async || {
        bond.acquire(&ben(), SHORT).await.unwrap()
    })
    .await;
    assert!(other.fence > guard.fence);
    assert_eq!(bond.acquire(&ana(), LONG).await.unwrap(), None);
    // Shortening is extending too.
    assert!(bond.extend(&guard, SHORT).await.unwrap());
    until("the Bond to end", async || {
        bond.acquire(&ana(), LONG).await.unwrap()
    })
    .await;
}

pub async fn an_ended_bond_is_not_its_holders_any_more(bond: Arc<impl Bond>) {
    let first = bond.acquire(&ana(), SHORT).await.unwrap().unwrap();
    let second = until("the Bond to end", async || {
        bond.acquire(&ana(), LONG).await.unwrap()
    })
    .await;
    wait(&bond, "a").await;
    assert!(!bond.extend(&first, LONG).await.unwrap());
    assert_eq!(bond.release_or_next(&first, LONG, 9).await.unwrap(), []);
    assert!(!bond.release(&first).await.unwrap());
    assert_eq!(bond.line(&second, 9).await.unwrap(), ids(&["a"]));
    assert!(bond.release(&second).await.unwrap());
}

pub async fn a_ticket_stands_in_line_once_and_in_order(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    for name in ["a", "b", "a", "c", "b"] {
        wait(&bond, name).await;
    }
    assert_eq!(bond.line(&guard, 9).await.unwrap(), ids(&["a", "b", "c"]));
}

pub async fn a_free_bond_comes_with_the_oldest_tickets(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    wait(&bond, "a").await;
    wait(&bond, "b").await;
    assert!(bond.release(&guard).await.unwrap());
    let Turn::Yours { guard, tickets } = bond
        .acquire_or_wait(&ana(), LONG, &id("c"), 2)
        .await
        .unwrap()
    else {
        panic!("the Bond was free");
    };
    assert_eq!(tickets, ids(&["a", "b"]));
    assert_eq!(bond.acquire(&ana(), LONG).await.unwrap(), None);
    assert_eq!(
        bond.release_or_next(&guard, LONG, 9).await.unwrap(),
        ids(&["c"])
    );
    assert_eq!(bond.release_or_next(&guard, LONG, 9).await.unwrap(), []);
    // None to take is one to take.
    let turn = bond
        .acquire_or_wait(&ana(), LONG, &id("d"), 0)
        .await
        .unwrap();
    assert!(matches!(turn, Turn::Yours { tickets, .. } if tickets == ids(&["d"])));
}

pub async fn a_full_line_takes_no_more(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    for n in 0..LONGEST_LINE {
        wait(&bond, &n.to_string()).await;
    }
    assert_eq!(
        bond.acquire_or_wait(&ana(), LONG, &id("late"), 1)
            .await
            .unwrap(),
        Turn::Full
    );
    // Who stands there already goes on standing there.
    wait(&bond, "7").await;
    let line = bond.line(&guard, usize::MAX).await.unwrap();
    assert_eq!(line.len(), LONGEST_LINE);
    assert!(!line.contains(&id("late")));
}

pub async fn a_free_bond_with_a_full_line_serves_the_oldest(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    for n in 0..LONGEST_LINE {
        wait(&bond, &n.to_string()).await;
    }
    assert!(bond.release(&guard).await.unwrap());
    let Turn::Yours { guard, tickets } = bond
        .acquire_or_wait(&ana(), LONG, &id("late"), 1)
        .await
        .unwrap()
    else {
        panic!("the Bond was free");
    };
    assert_eq!(tickets, ids(&["0"]));
    let line = bond.line(&guard, usize::MAX).await.unwrap();
    assert_eq!((line.len(), line.last()), (LONGEST_LINE, Some(&id("late"))));
}

pub async fn acquiring_looks_past_the_line(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    wait(&bond, "a").await;
    assert!(bond.release(&guard).await.unwrap());
    let guard = take(&bond).await;
    assert_eq!(bond.line(&guard, 9).await.unwrap(), ids(&["a"]));
}

pub async fn releasing_leaves_the_line_standing(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    wait(&bond, "a").await;
    assert!(bond.release(&guard).await.unwrap());
    let turn = bond
        .acquire_or_wait(&ana(), LONG, &id("a"), 9)
        .await
        .unwrap();
    assert!(matches!(turn, Turn::Yours { tickets, .. } if tickets == ids(&["a"])));
}

pub async fn the_line_is_read_while_holding_on(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    assert_eq!(bond.line(&guard, 9).await.unwrap(), []);
    for name in ["a", "b", "c"] {
        wait(&bond, name).await;
    }
    assert_eq!(bond.line(&guard, 2).await.unwrap(), ids(&["a", "b"]));
    assert_eq!(bond.line(&guard, 2).await.unwrap(), ids(&["c"]));
    assert_eq!(bond.acquire(&ana(), LONG).await.unwrap(), None);
}

pub async fn letting_go_with_nobody_waiting_frees_the_bond(bond: Arc<impl Bond>) {
    let guard = take(&bond).await;
    assert_eq!(bond.release_or_next(&guard, LONG, 9).await.unwrap(), []);
    assert!(!bond.extend(&guard, LONG).await.unwrap());
    take(&bond).await;
}

pub async fn letting_go_with_somebody_waiting_holds_on(bond: Arc<impl Bond>) {
    let guard = bond.acquire(&ana(), SHORT * 10).await.unwrap().unwrap();
    for name in ["a", "b", "c"] {
        wait(&bond, name).await;
    }
    assert_eq!(
        bond.release_or_next(&guard, LONG, 2).await.unwrap(),
        ids(&["a", "b"])
    );
    // The new TTL counts, not what was left of the old one.
    until("a Bond of the first TTL to end", {
        bond.acquire(&ben(), SHORT * 10).await.unwrap().unwrap();
        async || bond.acquire(&ben(), LONG).await.unwrap()
    })
    .await;
    assert_eq!(bond.acquire(&ana(), LONG).await.unwrap(), None);
    assert_eq!(
        bond.release_or_next(&guard, LONG, 2).await.unwrap(),
        ids(&["c"])
    );
    assert_eq!(bond.release_or_next(&guard, LONG, 2).await.unwrap(), []);
    take(&bond).await;
}

pub async fn a_ticket_that_joins_while_the_holder_lets_go_is_never_stranded(
    bond: Arc<impl Bond + 'static>,
) {
    for round in 0..300 {
        let guard = take(&bond).await;
        let joining = tokio::spawn({
            let bond = bond.clone();
            async move {
                bond.acquire_or_wait(&ana(), LONG, &id("a"), 9)
                    .await
                    .unwrap()
            }
        });
        let found = bond.release_or_next(&guard, LONG, 9).await.unwrap();
        match joining.await.unwrap() {
            Turn::Yours { guard, tickets } => {
                assert_eq!((found, tickets), (vec![], ids(&["a"])), "round {round}");
                assert!(bond.release(&guard).await.unwrap());
            }
            Turn::Waiting => {
                assert_eq!(found, ids(&["a"]), "stranded in round {round}");
                assert!(bond.release(&guard).await.unwrap());
            }
            Turn::Full => panic!("nobody else waits"),
        }
    }
}

pub async fn every_ticket_of_a_crowd_is_served_once(bond: Arc<impl Bond + 'static>) {
    let holders = Arc::new(AtomicUsize::new(0));
    let served = at_once((0..90).map(|n| {
        let (bond, holders) = (bond.clone(), holders.clone());
        async move {
            let turn = bond
                .acquire_or_wait(&ana(), LONG, &id(&n.to_string()), 3)
                .await
                .unwrap();
            let Turn::Yours { guard, mut tickets } = turn else {
                return Vec::new();
            };
            let mut served = Vec::new();
            while !tickets.is_empty() {
                assert_eq!(holders.fetch_add(1, SeqCst), 0, "two hold the Bond");
                served.append(&mut tickets);
                tokio::task::yield_now().await;
                holders.fetch_sub(1, SeqCst);
                tickets = bond.release_or_next(&guard, LONG, 3).await.unwrap();
            }
            served
        }
    }));
    let mut times: HashMap<PulseId, usize> = HashMap::new();
    for ticket in served.await.into_iter().flatten() {
        *times.entry(ticket).or_default() += 1;
    }
    assert_eq!(times.len(), 90, "some were stranded");
    assert!(
        times.values().all(|times| *times == 1),
        "some were served twice"
    );
    take(&bond).await;
}

pub async fn which_sessions_are_held_is_told_in_their_order(bond: Arc<impl Bond>) {
    assert_eq!(bond.busy(&[]).await.unwrap(), [] as [bool; 0]);
    let guard = bond.acquire(&ben(), LONG).await.unwrap().unwrap();
    let (ana, ben) = (ana(), ben());
    let sessions = [ana.clone(), ben.clone(), ana];
    assert_eq!(bond.busy(&sessions).await.unwrap(), [false, true, false]);
    bond.release(&guard).await.unwrap();
    assert_eq!(bond.busy(&[ben]).await.unwrap(), [false]);
}
