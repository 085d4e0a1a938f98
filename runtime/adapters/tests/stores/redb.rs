//! The stores in a file, and what a file adds: it outlives the process.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use eywa_adapters::{
    attachments::RedbAttachments,
    chronicle::RedbChronicle,
    contacts::RedbContacts,
    echoes::RedbEchoes,
    imprint::RedbImprint,
    inbox::RedbInbox,
    memory::RedbMemory,
    redb::{OpenError, Redb},
    rite::RedbRites,
    vigil::RedbVigil,
};
use eywa_weave::{
    Echo, EchoBody, StoreError,
    ports::{
        Echoes, Inbox, Memory, Vigil,
        bond::Fence,
        inbox::{Acceptance, Speech},
        memory::{Recollection, Tally},
        vigil::{Permit, Phase, Target},
    },
};
use jiff::Timestamp;

use crate::suites::{self, LONG, ana, id, pulse};

/// The stores of a Spirit of its own, in a file that all tests share.
fn spirit() -> Redb {
    static FILE: OnceLock<Redb> = OnceLock::new();
    static SPIRITS: AtomicU32 = AtomicU32::new(0);
    let file = FILE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        // The folder goes at once; the file lives for as long as it is open.
        Redb::open(folder.path(), "shared").unwrap()
    });
    file.of(&format!(
        "spirit-{}",
        SPIRITS.fetch_add(1, Ordering::Relaxed)
    ))
}

fn open(folder: &Path) -> Redb {
    Redb::open(folder, "barista").unwrap()
}

mod attachments {
    use super::*;
    suites::attachments_suite!(async || Arc::new(RedbAttachments::new(spirit())));
}

mod contacts {
    use super::*;
    suites::contacts_suite!(async || Arc::new(RedbContacts::new(spirit())));
}

mod chronicle {
    use super::*;
    suites::chronicle_suite!(async || Arc::new(RedbChronicle::new(spirit())));
}

mod echoes {
    use super::*;
    suites::echoes_suite!(async || Arc::new(RedbEchoes::new(spirit())));
}

mod imprint {
    use super::*;
    suites::imprint_suite!(async || Arc::new(RedbImprint::new(spirit())));
}

mod inbox {
    use super::*;
    suites::inbox_suite!(async || Arc::new(RedbInbox::new(spirit())));
}

mod memory {
    use super::*;
    suites::memory_suite!(async || Arc::new(RedbMemory::new(spirit())));
}

mod rite {
    use super::*;
    suites::rite_suite!(async || Arc::new(RedbRites::new(spirit())));
}

mod vigil {
    use super::*;
    suites::vigil_suite!(async || Arc::new(RedbVigil::new(spirit())));
}

fn echo(name: &str) -> Echo {
    let body = EchoBody::User {
        name: None,
        text: format!("text of {name}"),
        attachments: Vec::new(),
        findings: vec![],
    };
    Echo {
        id: name.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        pulse: Some(id(name)),
        body,
    }
}

#[tokio::test]
async fn everything_is_there_after_it_was_closed_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let remembered = Recollection {
        spirit: Some("billing".into()),
        ..Recollection::default()
    };
    {
        let redb = open(folder.path());
        let inbox = RedbInbox::new(redb.clone());
        inbox
            .accept(&[pulse("a"), pulse("b")], Duration::ZERO)
            .await
            .unwrap();
        inbox.mark(&id("b"), Speech::Spoken).await.unwrap();
        inbox.finish(&[id("a")]).await.unwrap();
        RedbEchoes::new(redb.clone())
            .append(&ana(), Some(Fence(7)), &[echo("a")])
            .await
            .unwrap();
        let memory = RedbMemory::new(redb.clone());
        memory
            .keep(&ana(), Fence(7), &remembered, LONG)
            .await
            .unwrap();
        memory.tally(&ana(), Tally::Tokens, 40).await.unwrap();
        let vigil = RedbVigil::new(redb);
        vigil
            .take_over(&Target::Session(ana()), "ben", at)
            .await
            .unwrap();
        vigil.settle(&Target::Session(ana()), at).await.unwrap();
        vigil.note(&ana(), &id("a"), at).await.unwrap();
    }
    let redb = open(folder.path());
    let inbox = RedbInbox::new(redb.clone());
    let offered = [pulse("a"), pulse("b"), pulse("c")];
    let said = inbox.accept(&offered, LONG).await.unwrap();
    assert_eq!(
        said,
        [
            Acceptance::Duplicate,
            Acceptance::Duplicate,
            Acceptance::New
        ]
    );
    let found = inbox.reclaim(9, LONG).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0].pulse, found[0].attempt, found[0].speech),
        (&pulse("b"), 2, Speech::Spoken)
    );
    assert_eq!(
        RedbEchoes::new(redb.clone())
            .recent(&ana(), 9)
            .await
            .unwrap(),
        [echo("a")]
    );
    let memory = RedbMemory::new(redb.clone());
    assert_eq!(memory.recall(&ana()).await.unwrap(), remembered);
    assert_eq!(memory.tally(&ana(), Tally::Tokens, 2).await.unwrap(), 42);
    let vigil = RedbVigil::new(redb);
    vigil.note(&ana(), &id("a"), at).await.unwrap();
    let watch = vigil.watch(&ana()).await.unwrap();
    assert_eq!(
        (watch.phase, watch.by.as_str(), watch.unanswered),
        (Phase::Active, "ben", 1)
    );
}

#[tokio::test]
async fn bonds_are_counted_from_the_beginning_by_a_process_that_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    {
        let redb = open(folder.path());
        let echoes = RedbEchoes::new(redb.clone());
        echoes
            .append(&ana(), Some(Fence(7)), &[echo("a")])
            .await
            .unwrap();
        let late = echoes.append(&ana(), Some(Fence(6)), &[echo("late")]).await;
        assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
        let speaking = RedbVigil::new(redb)
            .begin_speaking(&ana(), Fence(7), LONG)
            .await
            .unwrap();
        assert_eq!(speaking, Permit::Granted);
    }
    let redb = open(folder.path());
    RedbEchoes::new(redb.clone())
        .append(&ana(), Some(Fence(1)), &[echo("b")])
        .await
        .unwrap();
    RedbMemory::new(redb.clone())
        .keep(&ana(), Fence(1), &Recollection::default(), LONG)
        .await
        .unwrap();
    let vigil = RedbVigil::new(redb);
    vigil
        .take_over(&Target::Session(ana()), "ben", Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    let watch = vigil
        .settle(&Target::Session(ana()), Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(
        watch.phase,
        Phase::Active,
        "who spoke then does not speak any more"
    );
}

#[tokio::test]
async fn spirits_in_one_file_know_nothing_of_each_other() {
    let (one, other) = (spirit(), spirit());
    for redb in [&one, &other] {
        let said = RedbInbox::new(redb.clone())
            .accept(&[pulse("a")], LONG)
            .await
            .unwrap();
        assert_eq!(said, [Acceptance::New]);
        assert_eq!(
            RedbInbox::new(redb.clone()).depth().await.unwrap().pulses,
            1
        );
    }
    RedbVigil::new(one)
        .take_over(&Target::Everyone, "ben", Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(
        RedbVigil::new(other).watch(&ana()).await.unwrap().phase,
        Phase::Watching
    );
}

const FOLDER: &str = "EYWA_TEST_REDB_FOLDER";

/// The other process of the test below: takes a Pulse in, says so, and is killed.
#[tokio::test]
#[ignore = "run by what_was_accepted_survives_a_kill as its other process"]
async fn the_process_that_is_killed() {
    let folder = env::var(FOLDER).expect("run by another test, which says where");
    let redb = open(Path::new(&folder));
    RedbInbox::new(redb.clone())
        .accept(&[pulse("a")], Duration::ZERO)
        .await
        .unwrap();
    RedbEchoes::new(redb.clone())
        .append(&ana(), None, &[echo("a")])
        .await
        .unwrap();
    println!("\nit is written");
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
    drop(redb);
}

#[tokio::test]
async fn what_was_accepted_survives_a_kill_and_no_two_processes_have_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "redb::the_process_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(other.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(
        said.any(|line| line == "it is written"),
        "the other process ended before it had written"
    );

    let refused = Redb::open(folder.path(), "barista").unwrap_err();
    assert!(matches!(&refused, OpenError::InUse(_)), "{refused}");
    assert!(
        refused.to_string().contains("in use by another process"),
        "{refused}"
    );

    other.kill().unwrap();
    other.wait().unwrap();
    let redb = open(folder.path());
    let inbox = RedbInbox::new(redb.clone());
    assert_eq!(
        inbox.accept(&[pulse("a")], LONG).await.unwrap(),
        [Acceptance::Duplicate]
    );
    assert_eq!(inbox.reclaim(9, LONG).await.unwrap().len(), 1);
    assert_eq!(
        RedbEchoes::new(redb).recent(&ana(), 9).await.unwrap(),
        [echo("a")]
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Redb::open(&file.path().join("below"), "barista").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&file.path().display().to_string()),
        "{error}"
    );
}
