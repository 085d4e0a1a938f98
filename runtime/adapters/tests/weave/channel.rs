//! What a channel with files, several ids of a person, receipts and buttons adds.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eywa_adapters::{
    attachments::InMemoryAttachments,
    contacts::InMemoryContacts,
    oracle::{Asked, InMemoryOracle},
};
use eywa_weave::{
    Pulse, Spirit, Weave, WeaveBuilder,
    observe::{Event, Observer},
    ports::{
        Contacts as _, Echoes as _,
        contacts::Progress,
        oracle::{Fault, Reply, Turn},
        voice::{FetchError, Notice, Received, Rejected, Utterance, Voice, VoiceError, Webhook},
    },
    pulse::{Attachment, Choice, Media, Outcome},
    spirit::WhenBusy,
    tool::ToolCall,
    weave::choices::{OFFER_CHOICES, OfferChoices},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::scene::{
    Stores, deliver, fails, gated, last_words, parrot, pulse, says, session, spirit, until,
};

/// A channel that tells of what it was told to, has the files that it was given, and keeps what was said.
#[derive(Default)]
struct Channel {
    notices: Mutex<Vec<Notice>>,
    files: Mutex<HashMap<String, Result<Media, FetchError>>>,
    fetched: AtomicUsize,
    attended: AtomicUsize,
    said: Mutex<Vec<(String, Vec<Choice>)>>,
}

#[async_trait]
impl Voice for Channel {
    fn body_limit(&self) -> usize {
        1 << 20
    }

    fn receive(&self, webhook: Webhook<'_>) -> Result<Received, Rejected> {
        Ok(Received::Pulses {
            pulses: serde_json::from_slice(webhook.body).unwrap(),
            ignored: 0,
            notices: std::mem::take(&mut self.notices.lock().unwrap()),
        })
    }

    async fn speak(&self, utterance: Utterance<'_>) -> Result<(), VoiceError> {
        let said = (utterance.text.to_owned(), utterance.choices.to_vec());
        self.said.lock().unwrap().push(said);
        Ok(())
    }

    async fn fetch(&self, attachment: &Attachment) -> Result<Media, FetchError> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let file = self.files.lock().unwrap().get(&attachment.id).cloned();
        match file {
            Some(file) => file,
            // A channel that does not answer.
            None => std::future::pending().await,
        }
    }

    async fn attend(&self, to: &Value) -> Result<(), VoiceError> {
        assert!(to.is_string(), "where the person is reached: {to}");
        self.attended.fetch_add(1, Ordering::SeqCst);
        Err(VoiceError::Busy {
            retry_after: None,
            message: "what fails here harms nothing".to_owned(),
        })
    }

    fn attention(&self) -> Option<Duration> {
        Some(Duration::from_secs(25))
    }
}

impl Channel {
    fn tells(&self, notice: Notice) {
        self.notices.lock().unwrap().push(notice);
    }

    fn has(&self, id: &str, file: Result<&[u8], FetchError>) {
        let file = file.map(|bytes| Media {
            media_type: "image/jpeg".to_owned(),
            file_name: None,
            bytes: bytes.into(),
        });
        self.files.lock().unwrap().insert(id.to_owned(), file);
    }

    fn texts(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter().map(|(text, _)| text.clone()).collect()
    }
}

struct House {
    stores: Stores,
    channel: Arc<Channel>,
    contacts: Arc<InMemoryContacts>,
}

impl House {
    fn new() -> Self {
        Self {
            stores: Stores::new(),
            channel: Arc::new(Channel::default()),
            contacts: Arc::new(InMemoryContacts::new()),
        }
    }

    fn builder(&self, spirit: Spirit) -> WeaveBuilder {
        let unused = Arc::new(eywa_adapters::voice::InMemoryVoice::new());
        self.stores
            .builder(spirit, &unused, WhenBusy::Queue)
            .voice("wa", self.channel.clone())
            .attachments(Arc::new(InMemoryAttachments::new()))
            .contacts(self.contacts.clone())
    }

    fn pod(&self, spirit: Spirit) -> Weave {
        self.builder(spirit).build().unwrap()
    }

    async fn answered(&self, weave: &Weave, pulse: Pulse) {
        let id = pulse.id.as_str().split_once('/').unwrap().1.to_owned();
        deliver(weave, &[pulse]).await.unwrap();
        assert_eq!(self.stores.outcome(&id).await, Outcome::Answered);
    }
}

fn person(id: &str, also: &[&str]) -> Notice {
    Notice::Person {
        id: id.into(),
        also: also.iter().map(|id| (*id).into()).collect(),
    }
}

fn with_file(mut pulse: Pulse, id: &str, media_type: &str) -> Pulse {
    pulse.content.attachments.push(Attachment {
        id: id.to_owned(),
        media_type: media_type.to_owned(),
        ..Attachment::default()
    });
    pulse
}

/// The files of each of the person's turns that an Oracle was shown last, and those turns' texts.
fn shown(oracle: &InMemoryOracle) -> Vec<(String, Vec<Option<Vec<u8>>>)> {
    let asked = oracle.asked();
    let turns = &asked.last().unwrap().turns;
    let of = |turn: &Turn| match turn {
        Turn::User { text, attachments } => {
            let files = attachments
                .iter()
                .map(|file| file.media.as_ref().map(|media| media.bytes.to_vec()));
            Some((text.clone(), files.collect()))
        }
        _ => None,
    };
    turns.iter().filter_map(of).collect()
}

fn sees_pictures() -> Arc<InMemoryOracle> {
    let oracle = InMemoryOracle::new(|asked| async move { Ok(says(&last_words(&asked))) });
    Arc::new(oracle.taking(&["image/jpeg"]))
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_fetched_once_and_shown_in_this_turn_and_the_next() {
    let (house, oracle) = (House::new(), sees_pictures());
    house.channel.has("m1", Ok(b"a cup"));
    let weave = house.pod(spirit("barista", vec![oracle.clone()]));
    house
        .answered(
            &weave,
            with_file(pulse("1", "ana", "this one?"), "m1", "image/jpeg"),
        )
        .await;
    assert_eq!(
        shown(&oracle),
        [("this one?".to_owned(), vec![Some(b"a cup".to_vec())])]
    );
    house.answered(&weave, pulse("2", "ana", "or that?")).await;
    assert_eq!(shown(&oracle)[0].1, [Some(b"a cup".to_vec())]);
    assert_eq!(house.channel.fetched.load(Ordering::SeqCst), 1);
    // The desk is shown it as well, and what is stored of the conversation holds no bytes.
    let echoes = house
        .stores
        .echoes
        .recent(&session("ana"), 10)
        .await
        .unwrap();
    let file = with_file(pulse("1", "ana", ""), "m1", "image/jpeg")
        .content
        .attachments
        .remove(0);
    let media = weave.attachment(&session("ana"), &file).await.unwrap();
    assert_eq!(&media.bytes[..], b"a cup");
    assert!(!serde_json::to_string(&echoes).unwrap().contains("bytes"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_oracle_does_not_take_is_not_fetched() {
    let (house, oracle) = (House::new(), sees_pictures());
    let weave = house.pod(spirit("barista", vec![oracle.clone()]));
    house
        .answered(
            &weave,
            with_file(pulse("1", "ana", "[voice message]"), "m1", "audio/ogg"),
        )
        .await;
    assert_eq!(shown(&oracle), [("[voice message]".to_owned(), vec![None])]);
    assert_eq!(house.channel.fetched.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_had_is_told_of_and_the_turn_goes_on() {
    let (house, oracle) = (House::new(), sees_pictures());
    house.channel.has("m1", Err(FetchError::Gone));
    let weave = house.pod(spirit("barista", vec![oracle.clone()]));
    house
        .answered(
            &weave,
            with_file(pulse("1", "ana", "this one?"), "m1", "image/jpeg"),
        )
        .await;
    let (text, files) = shown(&oracle).remove(0);
    assert!(
        text.starts_with("this one?\n[A file cannot be shown to you"),
        "{text}"
    );
    assert!(text.contains("no longer has the file"), "{text}");
    assert_eq!(files, [None]);
    // One that the channel never gives does not hold the turn up either.
    house
        .answered(
            &weave,
            with_file(pulse("2", "ana", "and this?"), "m2", "image/jpeg"),
        )
        .await;
    assert!(shown(&oracle).last().unwrap().0.contains("took too long"));
}

/// An Oracle that refuses whatever comes with a picture.
fn refuses_pictures(fault: Fault) -> Arc<InMemoryOracle> {
    let oracle = InMemoryOracle::new(move |asked: Asked| async move {
        let has_picture = asked.turns.iter().any(|turn| match turn {
            Turn::User { attachments, .. } => attachments.iter().any(|file| file.media.is_some()),
            _ => false,
        });
        if has_picture {
            Err(fails(fault))
        } else {
            Ok(says("hello"))
        }
    });
    Arc::new(oracle.taking(&["image/jpeg"]))
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_model_refuses_silences_nobody() {
    for fault in [Fault::Malformed, Fault::TooLong] {
        let (house, oracle) = (House::new(), refuses_pictures(fault));
        house.channel.has("m1", Ok(b"broken"));
        let weave = house.pod(spirit("barista", vec![oracle.clone()]));
        let broken = with_file(pulse("1", "ana", "this one?"), "m1", "image/jpeg");
        house.answered(&weave, broken).await;
        let (text, _) = shown(&oracle).remove(0);
        assert!(text.contains("[A file cannot be shown to you"), "{text}");
        // Nor does it while it stands in the history.
        house.answered(&weave, pulse("2", "ana", "hello?")).await;
        assert_eq!(house.channel.texts(), ["hello", "hello"], "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_oracle_after_one_that_fails_without_the_files_too_is_shown_them() {
    let (house, second) = (House::new(), sees_pictures());
    house.channel.has("m1", Ok(b"a cup"));
    let first = InMemoryOracle::new(|_| async { Err(fails(Fault::Malformed)) });
    let first = Arc::new(first.taking(&["image/jpeg"]));
    let weave = house.pod(spirit("barista", vec![first.clone(), second.clone()]));
    let picture = with_file(pulse("1", "ana", "this one?"), "m1", "image/jpeg");
    house.answered(&weave, picture).await;
    assert_eq!(first.asked().len(), 2, "with the file, and without");
    let expected = ("this one?".to_owned(), vec![Some(b"a cup".to_vec())]);
    assert_eq!(shown(&second), [expected]);
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_files_are_shown() {
    let (house, oracle) = (House::new(), sees_pictures());
    let mut album = pulse("1", "ana", "my cups");
    for number in 0..6 {
        let id = format!("m{number}");
        house.channel.has(&id, Ok(id.as_bytes()));
        album = with_file(album, &id, "image/jpeg");
    }
    let weave = house.pod(spirit("barista", vec![oracle.clone()]));
    house.answered(&weave, album).await;
    let files = shown(&oracle).remove(0).1;
    assert_eq!(files[..2], [None, None]);
    assert_eq!(files[5], Some(b"m5".to_vec()));
    assert_eq!(files.iter().flatten().count(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_pictures_of_an_album_are_one_turn_when_they_are_merged() {
    let (house, oracle) = (House::new(), sees_pictures());
    house.channel.has("m1", Ok(b"one"));
    house.channel.has("m2", Ok(b"two"));
    let merge = WhenBusy::Merge {
        quiet: Duration::from_secs(2),
        cap: Duration::from_secs(20),
    };
    let weave = house
        .builder(spirit("barista", vec![oracle.clone()]))
        .bond_settings(eywa_weave::spirit::BondSettings {
            ttl: crate::scene::TTL,
            when_busy: merge,
        })
        .build()
        .unwrap();
    // An album is a webhook a picture.
    let one = with_file(pulse("1", "ana", "my cups"), "m1", "image/jpeg");
    let two = with_file(pulse("2", "ana", "[image]"), "m2", "image/jpeg");
    deliver(&weave, &[one]).await.unwrap();
    deliver(&weave, &[two]).await.unwrap();
    assert_eq!(house.stores.outcome("2").await, Outcome::Answered);
    assert_eq!(house.stores.outcome("1").await, Outcome::Merged);
    let (text, files) = shown(&oracle).remove(0);
    assert_eq!(text, "my cups\n[image]");
    assert_eq!(files, [Some(b"one".to_vec()), Some(b"two".to_vec())]);
    assert_eq!(house.channel.texts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_is_called_otherwise_goes_on_with_their_session() {
    let (house, oracle) = (House::new(), parrot());
    let weave = house.pod(spirit("barista", vec![oracle.clone()]));
    house.channel.tells(person("55", &["US.1"]));
    house
        .answered(&weave, pulse("1", "55", "a flat white"))
        .await;
    // They hide their number, are given another id, and change their number.
    house.channel.tells(person("US.1", &[]));
    house
        .answered(&weave, pulse("2", "US.1", "and a scone"))
        .await;
    house.channel.tells(person("US.1", &["US.2"]));
    house.channel.tells(person("US.2", &[]));
    house
        .answered(&weave, pulse("3", "US.2", "and a tea"))
        .await;
    house.channel.tells(person("66", &["US.2"]));
    house.answered(&weave, pulse("4", "66", "to go")).await;
    let echoes = house
        .stores
        .echoes
        .recent(&session("55"), 20)
        .await
        .unwrap();
    assert_eq!(echoes.len(), 8, "{echoes:?}");
    let texts: Vec<String> = shown(&oracle).into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["a flat white", "and a scone", "and a tea", "to go"]);
    for other in ["US.1", "US.2", "66"] {
        let echoes = house
            .stores
            .echoes
            .recent(&session(other), 20)
            .await
            .unwrap();
        assert!(echoes.is_empty(), "{other}: {echoes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_message_that_is_answered_is_shown_beside_the_answer() {
    let (house, oracle) = (House::new(), parrot());
    let weave = house.pod(spirit("barista", vec![oracle.clone()]));
    house
        .answered(&weave, pulse("1", "ana", "\"one\"\nsugar"))
        .await;
    house
        .contacts
        .sent(&"wa".into(), "out.1", &"wa/1".into())
        .await
        .unwrap();
    for (id, quotes, beside) in [
        ("2", "1", "[In reply to: \"'one' sugar\"]\nno"),
        ("3", "out.1", "[In reply to: \"'one' sugar\"]\nno"),
        ("4", "out.9", "[In reply to an earlier message]\nno"),
    ] {
        let mut answer = pulse(id, "ana", "no");
        answer.content.quotes = Some(quotes.to_owned());
        house.answered(&weave, answer).await;
        assert_eq!(shown(&oracle).last().unwrap().0, beside);
    }
}

/// Keeps what became of messages.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Observer for Seen {
    fn observe(&self, event: Event<'_>) {
        let seen = match event {
            Event::Voice { outcome, .. } => outcome.to_owned(),
            Event::VoiceRefusal { code, .. } => format!("code {code}"),
            _ => return,
        };
        self.0.lock().unwrap().push(seen);
    }
}

#[tokio::test(start_paused = true)]
async fn how_far_a_message_has_come_is_counted_once_and_forward() {
    let (house, seen) = (House::new(), Arc::new(Seen::default()));
    let weave = house
        .builder(spirit("barista", vec![parrot()]))
        .observer(seen.clone())
        .build()
        .unwrap();
    for (message, progress, code) in [
        ("m1", Progress::Arrived, None),
        ("m1", Progress::Sent, None),
        ("m1", Progress::Arrived, None),
        ("m1", Progress::Read, None),
        ("m2", Progress::Failed, Some("131047")),
        ("m2", Progress::Failed, Some("131047")),
    ] {
        house.channel.tells(Notice::Progress {
            message: message.to_owned(),
            progress,
            code: code.map(str::to_owned),
        });
        deliver(&weave, &[]).await.unwrap();
    }
    let seen = seen.0.lock().unwrap().clone();
    assert_eq!(seen, ["arrived", "read", "undelivered", "code 131047"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_sees_that_they_are_being_answered_until_they_are() {
    let (house, gate) = (House::new(), Arc::new(Semaphore::new(0)));
    let weave = house.pod(spirit("barista", vec![gated(&gate)]));
    deliver(&weave, &[pulse("1", "ana", "hello")])
        .await
        .unwrap();
    let attended = || house.channel.attended.load(Ordering::SeqCst);
    until(async || (attended() >= 3).then_some(()))
        .await
        .expect("it is shown again and again");
    gate.add_permits(1);
    assert_eq!(house.stores.outcome("1").await, Outcome::Answered);
    let after = attended();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(attended() <= after + 1, "it goes on after the answer");
}

fn offers(text: &str, titles: &[&str]) -> Reply {
    let choices: Vec<Value> = titles.iter().map(|title| json!({"title": title})).collect();
    Reply {
        calls: vec![ToolCall {
            id: "c1".to_owned(),
            name: OFFER_CHOICES.to_owned(),
            arguments: json!({"text": text, "choices": choices}),
            ..ToolCall::default()
        }],
        ..Reply::default()
    }
}

#[tokio::test(start_paused = true)]
async fn choices_that_the_spirit_offers_reach_the_channel() {
    let house = House::new();
    let oracle = Arc::new(InMemoryOracle::new(|_| async {
        Ok(offers("Which size?", &["Small", "Large"]))
    }));
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.actions.push(Arc::new(OfferChoices::new().unwrap()));
    let weave = house.pod(barista);
    house
        .answered(&weave, pulse("1", "ana", "a flat white"))
        .await;
    let (text, choices) = house.channel.said.lock().unwrap().remove(0);
    let titles: Vec<&str> = choices.iter().map(|choice| choice.title.as_str()).collect();
    assert_eq!(
        (text.as_str(), titles),
        ("Which size?", vec!["Small", "Large"])
    );
    assert_eq!(
        oracle.asked().len(),
        1,
        "it is not asked what to say once more"
    );
    let echoes = house
        .stores
        .echoes
        .recent(&session("ana"), 10)
        .await
        .unwrap();
    assert_eq!(echoes.len(), 4, "{echoes:?}");
}

#[tokio::test(start_paused = true)]
async fn choices_that_do_not_fit_the_schema_go_back_to_the_oracle() {
    let house = House::new();
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(match asked.turns.len() {
            1 => offers("Which size?", &[]),
            _ => says("Small or large?"),
        })
    }));
    let mut barista = spirit("barista", vec![oracle]);
    barista.actions.push(Arc::new(OfferChoices::new().unwrap()));
    let weave = house.pod(barista);
    house
        .answered(&weave, pulse("1", "ana", "a flat white"))
        .await;
    assert_eq!(house.channel.texts(), ["Small or large?"]);
    assert!(house.channel.said.lock().unwrap()[0].1.is_empty());
}
