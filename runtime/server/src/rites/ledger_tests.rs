use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use eywa_adapters::{
    action::InMemoryAction, bond::InMemoryBond, chronicle::InMemoryChronicle,
    echoes::InMemoryEchoes, inbox::InMemoryInbox, memory::InMemoryMemory, oracle::InMemoryOracle,
    rite::InMemoryRites, vigil::InMemoryVigil, voice::InMemoryVoice,
};
use eywa_crds::rite::{RiteOutcome, RitePhase, RiteSpec};
use eywa_weave::{
    Pulse, Spirit, WeaveBuilder,
    ports::{
        Rites as _,
        oracle::{Reply, Turn},
        rite::Asked,
    },
    spirit::{Asking, Facts, Limits, NotApplicable, Persona, RiteRule},
    tool::ToolCall,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use tokio::time::Instant;

use super::*;

/// Rite objects as an API server keeps them.
#[derive(Default)]
struct Cluster {
    objects: Mutex<BTreeMap<String, RiteObject>>,
    version: AtomicUsize,
    watchers: Mutex<Vec<mpsc::Sender<Change<RiteObject>>>>,
    away: AtomicBool,
    writes: AtomicUsize,
}

impl Cluster {
    fn reach(&self) -> Result<(), ObjectsError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ObjectsError("away".to_owned()));
        }
        Ok(())
    }

    fn put(&self, mut object: RiteObject) {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        object.metadata.resource_version = Some(version.to_string());
        object
            .metadata
            .creation_timestamp
            .get_or_insert_with(|| Time(Timestamp::now()));
        let name = object.metadata.name.clone().unwrap();
        self.objects.lock().unwrap().insert(name, object.clone());
        self.tell(&Change::Set(Box::new(object)));
    }

    fn patch(&self, name: &str, change: impl FnOnce(&mut RiteSpec)) {
        let mut object = self.objects.lock().unwrap()[name].clone();
        change(&mut object.spec);
        self.put(object);
    }

    fn remove(&self, name: &str) {
        self.objects.lock().unwrap().remove(name);
        self.tell(&Change::Gone(name.to_owned()));
    }

    fn tell(&self, change: &Change<RiteObject>) {
        for watcher in self.watchers.lock().unwrap().iter() {
            watcher.try_send(change.clone()).unwrap();
        }
    }

    fn all(&self) -> Vec<RiteObject> {
        self.objects.lock().unwrap().values().cloned().collect()
    }
}

#[async_trait]
impl RiteObjects for Cluster {
    async fn make(&self, object: &RiteObject) -> Result<Made, ObjectsError> {
        self.reach()?;
        let name = object.metadata.name.as_ref().unwrap();
        if !self.objects.lock().unwrap().contains_key(name) {
            self.writes.fetch_add(1, Ordering::Relaxed);
            self.put(object.clone());
        }
        Ok(Made::There)
    }

    async fn publish(
        &self,
        object: &RiteObject,
        status: &RiteStatus,
    ) -> Result<Published, ObjectsError> {
        self.reach()?;
        let name = object.metadata.name.as_ref().unwrap();
        let Some(mut kept) = self.objects.lock().unwrap().get(name).cloned() else {
            return Ok(Published::Outdated);
        };
        if kept.metadata.resource_version != object.metadata.resource_version {
            return Ok(Published::Outdated);
        }
        kept.status = Some(status.clone());
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.put(kept);
        Ok(Published::Written)
    }

    async fn delete(&self, object: &RiteObject) -> Result<(), ObjectsError> {
        self.reach()?;
        self.remove(object.metadata.name.as_ref().unwrap());
        Ok(())
    }
}

struct Fixed;

impl Persona for Fixed {
    fn render(&self, _: Facts<'_>) -> Result<String, NotApplicable> {
        Ok("You serve coffee.".to_owned())
    }
}

struct World {
    cluster: Arc<Cluster>,
    rites: Arc<InMemoryRites>,
    refund: Arc<InMemoryAction>,
    voice: Arc<InMemoryVoice>,
    inbox: Arc<InMemoryInbox>,
    bond: Arc<InMemoryBond>,
    echoes: Arc<InMemoryEchoes>,
}

impl World {
    fn new() -> Self {
        let refund = InMemoryAction::new("refund", json!({"type": "object"}), |_| async {
            Ok("refunded".into())
        });
        Self {
            cluster: Arc::default(),
            rites: Arc::new(InMemoryRites::new()),
            refund: Arc::new(refund.unwrap()),
            voice: Arc::new(InMemoryVoice::new()),
            inbox: Arc::new(InMemoryInbox::new()),
            bond: Arc::new(InMemoryBond::new()),
            echoes: Arc::new(InMemoryEchoes::new()),
        }
    }

    /// Starts a pod.
    fn pod(&self) -> Metrics {
        let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
            let text = match asked.turns.last() {
                Some(Turn::User { text, .. }) => text.clone(),
                _ => String::new(),
            };
            Ok(Reply {
                text,
                ..Reply::default()
            })
        }));
        let spirit = Spirit {
            name: "barista".into(),
            generation: 1,
            persona: Arc::new(Fixed),
            oracles: vec![Asking {
                oracle,
                temperature: None,
                max_tokens: None,
                effort: None,
                breaker: Default::default(),
                timeout: Duration::from_secs(60),
            }],
            scouts: Vec::new(),
            actions: vec![Arc::clone(&self.refund) as _],
            conduits: Vec::new(),
            rites: vec![RiteRule {
                gates: Box::new(|_| true),
                timeout: Duration::from_secs(900),
                redact: Vec::new(),
                notice: None,
            }],
            limits: Limits::default(),
        };
        let weave = WeaveBuilder::new("barista")
            .bond(Arc::clone(&self.bond) as _)
            .inbox(Arc::clone(&self.inbox) as _)
            .echoes(Arc::clone(&self.echoes) as _)
            .chronicle(Arc::new(InMemoryChronicle::new()))
            .memory(Arc::new(InMemoryMemory::new()))
            .vigil(Arc::new(InMemoryVigil::new()))
            .rites(Arc::clone(&self.rites) as _)
            .voice("wa", Arc::clone(&self.voice) as _)
            .spirit(spirit)
            .build()
            .unwrap();
        let metrics = Metrics::new().unwrap();
        let ledger = Ledger::new(
            weave.clone(),
            Arc::clone(&self.cluster) as _,
            metrics.clone(),
        );
        let (sender, changes) = mpsc::channel(1024);
        sender.try_send(Change::All(self.cluster.all())).unwrap();
        self.cluster.watchers.lock().unwrap().push(sender);
        tokio::spawn(ledger.run(changes));
        tokio::spawn(async move { weave.tend().await });
        metrics
    }

    async fn park(&self, id: &str, asked_at: Timestamp) {
        let pulse: Pulse = serde_json::from_value(json!({
            "id": "wa/1", "session": "wa/551", "user": {"id": "551"}, "content": {"text": "refund me"},
            "received_at": "2026-01-01T00:00:00Z", "reply_to": "551",
        }))
        .unwrap();
        let asked = Asked {
            id: id.into(),
            session: pulse.session.clone(),
            pulse,
            spirit: "barista".into(),
            generation: 1,
            call: ToolCall {
                id: "c1".into(),
                name: "refund".into(),
                arguments: json!({"order": 7, "card": "4111"}),
                ..ToolCall::default()
            },
            key: "wa/1#0#c1".into(),
            redact: vec!["/card".into()],
            asked_at,
            expires_at: asked_at + Duration::from_secs(900),
        };
        self.rites.park(&asked).await.unwrap();
    }

    async fn until(&self, what: &str, holds: impl Fn(&[RiteObject]) -> bool) -> Vec<RiteObject> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let all = self.cluster.all();
            if holds(&all) {
                return all;
            }
            assert!(Instant::now() < deadline, "waited for {what}: {all:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_phase(&self, phase: RitePhase) -> RiteStatus {
        let is = |object: &RiteObject| object.status.as_ref()?.phase;
        let all = self
            .until(phase.as_str(), |all| {
                all.len() == 1 && is(&all[0]) == Some(phase)
            })
            .await;
        all[0].status.clone().unwrap()
    }
}

fn approve(spec: &mut RiteSpec) {
    spec.decision = Decision::Approved;
    spec.by = Some("ana@cafe.example".to_owned());
    spec.comment = Some("fine by me".to_owned());
}

#[tokio::test(start_paused = true)]
async fn a_parked_call_has_one_object_which_shows_no_redacted_argument() {
    let world = World::new();
    world.pod();
    world.pod();
    world.park("r1", Timestamp::now()).await;
    let status = world.until_phase(RitePhase::Pending).await;
    assert!(status.expires_at.is_some() && status.decided_at.is_none());
    let object = world.cluster.all().remove(0);
    assert_eq!(object.metadata.name.as_deref(), Some("barista-r1"));
    assert_eq!(
        object.metadata.labels.unwrap()["eywa.dev/spirit"],
        "barista"
    );
    assert_eq!(
        json!(object.spec.arguments),
        json!({"order": 7, "card": "[redacted]"})
    );
    assert_eq!(object.spec.session, "wa/551");
}

#[tokio::test(start_paused = true)]
async fn a_yes_on_the_object_makes_the_call_once_and_the_status_tells() {
    let world = World::new();
    let metrics = world.pod();
    world.pod();
    world.park("r1", Timestamp::now()).await;
    world.until_phase(RitePhase::Pending).await;
    world.cluster.patch("barista-r1", approve);
    world.until_phase(RitePhase::Consumed).await;
    world
        .until("the outcome", |all| {
            all[0]
                .status
                .as_ref()
                .is_some_and(|status| status.outcome == Some(RiteOutcome::Succeeded))
        })
        .await;
    let status = world.until_phase(RitePhase::Consumed).await;
    assert_eq!(status.by.as_deref(), Some("ana@cafe.example"));
    assert!(status.decided_at.is_some());
    assert_eq!(world.refund.made().len(), 1);
    assert_eq!(
        world.refund.made()[0].arguments["card"],
        "4111",
        "the call keeps it"
    );
    let said = world.voice.said();
    assert_eq!(said.len(), 1);
    assert!(said[0].text.contains("fine by me"), "{said:?}");
    sleep(Duration::from_secs(30)).await;
    let text = metrics.render().unwrap();
    assert!(
        text.contains(r#"eywa_rites{phase="Consumed",spirit="barista"} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"eywa_rites{phase="Pending",spirit="barista"} 0"#),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_no_on_the_object_makes_no_call() {
    let world = World::new();
    world.pod();
    world.park("r1", Timestamp::now()).await;
    world.until_phase(RitePhase::Pending).await;
    world
        .cluster
        .patch("barista-r1", |spec| spec.decision = Decision::Denied);
    let status = world.until_phase(RitePhase::Denied).await;
    assert_eq!((status.outcome, status.by), (None, None));
    assert!(world.refund.made().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_yes_to_another_question_than_was_asked_makes_the_rite_void() {
    let world = World::new();
    world.pod();
    world.park("r1", Timestamp::now()).await;
    world.until_phase(RitePhase::Pending).await;
    world.cluster.patch("barista-r1", |spec| {
        approve(spec);
        spec.arguments.insert("order".to_owned(), json!(8));
    });
    world.until_phase(RitePhase::Void).await;
    assert!(world.refund.made().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_desk_decides_is_in_the_status() {
    let world = World::new();
    world.pod();
    world.park("r1", Timestamp::now()).await;
    world.until_phase(RitePhase::Pending).await;
    let verdict = Verdict {
        approved: false,
        by: "ben".to_owned(),
        comment: String::new(),
        at: Timestamp::now(),
    };
    world.rites.decide(&"r1".into(), &verdict).await.unwrap();
    let status = world.until_phase(RitePhase::Denied).await;
    assert_eq!(status.by.as_deref(), Some("ben"));
    assert_eq!(world.cluster.all()[0].spec.decision, Decision::Undecided);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_lapses_says_so_and_a_late_yes_does_nothing() {
    let world = World::new();
    world.pod();
    // The store's times are the wall's, which paused time does not move.
    world
        .park("r1", Timestamp::now() - Duration::from_secs(899))
        .await;
    world.until_phase(RitePhase::Pending).await;
    std::thread::sleep(Duration::from_millis(1100));
    world.until_phase(RitePhase::Expired).await;
    world.cluster.patch("barista-r1", approve);
    sleep(Duration::from_secs(60)).await;
    world.until_phase(RitePhase::Expired).await;
    assert!(world.refund.made().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_is_deleted_a_day_after_the_end_of_its_rite() {
    let world = World::new();
    let long_ago = Timestamp::now() - Duration::from_secs(26 * 60 * 60);
    world.park("r1", long_ago).await;
    let at = long_ago + Duration::from_secs(60);
    let verdict = Verdict {
        approved: false,
        by: "ben".to_owned(),
        comment: String::new(),
        at,
    };
    world.rites.decide(&"r1".into(), &verdict).await.unwrap();
    world.rites.settle(&"r1".into(), at).await.unwrap();
    let rite = world.rites.get(&"r1".into(), at).await.unwrap().unwrap();
    world.cluster.put(object(&"barista".into(), &rite));
    world.pod();
    world.until("it to go", <[RiteObject]>::is_empty).await;
    sleep(Duration::from_secs(60)).await;
    assert!(world.cluster.all().is_empty(), "it is not made again");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_no_rite_belongs_to_is_void_and_its_yes_is_nothing() {
    let world = World::new();
    world.park("r1", Timestamp::now()).await;
    let rite = world
        .rites
        .get(&"r1".into(), Timestamp::now())
        .await
        .unwrap();
    let mut forged = object(&"barista".into(), &rite.unwrap());
    forged.metadata.name = Some("barista-forged".to_owned());
    forged.metadata.creation_timestamp = Some(Time(Timestamp::now() - Duration::from_secs(120)));
    approve(&mut forged.spec);
    world.cluster.put(forged);
    world.pod();
    let void = |object: &RiteObject| {
        object.metadata.name.as_deref() == Some("barista-forged")
            && object
                .status
                .as_ref()
                .is_some_and(|status| status.phase == Some(RitePhase::Void))
    };
    world
        .until("the forged one to be void", |all| all.iter().any(void))
        .await;
    assert!(world.refund.made().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_the_api_server_calls_are_parked_and_shown_when_it_is_back() {
    let world = World::new();
    world.pod();
    world.cluster.away.store(true, Ordering::Relaxed);
    world.park("r1", Timestamp::now()).await;
    sleep(Duration::from_secs(60)).await;
    assert!(world.cluster.all().is_empty());
    world.cluster.away.store(false, Ordering::Relaxed);
    world.until_phase(RitePhase::Pending).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_that_says_it_already_is_not_written_again() {
    let world = World::new();
    world.pod();
    world.pod();
    world.park("r1", Timestamp::now()).await;
    world.until_phase(RitePhase::Pending).await;
    sleep(Duration::from_secs(5)).await;
    let writes = world.cluster.writes.load(Ordering::Relaxed);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.cluster.writes.load(Ordering::Relaxed), writes);
}
