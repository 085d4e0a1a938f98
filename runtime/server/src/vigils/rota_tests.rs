use std::sync::{Mutex, PoisonError, atomic::AtomicBool, atomic::Ordering};

use eywa_adapters::{chronicle::InMemoryChronicle, echoes::InMemoryEchoes, vigil::InMemoryVigil};
use eywa_crds::vigil::{FOLLOWED, KEPT_BY, VigilPhase, VigilReleaseReason, VigilSpec, object_name};
use eywa_weave::{
    EchoBody, Handover, PulseId, SessionKey,
    ports::{
        self, Chronicle as _, Echoes as _, Vigil as _,
        bond::Fence,
        chronicle::DeedKind,
        vigil::{Cause, Permit, ReleaseReason},
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::vigils::Noted;

/// Vigil objects as an API server keeps them: each change has a version, and each change of the spec a generation.
#[derive(Default)]
struct Cluster {
    objects: Mutex<BTreeMap<String, Vigil>>,
    version: Mutex<i64>,
    watchers: Mutex<Vec<mpsc::Sender<Change>>>,
    away: AtomicBool,
    writes: Mutex<Vec<VigilStatus>>,
    announced: Mutex<Vec<(String, Announcement)>>,
}

impl Cluster {
    fn apply(&self, name: &str, change: impl FnOnce(&mut VigilSpec)) {
        let mut objects = self.objects.lock().unwrap();
        let vigil = objects.entry(name.to_owned()).or_insert_with(|| {
            let spec = serde_json::from_value(serde_json::json!({
                "spiritRef": {"name": "barista"}, "session": "wa/551",
            }));
            let mut vigil = Vigil::new(name, spec.unwrap());
            let age = *self.version.lock().unwrap();
            vigil.metadata.creation_timestamp =
                Some(Time(Timestamp::from_second(1_700_000_000 + age).unwrap()));
            vigil
        });
        change(&mut vigil.spec);
        vigil.metadata.generation = Some(vigil.metadata.generation.unwrap_or_default() + 1);
        self.changed(vigil);
    }

    fn reachable(&self) -> Result<(), ObjectsError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ObjectsError("away".to_owned()));
        }
        Ok(())
    }

    /// Why something was said of an object, in that order.
    fn announced(&self, name: &str) -> Vec<&'static str> {
        let announced = self.announced.lock().unwrap();
        let about = announced.iter().filter(|(of, _)| of == name);
        about.map(|(_, news)| news.reason).collect()
    }

    fn delete(&self, name: &str) {
        self.objects.lock().unwrap().remove(name);
        self.tell(&Change::Gone(name.to_owned()));
    }

    fn changed(&self, vigil: &mut Vigil) {
        let mut version = self.version.lock().unwrap();
        *version += 1;
        vigil.metadata.resource_version = Some(version.to_string());
        self.tell(&Change::Set(Box::new(vigil.clone())));
    }

    fn tell(&self, change: &Change) {
        for watcher in self.watchers.lock().unwrap().iter() {
            watcher.try_send(change.clone()).unwrap();
        }
    }

    fn status(&self, name: &str) -> VigilStatus {
        let objects = self.objects.lock().unwrap();
        let vigil = objects.get(name).cloned();
        vigil.and_then(|vigil| vigil.status).unwrap_or_default()
    }

    fn writes(&self) -> usize {
        self.writes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

#[async_trait]
impl VigilObjects for Cluster {
    async fn current(&self, name: &str) -> Result<Option<Vigil>, ObjectsError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ObjectsError("away".to_owned()));
        }
        Ok(self.objects.lock().unwrap().get(name).cloned())
    }

    async fn publish(
        &self,
        vigil: &Vigil,
        status: &VigilStatus,
    ) -> Result<Published, ObjectsError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ObjectsError("away".to_owned()));
        }
        let mut objects = self.objects.lock().unwrap();
        let name = vigil.metadata.name.as_deref().unwrap();
        let Some(kept) = objects.get_mut(name) else {
            return Ok(Published::Outdated);
        };
        if kept.metadata.resource_version != vigil.metadata.resource_version {
            return Ok(Published::Outdated);
        }
        kept.status = Some(status.clone());
        self.writes.lock().unwrap().push(status.clone());
        self.changed(kept);
        Ok(Published::Written)
    }

    async fn make(&self, vigil: &Vigil) -> Result<(), ObjectsError> {
        self.reachable()?;
        let name = vigil.metadata.name.clone().unwrap();
        let mut objects = self.objects.lock().unwrap();
        if objects.contains_key(&name) {
            return Ok(());
        }
        let mut made = vigil.clone();
        made.metadata.generation = Some(1);
        made.metadata.creation_timestamp = Some(Time(Timestamp::now()));
        self.changed(&mut made);
        objects.insert(name, made);
        Ok(())
    }

    async fn rewrite(&self, vigil: &Vigil) -> Result<Published, ObjectsError> {
        self.reachable()?;
        let mut objects = self.objects.lock().unwrap();
        let kept = objects.get_mut(vigil.metadata.name.as_deref().unwrap());
        let Some(kept) =
            kept.filter(|kept| kept.metadata.resource_version == vigil.metadata.resource_version)
        else {
            return Ok(Published::Outdated);
        };
        kept.metadata.annotations = vigil.metadata.annotations.clone();
        kept.metadata.labels = vigil.metadata.labels.clone();
        if kept.spec != vigil.spec {
            kept.spec = vigil.spec.clone();
            kept.metadata.generation = Some(kept.metadata.generation.unwrap() + 1);
        }
        self.changed(kept);
        Ok(Published::Written)
    }

    async fn delete(&self, vigil: &Vigil) -> Result<Published, ObjectsError> {
        self.reachable()?;
        let name = vigil.metadata.name.as_deref().unwrap();
        let version = |vigil: &Vigil| vigil.metadata.resource_version.clone();
        let current = self.objects.lock().unwrap().get(name).map(version);
        if current != Some(version(vigil)) {
            return Ok(Published::Outdated);
        }
        Self::delete(self, name);
        Ok(Published::Written)
    }

    async fn announce(&self, vigil: &Vigil, news: Announcement) {
        let name = vigil.metadata.name.clone().unwrap();
        self.announced.lock().unwrap().push((name, news));
    }
}

struct World {
    cluster: Arc<Cluster>,
    vigil: Arc<InMemoryVigil>,
    echoes: Arc<InMemoryEchoes>,
    chronicle: Arc<InMemoryChronicle>,
}

impl World {
    fn new() -> Self {
        Self {
            cluster: Arc::default(),
            vigil: Arc::new(InMemoryVigil::new()),
            echoes: Arc::new(InMemoryEchoes::new()),
            chronicle: Arc::new(InMemoryChronicle::new()),
        }
    }

    /// What the desk of a pod changes hands by.
    fn handover(&self, noted: &Arc<Noted>) -> Handover {
        Handover::new(
            "barista".into(),
            Arc::clone(noted) as _,
            Arc::clone(&self.echoes) as _,
            Arc::clone(&self.chronicle) as _,
            Vec::new(),
        )
    }

    /// Starts a pod; gives its Vigil port and its metrics.
    fn pod(&self) -> (Arc<Noted>, Metrics) {
        let (notes, metrics) = (Notes::default(), Metrics::new().unwrap());
        let noted = Arc::new(Noted::new(Arc::clone(&self.vigil) as _, notes.clone()));
        let handover = self.handover(&noted);
        let keeper = Keeper::new(
            handover,
            Arc::clone(&self.echoes) as _,
            Duration::from_secs(2 * 60 * 60),
        );
        let cluster = Arc::clone(&self.cluster);
        let rota = Rota::new(
            "barista".into(),
            keeper,
            cluster as _,
            notes,
            metrics.clone(),
        );
        let (sender, changes) = mpsc::channel(1024);
        let all = self
            .cluster
            .objects
            .lock()
            .unwrap()
            .values()
            .cloned()
            .collect();
        sender.try_send(Change::All(all)).unwrap();
        self.cluster.watchers.lock().unwrap().push(sender);
        tokio::spawn(rota.run(changes));
        (noted, metrics)
    }

    /// Waits until the object's status is as wanted.
    async fn until(&self, name: &str, holds: impl Fn(&VigilStatus) -> bool) -> VigilStatus {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self.cluster.status(name);
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "the status stays {status:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn marks(&self) -> Vec<EchoBody> {
        self.echoes
            .recent(&ana(), 10)
            .await
            .unwrap()
            .into_iter()
            .map(|echo| echo.body)
            .collect()
    }

    async fn permitted(&self) -> bool {
        let permit = self
            .vigil
            .begin_speaking(&ana(), Fence(1), Duration::from_secs(5))
            .await
            .unwrap();
        self.vigil.end_speaking(&ana(), Fence(1)).await.unwrap();
        permit == Permit::Granted
    }
}

fn ana() -> SessionKey {
    SessionKey::new("wa", "551")
}

fn take(spec: &mut VigilSpec) {
    spec.takeover = true;
    spec.by = Some("ana@cafe.example".to_owned());
}

fn in_phase(phase: VigilPhase) -> impl Fn(&VigilStatus) -> bool {
    move |status| status.phase == Some(phase)
}

#[tokio::test(start_paused = true)]
async fn a_takeover_becomes_active_and_a_release_gives_back() {
    let world = World::new();
    world.pod();
    world.pod();
    world.cluster.apply("ana", |_| {});
    let status = world.until("ana", in_phase(VigilPhase::Watching)).await;
    assert_eq!(status.observed_generation, Some(1));
    assert!(world.permitted().await);

    world.cluster.apply("ana", take);
    let status = world.until("ana", in_phase(VigilPhase::Active)).await;
    assert_eq!(
        (status.by.as_deref(), status.observed_generation),
        (Some("ana@cafe.example"), Some(2))
    );
    assert!(status.since.is_some());
    assert_eq!(status.unanswered, Some(0));
    assert!(!world.permitted().await, "a human has it");

    world.cluster.apply("ana", |spec| spec.takeover = false);
    let status = world.until("ana", in_phase(VigilPhase::Released)).await;
    assert_eq!(status.released_by.as_deref(), Some("ana@cafe.example"));
    assert!(world.permitted().await);
    let by = "ana@cafe.example".to_owned();
    assert_eq!(
        world.marks().await,
        [
            EchoBody::TookOver { by: by.clone() },
            EchoBody::GaveBack {
                by,
                reason: ReleaseReason::Human
            }
        ],
        "once, by two pods"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_flight_is_waited_for_before_the_status_says_active() {
    let world = World::new();
    world.pod();
    world
        .vigil
        .begin_speaking(&ana(), Fence(7), Duration::from_secs(25))
        .await
        .unwrap();
    world.cluster.apply("ana", take);
    let status = world.until("ana", in_phase(VigilPhase::TakingOver)).await;
    assert_eq!(
        status.observed_generation, None,
        "it is not carried out yet"
    );
    assert!(
        status
            .conditions
            .iter()
            .any(|one| one.type_ == "Ready" && one.status == "False"),
        "{status:?}"
    );
    world.vigil.end_speaking(&ana(), Fence(7)).await.unwrap();
    let status = world.until("ana", in_phase(VigilPhase::Active)).await;
    assert_eq!(status.observed_generation, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_counted_in_the_status_within_two_seconds_whichever_pod_took_it() {
    let world = World::new();
    let (noted, _) = world.pod();
    world.cluster.apply("ana", take);
    world.until("ana", in_phase(VigilPhase::Active)).await;

    let began = Instant::now();
    noted
        .note(&ana(), &PulseId::from("wa/1"), Timestamp::now())
        .await
        .unwrap();
    world
        .until("ana", |status| {
            status.unanswered == Some(1) && status.last_pulse_time.is_some()
        })
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "its own pod tells at once"
    );

    let began = Instant::now();
    world
        .vigil
        .note(&ana(), &PulseId::from("wa/2"), Timestamp::now())
        .await
        .unwrap();
    world
        .until("ana", |status| status.unanswered == Some(2))
        .await;
    assert!(
        began.elapsed() <= Duration::from_millis(2100),
        "another pod's is found: {:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_that_says_it_already_is_not_written_again() {
    let world = World::new();
    world.pod();
    world.pod();
    world.cluster.apply("ana", take);
    world.until("ana", in_phase(VigilPhase::Active)).await;
    sleep(Duration::from_secs(5)).await;
    let writes = world.cluster.writes();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.cluster.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_used_for_its_idle_time_is_given_back_and_stays_so_until_the_spec_is_edited() {
    let world = World::new();
    world.pod();
    // The store's clock is the wall's, which paused time does not move: a time that has passed at once.
    world.cluster.apply("ana", |spec| {
        take(spec);
        spec.release_after = Some(eywa_crds::Duration::from_millis(1));
    });
    let status = world.until("ana", in_phase(VigilPhase::Released)).await;
    assert_eq!(status.released_by.as_deref(), Some("idle"));
    assert_eq!(status.release_reason, Some(VigilReleaseReason::Idle));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(
        world.cluster.status("ana").phase,
        Some(VigilPhase::Released),
        "the same order is not carried out twice"
    );
    assert!(world.permitted().await);

    world.cluster.apply("ana", |spec| {
        spec.release_after = Some(eywa_crds::Duration::ZERO);
    });
    world.until("ana", in_phase(VigilPhase::Active)).await;
    sleep(Duration::from_secs(120)).await;
    assert_eq!(
        world.cluster.status("ana").phase,
        Some(VigilPhase::Active),
        "zero is never"
    );
}

#[tokio::test(start_paused = true)]
async fn a_conversation_has_one_vigil_the_oldest() {
    let world = World::new();
    world.pod();
    world.cluster.apply("older", |_| {});
    world.cluster.apply("newer", take);
    let status = world
        .until("newer", |status| !status.conditions.is_empty())
        .await;
    let ready = status
        .conditions
        .iter()
        .find(|one| one.type_ == "Ready")
        .unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "Superseded")
    );
    assert!(ready.message.contains("older"), "{}", ready.message);
    assert!(world.permitted().await);

    world.cluster.delete("older");
    world.until("newer", in_phase(VigilPhase::Active)).await;
}

#[tokio::test(start_paused = true)]
async fn deleting_the_object_gives_the_conversation_back() {
    let world = World::new();
    world.pod();
    world.cluster.apply("ana", take);
    world.until("ana", in_phase(VigilPhase::Active)).await;
    world.cluster.delete("ana");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !world.permitted().await {
        assert!(
            Instant::now() < deadline,
            "the human is gone and still has it"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_holds_while_the_api_server_is_away() {
    let world = World::new();
    let (noted, _) = world.pod();
    world.cluster.apply("ana", take);
    world.until("ana", in_phase(VigilPhase::Active)).await;
    world.cluster.away.store(true, Ordering::Relaxed);
    noted
        .note(&ana(), &PulseId::from("wa/1"), Timestamp::now())
        .await
        .unwrap();
    sleep(Duration::from_secs(60)).await;
    assert!(!world.permitted().await);
    world.cluster.away.store(false, Ordering::Relaxed);
    world
        .until("ana", |status| status.unanswered == Some(1))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_takeover_that_the_store_has_forgotten_is_made_again() {
    let mut world = World::new();
    world.pod();
    world.cluster.apply("ana", take);
    world.until("ana", in_phase(VigilPhase::Active)).await;
    world.vigil = Arc::new(InMemoryVigil::new());
    world.pod();
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.permitted().await {
        assert!(Instant::now() < deadline, "the Spirit talks over the human");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_spirit_can_be_taken_over() {
    let world = World::new();
    world.pod();
    world.cluster.apply("all", |spec| {
        take(spec);
        spec.session = "*".to_owned();
    });
    world.until("all", in_phase(VigilPhase::Active)).await;
    assert!(!world.permitted().await);
    assert_eq!(
        ports::Vigil::state(&*world.vigil, &Target::Everyone)
            .await
            .unwrap()
            .phase,
        Phase::Active
    );
}

#[tokio::test(start_paused = true)]
async fn takeovers_and_phases_are_counted() {
    let world = World::new();
    let (_, metrics) = world.pod();
    let _series = metrics.observer(&"barista".into(), []);
    world.cluster.apply("ana", take);
    world.until("ana", in_phase(VigilPhase::Active)).await;
    let text = metrics.render().unwrap();
    assert!(
        text.contains(r#"eywa_vigils{phase="Active",spirit="barista"} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"eywa_vigil_takeover_seconds_count{spirit="barista"} 1"#),
        "{text}"
    );
}

/// The object that the runtime makes for ana's conversation.
fn kept() -> String {
    object_name("barista", "wa/551")
}

#[tokio::test(start_paused = true)]
async fn a_human_who_is_asked_for_gets_an_object_and_an_event() {
    let world = World::new();
    let (noted, _) = world.pod();
    world.pod();
    sleep(Duration::from_secs(1)).await;
    let reason = "the person asked for a human";
    let target = Target::Session(ana());
    let desk = world.handover(&noted);
    let asked = desk.request(&target, Cause::Agent, reason, Timestamp::now());
    assert!(asked.await.unwrap());
    let status = world.until(&kept(), in_phase(VigilPhase::Requested)).await;
    assert_eq!(status.request_reason.as_deref(), Some(reason));
    assert!(status.requested_at.is_some());
    assert!(
        world.permitted().await,
        "the Spirit answers until the human is there"
    );
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        world.cluster.announced(&kept()),
        ["Requested"],
        "once, by two pods"
    );
    let object = world.cluster.objects.lock().unwrap()[&kept()].clone();
    assert!(!object.spec.takeover && object.metadata.labels.unwrap().contains_key(KEPT_BY));

    // From here on it is an object like any other.
    world.cluster.apply(&kept(), take);
    world.until(&kept(), in_phase(VigilPhase::Active)).await;
    assert!(!world.permitted().await);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_over_on_the_desk_has_an_object_by_which_it_can_be_given_back() {
    let world = World::new();
    let (noted, _) = world.pod();
    world.pod();
    sleep(Duration::from_secs(1)).await;
    let (desk, target) = (world.handover(&noted), Target::Session(ana()));
    desk.take_over(&target, "ana@cafe.example", Timestamp::now())
        .await
        .unwrap();
    let status = world.until(&kept(), in_phase(VigilPhase::Active)).await;
    assert_eq!(status.by.as_deref(), Some("ana@cafe.example"));
    let spec = world.cluster.objects.lock().unwrap()[&kept()].spec.clone();
    assert!(spec.takeover && spec.by.as_deref() == Some("ana@cafe.example"));

    world.cluster.apply(&kept(), |spec| spec.takeover = false);
    let status = world.until(&kept(), in_phase(VigilPhase::Released)).await;
    assert_eq!(status.release_reason, Some(VigilReleaseReason::Human));
    assert!(world.permitted().await);

    // And again, and this time the desk gives it back: the spec follows, and orders nothing.
    desk.take_over(&target, "ben@cafe.example", Timestamp::now())
        .await
        .unwrap();
    world.until(&kept(), in_phase(VigilPhase::Active)).await;
    sleep(Duration::from_secs(30)).await;
    desk.give_back(
        &target,
        "ben@cafe.example",
        ReleaseReason::Human,
        Timestamp::now(),
    )
    .await
    .unwrap();
    world.until(&kept(), in_phase(VigilPhase::Released)).await;
    sleep(Duration::from_secs(120)).await;
    let object = world.cluster.objects.lock().unwrap()[&kept()].clone();
    assert!(!object.spec.takeover, "{:?}", object.spec);
    let generation = object
        .metadata
        .generation
        .map(|generation| generation.to_string());
    assert_eq!(
        object.metadata.annotations.unwrap().get(FOLLOWED),
        generation.as_ref()
    );
    assert!(
        world.permitted().await,
        "the old spec was carried out again"
    );
    let deeds = world.chronicle.deeds(&target, 10).await.unwrap();
    let said: Vec<_> = deeds
        .iter()
        .map(|deed| (deed.by.as_str(), &deed.what))
        .collect();
    let gave_back = DeedKind::GaveBack {
        reason: ReleaseReason::Human,
    };
    assert_eq!(
        said,
        [
            ("ana@cafe.example", &DeedKind::TookOver),
            ("ana@cafe.example", &gave_back),
            ("ben@cafe.example", &DeedKind::TookOver),
            ("ben@cafe.example", &gave_back),
        ],
        "each once, by two pods"
    );
}

#[tokio::test(start_paused = true)]
async fn a_takeover_whose_pod_died_is_settled_and_gets_its_object_by_another() {
    let world = World::new();
    let target = Target::Session(ana());
    world
        .vigil
        .take_over(&target, "ana", Timestamp::now())
        .await
        .unwrap();
    world.pod();
    world.until(&kept(), in_phase(VigilPhase::Active)).await;
    let marks = world.marks().await;
    assert_eq!(
        marks,
        [EchoBody::TookOver {
            by: "ana".to_owned()
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_the_runtime_made_goes_a_day_after_the_release_and_takes_nothing_with_it() {
    let world = World::new();
    let target = Target::Session(ana());
    let long_ago = Timestamp::now() - Duration::from_secs(25 * 60 * 60);
    world
        .vigil
        .take_over(&target, "ana", long_ago)
        .await
        .unwrap();
    let released = world
        .vigil
        .release(&target, "ana", ReleaseReason::Human, long_ago)
        .await
        .unwrap();
    let object = kept_object(&"barista".into(), &target, &released);
    world.cluster.make(&object).await.unwrap();
    world.pod();
    let deadline = Instant::now() + Duration::from_secs(120);
    while world.cluster.objects.lock().unwrap().contains_key(&kept()) {
        assert!(Instant::now() < deadline, "it is still there");
        sleep(Duration::from_millis(100)).await;
    }

    // One of a person's own stays.
    world.cluster.apply("ana", |_| {});
    world.until("ana", in_phase(VigilPhase::Released)).await;
    sleep(Duration::from_secs(120)).await;
    assert!(world.cluster.objects.lock().unwrap().contains_key("ana"));
}

#[tokio::test(start_paused = true)]
async fn a_second_person_is_told_who_has_it() {
    let world = World::new();
    world.pod();
    world.pod();
    world.cluster.apply("ana", take);
    world.until("ana", in_phase(VigilPhase::Active)).await;
    world
        .cluster
        .apply("ana", |spec| spec.by = Some("ben@cafe.example".to_owned()));
    let refused = |status: &VigilStatus| {
        status.conditions.iter().any(|condition| {
            condition.reason == "HeldByAnother" && condition.message.contains("ana@cafe.example")
        })
    };
    let status = world.until("ana", refused).await;
    assert_eq!(status.by.as_deref(), Some("ana@cafe.example"));
    sleep(Duration::from_secs(60)).await;
    assert!(refused(&world.cluster.status("ana")), "it is forgotten");
    assert_eq!(
        world.cluster.announced("ana"),
        ["TakenOver", "HeldByAnother"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_takeover_on_the_desk_needs_no_api_server() {
    let world = World::new();
    let (noted, _) = world.pod();
    sleep(Duration::from_secs(1)).await;
    world.cluster.away.store(true, Ordering::Relaxed);
    let (desk, target) = (world.handover(&noted), Target::Session(ana()));
    let watch = desk
        .take_over(&target, "ana", Timestamp::now())
        .await
        .unwrap();
    assert_eq!(watch.phase, Phase::Active);
    sleep(Duration::from_secs(60)).await;
    assert!(!world.permitted().await);
    world.cluster.away.store(false, Ordering::Relaxed);
    world.until(&kept(), in_phase(VigilPhase::Active)).await;
}
