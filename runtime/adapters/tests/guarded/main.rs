//! The guard at run time: every place of the adapters that makes a request by a URL from outside, against names, redirects
//! and answers that mean no good. What manifests may say is in `crds/tests/compile.rs`.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

mod places;
mod world;

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    places::{FIXED, PLACES, Place, Tells},
    world::{Answer, Names, Server, packed},
};

/// The longest that one place may take with one answer, on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
/// What is underway in the kernel's buffers, and in pieces that were read and not looked at.
const UNDERWAY: usize = 16 * 1024 * 1024;

/// Addresses that no public host has.
const FORBIDDEN: [&str; 24] = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
];

async fn asked(place: &Place, client: eywa_guard::GuardedClient, url: Url) -> places::Said {
    let name = place.name;
    timeout(WITHIN, (place.ask)(client, url))
        .await
        .unwrap_or_else(|_| panic!("{name} took longer than {WITHIN:?}"))
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !is() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A name that was sound when the manifest was applied may lead anywhere later.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_a_forbidden_address_is_never_connected_to() {
    let canary = Server::start(Answer::Nothing).await;
    let port = canary.address.port();
    let names = Names::default();
    let (public, local) = (names.client(false), names.client(true));
    let mut wrong = Vec::new();
    for address in FORBIDDEN {
        let address: IpAddr = address.parse().unwrap();
        names.lead_to(address);
        for place in &PLACES {
            // A file of WhatsApp is heard of on this machine here, which its client then may reach.
            let on_this_machine = place.name == "a file of WhatsApp";
            if on_this_machine && address.to_canonical().is_loopback() {
                continue;
            }
            let client = if on_this_machine { &local } else { &public };
            let before = names.asked();
            let url = format!("https://place.example:{port}/").parse().unwrap();
            let said = asked(place, client.clone(), url).await;
            let name = place.name;
            if names.asked() == before {
                wrong.push(format!("{name} looked nothing up for {address}: {said:?}"));
            }
            if place.tells != Tells::Nothing && !is_refused(&said) {
                wrong.push(format!("{name}, {address}: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(canary.came(), 0, "somebody went to this machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_where_nobody_may_go_is_refused_at_every_hop() {
    let canary = Server::start(Answer::Nothing).await;
    let port = canary.address.port();
    let names = Names::default();
    let client = names.client(true);
    let targets = [
        // Were one of these followed, it would come to the canary.
        (format!("http://canary.example:{port}/"), "127.0.0.1"),
        (format!("http://canary:{port}/"), "127.0.0.1"),
        (format!("http://canary.other.svc:{port}/"), "127.0.0.1"),
        (format!("http://user:pw@127.0.0.1:{port}/"), "127.0.0.1"),
        (format!("gopher://127.0.0.1:{port}/"), "127.0.0.1"),
        (format!("https://canary.example:{port}/"), "169.254.169.254"),
        (
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "127.0.0.1",
        ),
        ("http://[::ffff:169.254.169.254]/".to_owned(), "127.0.0.1"),
        ("http://[fe80::1]/".to_owned(), "127.0.0.1"),
        ("http://10.0.0.1/".to_owned(), "127.0.0.1"),
        ("http://metadata.google.internal/".to_owned(), "127.0.0.1"),
        ("file:///etc/passwd".to_owned(), "127.0.0.1"),
    ];
    let mut wrong = Vec::new();
    for (target, leads_to) in targets {
        names.lead_to(leads_to.parse().unwrap());
        for (status, hops) in [
            ("302 Found", 1),
            ("307 Temporary Redirect", 2),
            ("303 See Other", 4),
        ] {
            for place in &PLACES {
                let server = Server::start(Answer::Redirect(status, hops, target.clone())).await;
                let name = place.name;
                let said = asked(place, client.clone(), server.url()).await;
                // What is not read alone is sent nowhere else, not even to ask whether it may be.
                let right = match place.tells {
                    Tells::Nothing => true,
                    _ => said.is_err() && is_refused(&said) == place.follows,
                };
                if !right || server.asked() == 0 {
                    wrong.push(format!("{name}, {target} after {hops}: {said:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(canary.came(), 0, "somebody went to this machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_read_up_to_a_limit() {
    let client = Names::default().client(true);
    let mut wrong = Vec::new();
    for place in &PLACES {
        let server = Server::start(Answer::Endless).await;
        let said = asked(place, client.clone(), server.url()).await;
        until(place.name, || server.ended() > 0).await;
        let taken = server.longest();
        if !is_bounded(place, &said) || taken > place.reads + UNDERWAY {
            wrong.push(format!("{} took {taken} bytes: {said:?}", place.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_unpacks_to_a_thousand_times_its_size_is_read_up_to_a_limit() {
    let bomb = packed(96);
    assert!(bomb.len() < 512 * 1024, "{}", bomb.len());
    let client = Names::default().client(true);
    let mut wrong = Vec::new();
    for place in &PLACES {
        let server = Server::start(Answer::Packed(bomb.clone())).await;
        let said = asked(place, client.clone(), server.url()).await;
        if !is_bounded(place, &said) || server.asked() == 0 {
            wrong.push(format!("{}: {said:?}", place.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether it failed because the address may not be gone to. An address of Meta's is a key to a file, and is not told.
fn is_refused(said: &places::Said) -> bool {
    let words = [
        "is not allowed",
        "its address is not one that this Spirit may reach",
    ];
    said.as_ref()
        .is_err_and(|error| words.iter().any(|words| error.contains(words)))
}

/// Whether this came of an answer that is longer than anybody reads: an error that says so, or nothing of it.
fn is_bounded(place: &Place, said: &places::Said) -> bool {
    let words = [
        "more than",
        "longer than",
        "exceeded",
        "too large",
        "too long",
    ];
    match (place.tells, said) {
        (Tells::All, Err(error)) => words.iter().any(|words| error.contains(words)),
        (Tells::All, Ok(_)) => false,
        (Tells::Beginnings, said) => said.as_ref().is_ok_and(|length| *length < 65 * 1024),
        (Tells::NotOfBodies | Tells::Nothing, said) => {
            !said.as_ref().is_ok_and(|length| *length > 0)
        }
    }
}

/// A file that makes requests and is in no list is a place that nobody looked at.
#[test]
fn every_place_that_makes_requests_is_in_the_list() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let asks = [".request(", "bare_client_for(", "reqwest::Client::builder"];
                let file = path.strip_prefix(&source).unwrap().display().to_string();
                if asks.iter().any(|asks| code.contains(asks)) && !file.contains("tests") {
                    files.insert(file);
                }
            }
        }
    }
    let listed: BTreeSet<String> = PLACES
        .iter()
        .map(|place| place.file)
        .chain(FIXED.iter().map(|(file, _)| *file))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        files, listed,
        "a place is missing in places.rs, or is there no more"
    );
}
