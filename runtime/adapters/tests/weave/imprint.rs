//! What is remembered of people: drawn from what is finished, shown as data, and theirs to have forgotten.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use eywa_adapters::{
    contacts::InMemoryContacts,
    imprint::InMemoryImprint,
    oracle::{Asked, InMemoryOracle},
    scout::ImprintScout,
    voice::InMemoryVoice,
};
use eywa_weave::{
    Echo, EchoBody, Spirit, Weave, WeaveBuilder,
    imprint::Remembering,
    observe::{Event, Observer},
    ports::{
        Echoes as _, Imprint as _, Vigil as _, Voice,
        imprint::Keeping,
        oracle::{Fault, OracleError, Reply, Turn},
        vigil::Target,
        voice::{Notice, Received, Rejected, Utterance, VoiceError, Webhook},
    },
    pulse::Outcome,
    spirit::{Scouting, WhenBusy},
    tool::ToolCall,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::scene::{Stores, deliver, fails, last_words, pulse, says, session, spirit};

/// Longer than any claim lasts.
const A_LEASE: Duration = Duration::from_secs(301);
pub const BEN: &str = "ben@cafe.example";

/// A café that remembers its guests.
pub struct Cafe {
    pub stores: Stores,
    pub imprint: Arc<InMemoryImprint>,
    pub voice: Arc<InMemoryVoice>,
    seen: Arc<Seen>,
}

/// Counts how drawing went.
#[derive(Default)]
struct Seen(Mutex<Vec<&'static str>>);

impl Observer for Seen {
    fn observe(&self, event: Event<'_>) {
        if let Event::Imprint { outcome, .. } = event {
            self.0.lock().unwrap().push(outcome.as_str());
        }
    }
}

impl Cafe {
    pub fn new() -> Self {
        Self {
            stores: Stores::new(),
            imprint: Arc::new(InMemoryImprint::new()),
            voice: Arc::new(InMemoryVoice::new()),
            seen: Arc::default(),
        }
    }

    /// The Spirit with the Scout that remembers, and a conversation that is finished `after` its last word.
    pub fn builder(&self, mut spirit: Spirit, after: Duration) -> WeaveBuilder {
        let keeping = Keeping::default();
        spirit.scouts.push(Scouting {
            scout: Arc::new(ImprintScout::new(self.imprint.clone(), keeping.max_age)),
            timeout: Duration::from_secs(1),
            when: None,
        });
        self.stores
            .builder(spirit, &self.voice, WhenBusy::Queue)
            .imprint(self.imprint.clone())
            .observer(self.seen.clone())
            .remembering(Remembering {
                after,
                keeping,
                oracles: Vec::new(),
            })
    }

    /// A pod for which a conversation is finished at once, and which has looked once: what is said from now on counts.
    pub async fn pod(&self, oracle: &Arc<InMemoryOracle>) -> Weave {
        let spirit = spirit("barista", vec![oracle.clone()]);
        let weave = self.builder(spirit, Duration::ZERO).build().unwrap();
        assert_eq!(weave.remember_once().await.unwrap(), 0);
        weave
    }

    pub async fn say(&self, weave: &Weave, id: &str, user: &str, text: &str) -> Outcome {
        deliver(weave, &[pulse(id, user, text)]).await.unwrap();
        self.stores.outcome(id).await
    }

    pub async fn known(&self, user: &str) -> Vec<String> {
        let facts = self.imprint.facts(&session(user)).await.unwrap();
        facts.into_iter().map(|fact| fact.text).collect()
    }

    pub fn outcomes(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.seen.0.lock().unwrap())
    }
}

/// Whether an Oracle is asked for facts.
pub fn draws(asked: &Asked) -> bool {
    asked.tools.iter().any(|tool| tool.name == "learn_facts")
}

pub fn learns(facts: &[&str], forget: &[u64]) -> Reply {
    Reply {
        calls: vec![ToolCall {
            id: "c1".into(),
            name: "learn_facts".into(),
            arguments: json!({"facts": facts, "forget": forget}),
            sealed: None,
        }],
        ..Reply::default()
    }
}

/// A parrot that, asked for facts, learns of tea once the gate lets it.
pub fn learns_tea_behind(gate: &Arc<Semaphore>) -> Arc<InMemoryOracle> {
    let gate = gate.clone();
    Arc::new(InMemoryOracle::new(move |asked| {
        let gate = gate.clone();
        async move {
            if draws(&asked) {
                gate.acquire().await.expect("the gate stays").forget();
                return Ok(learns(&["Likes tea"], &[]));
            }
            Ok(says("ok"))
        }
    }))
}

/// A parrot that, asked for facts, answers so.
pub fn drawing(
    answer: impl Fn(Asked) -> Result<Reply, OracleError> + Send + Sync + 'static,
) -> Arc<InMemoryOracle> {
    Arc::new(InMemoryOracle::new(move |asked| {
        let reply = if draws(&asked) {
            answer(asked)
        } else {
            Ok(says(&last_words(&asked)))
        };
        async move { reply }
    }))
}

/// What the Oracle was asked for facts with, oldest first.
pub fn drawn(oracle: &InMemoryOracle) -> Vec<String> {
    let asked = oracle.asked();
    let asked = asked.iter().filter(|asked| draws(asked));
    asked.map(last_words).collect()
}

/// The system prompt of the last answer.
pub fn prompt(oracle: &InMemoryOracle) -> String {
    let asked = oracle.asked();
    let answers = asked.iter().rfind(|asked| !draws(asked));
    answers.unwrap().system.clone()
}

#[tokio::test(start_paused = true)]
async fn what_a_person_said_is_known_in_their_next_conversation() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Drinks coffee with oat milk."], &[])));
    let weave = cafe.pod(&oracle).await;
    cafe.say(&weave, "1", "ana", "Oat milk for me, always")
        .await;
    assert!(!prompt(&oracle).contains("<context>"), "nothing is known");
    assert_eq!(weave.remember_once().await.unwrap(), 1);
    assert_eq!(cafe.outcomes(), ["learnt"]);
    assert!(drawn(&oracle)[0].contains("Oat milk for me, always"));

    cafe.say(&weave, "2", "ana", "hello again").await;
    assert!(
        prompt(&oracle).contains("\n- They said: Drinks coffee with oat milk.\n"),
        "{}",
        prompt(&oracle)
    );
    cafe.say(&weave, "3", "ben", "hello").await;
    let bens = prompt(&oracle);
    assert!(!bens.contains("oat milk"), "Ana's are Ana's: {bens}");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_goes_on_is_left_alone() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Likes tea"], &[])));
    let spirit = spirit("barista", vec![oracle.clone()]);
    let hour = Duration::from_secs(3600);
    let weave = cafe.builder(spirit, hour).build().unwrap();
    weave.remember_once().await.unwrap();
    cafe.say(&weave, "1", "ana", "I like tea").await;
    assert_eq!(weave.remember_once().await.unwrap(), 0);
    assert!(drawn(&oracle).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_imprint_was_switched_on_is_not_read() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Likes tea"], &[])));
    let spirit = spirit("barista", vec![oracle.clone()]);
    let weave = cafe.builder(spirit, Duration::ZERO).build().unwrap();
    cafe.say(&weave, "1", "ana", "the old words").await;
    assert_eq!(weave.remember_once().await.unwrap(), 0);
    assert_eq!(weave.remember_once().await.unwrap(), 0);
    cafe.say(&weave, "2", "ana", "the new words").await;
    assert_eq!(weave.remember_once().await.unwrap(), 1);
    let read = drawn(&oracle).concat();
    assert!(
        read.contains("the new words") && !read.contains("the old words"),
        "{read}"
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_is_new_is_read_and_what_is_known_is_shown_with_numbers() {
    let cafe = Cafe::new();
    let oracle = drawing(|asked| {
        Ok(if last_words(&asked).contains("moved to Lisbon") {
            learns(&["Lives in Lisbon", "likes TEA!"], &[2])
        } else {
            learns(&["Likes tea", "Lives in Porto"], &[])
        })
    });
    let weave = cafe.pod(&oracle).await;
    cafe.say(&weave, "1", "ana", "Tea, and I live in Porto")
        .await;
    weave.remember_once().await.unwrap();
    assert_eq!(weave.remember_once().await.unwrap(), 0, "nothing is new");
    cafe.say(&weave, "2", "ana", "I moved to Lisbon. Tea!")
        .await;
    // Facts of one moment stand in any order: the number of the one that changes is looked up.
    let porto = cafe.known("ana").await;
    let number = porto.iter().position(|fact| fact == "Lives in Porto");
    weave.remember_once().await.unwrap();
    let read = drawn(&oracle);
    assert!(!read[1].contains("Tea, and I live"), "{}", read[1]);
    assert!(read[1].contains("{\"number\":1,"), "{}", read[1]);
    let known = cafe.known("ana").await;
    assert!(known.contains(&"Lives in Lisbon".to_owned()), "{known:?}");
    if number == Some(1) {
        assert_eq!(known.len(), 2, "{known:?}");
    }
    assert!(known.contains(&"Likes tea".to_owned()), "{known:?}");
    assert!(!known.contains(&"likes TEA!".to_owned()), "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn of_many_pods_one_draws() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Likes tea"], &[])));
    let weave = cafe.pod(&oracle).await;
    let others = [cafe.pod(&oracle).await, cafe.pod(&oracle).await];
    for n in 0..6 {
        cafe.say(&weave, &n.to_string(), &format!("guest{n}"), "Tea!")
            .await;
    }
    let drew = tokio::join!(
        weave.remember_once(),
        others[0].remember_once(),
        others[1].remember_once()
    );
    assert_eq!(drew.0.unwrap() + drew.1.unwrap() + drew.2.unwrap(), 6);
    assert_eq!(drawn(&oracle).len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_dies_while_it_draws_loses_nothing() {
    let cafe = Cafe::new();
    let gate = Arc::new(Semaphore::new(0));
    let oracle = learns_tea_behind(&gate);
    let weave = cafe.pod(&oracle).await;
    cafe.say(&weave, "1", "ana", "Tea!").await;
    let died = tokio::time::timeout(Duration::from_secs(5), weave.remember_once()).await;
    assert!(died.is_err(), "it was still asking");

    let other = cafe.pod(&oracle).await;
    assert_eq!(other.remember_once().await.unwrap(), 0, "it is leased");
    tokio::time::advance(A_LEASE).await;
    gate.add_permits(1);
    assert_eq!(other.remember_once().await.unwrap(), 1);
    assert_eq!(cafe.known("ana").await, ["Likes tea"]);
}

#[tokio::test(start_paused = true)]
async fn an_oracle_that_fails_is_asked_again_later_and_not_for_ever() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Err(fails(Fault::Malformed)));
    let weave = cafe.pod(&oracle).await;
    cafe.say(&weave, "1", "ana", "Tea!").await;
    for _ in 0..8 {
        weave.remember_once().await.unwrap();
        tokio::time::advance(Duration::from_secs(2 * 3600)).await;
    }
    let wanted = ["failed", "failed", "failed", "failed", "given_up"];
    assert_eq!(cafe.outcomes(), wanted);
    assert_eq!(drawn(&oracle).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_a_human_has_is_left_until_they_give_it_back() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Likes tea"], &[])));
    let weave = cafe.pod(&oracle).await;
    cafe.say(&weave, "1", "ana", "I want a person").await;
    let target = Target::Session(session("ana"));
    weave.take_over(&target, BEN).await.unwrap();
    cafe.stores
        .vigil
        .settle(&target, Timestamp::now())
        .await
        .unwrap();
    let human = Echo {
        id: "h".into(),
        at: Timestamp::now(),
        pulse: None,
        body: EchoBody::Human {
            by: BEN.into(),
            text: "You own a yacht, madam.".into(),
        },
    };
    let echoes = [human];
    let ana = session("ana");
    let append = cafe.stores.echoes.append(&ana, None, &echoes);
    append.await.unwrap();
    weave.remember_once().await.unwrap();
    assert_eq!(cafe.outcomes(), ["put_off"]);
    assert!(drawn(&oracle).is_empty());

    weave.give_back(&target, BEN, false).await.unwrap();
    tokio::time::advance(Duration::from_secs(3600)).await;
    weave.remember_once().await.unwrap();
    let read = drawn(&oracle).concat();
    assert!(
        read.contains(r#"{"from":"colleague","text":"You own a yacht, madam."}"#),
        "{read}"
    );
    assert!(read.contains(r#"{"from":"person","text":"I want a person"}"#));
}

/// A channel that says of everybody by which ids they go.
struct Gossip(&'static [(&'static str, &'static [&'static str])]);

#[async_trait]
impl Voice for Gossip {
    fn body_limit(&self) -> usize {
        1 << 20
    }

    fn receive(&self, webhook: Webhook<'_>) -> Result<Received, Rejected> {
        let notices = self.0.iter().map(|(id, also)| Notice::Person {
            id: (*id).into(),
            also: also.iter().map(|id| (*id).into()).collect(),
        });
        Ok(Received::Pulses {
            pulses: serde_json::from_slice(webhook.body).unwrap(),
            ignored: 0,
            notices: notices.collect(),
        })
    }

    async fn speak(&self, _: Utterance<'_>) -> Result<(), VoiceError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_by_another_id_since_keeps_what_is_known_of_them() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Likes tea"], &[])));
    let spirit = spirit("barista", vec![oracle.clone()]);
    let gossip = Gossip(&[("351", &["US.1"]), ("US.1", &[])]);
    let weave = cafe
        .builder(spirit, Duration::ZERO)
        .voice("wa", Arc::new(gossip))
        .contacts(Arc::new(InMemoryContacts::new()))
        .build()
        .unwrap();
    weave.remember_once().await.unwrap();
    cafe.say(&weave, "1", "351", "Tea!").await;
    weave.remember_once().await.unwrap();
    cafe.say(&weave, "2", "US.1", "me again").await;
    assert!(prompt(&oracle).contains("- They said: Likes tea"));
    assert_eq!(cafe.known("US.1").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_spirit_that_remembers_nothing_has_nothing_to_do() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&["Likes tea"], &[])));
    let spirit = spirit("barista", vec![oracle.clone()]);
    let weave = cafe.stores.pod(spirit, &cafe.voice, WhenBusy::Queue);
    weave.remember().await;
    cafe.say(&weave, "1", "ana", "Tea!").await;
    assert_eq!(weave.remember_once().await.unwrap(), 0);
    assert!(drawn(&oracle).is_empty());
    assert_eq!(cafe.imprint.progress().await.unwrap(), None);
    assert_eq!(weave.forget_person(&session("ana"), BEN).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_conversation_is_read_in_parts_and_every_word_once() {
    let cafe = Cafe::new();
    let oracle = drawing(|_| Ok(learns(&[], &[])));
    let weave = cafe.pod(&oracle).await;
    let word = |n: usize| format!("word{n:03} {}", "é".repeat(700));
    let echoes: Vec<Echo> = (0..60)
        .map(|n| Echo {
            id: n.to_string(),
            at: Timestamp::now(),
            pulse: None,
            body: EchoBody::User {
                name: None,
                text: word(n),
                attachments: vec![],
                findings: vec![],
            },
        })
        .collect();
    let ana = session("ana");
    let append = cafe.stores.echoes.append(&ana, None, &echoes);
    append.await.unwrap();
    while weave.remember_once().await.unwrap() > 0 {}
    let read = drawn(&oracle);
    assert!(read.len() > 2, "{}", read.len());
    assert!(read.iter().all(|part| part.len() < 30_000));
    for n in 0..60 {
        let times = read.concat().matches(&format!("word{n:03} ")).count();
        assert_eq!(times, 1, "{n}");
    }
    let is_alone = |asked: &Asked| matches!(asked.turns.as_slice(), [Turn::User { .. }]);
    assert!(oracle.asked().iter().all(is_alone));
}
