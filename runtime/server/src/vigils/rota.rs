//! All Vigil objects of a Spirit: which one counts for a conversation, and when each is looked at again.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use eywa_crds::{Vigil, vigil::VigilStatus};
use eywa_weave::{
    SpiritName, StoreError,
    ports::vigil::{Phase, Target, Watch},
};
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, Notify, mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, warn};

use super::{
    keeper::{Keeper, Need},
    kept::{announcements, following, kept_object},
    noted::Notes,
    order::Order,
    status::Report,
};
use crate::{backoff::Backoff, metrics::Metrics};

/// How often a conversation that a human has, or is asked to take, is looked at: another pod may have noted a message.
const WHILE_HUMAN: Duration = Duration::from_secs(2);
/// How often a reply in flight is asked after, while a human waits.
const WHILE_TAKING_OVER: Duration = Duration::from_millis(50);
/// How often the others are looked at, should somebody have changed the store alone.
const OTHERWISE: Duration = Duration::from_secs(20);
/// Messages that come within this time are told to the object together.
const GATHERED: Duration = Duration::from_millis(250);
/// How long it is waited for an object's newer version, which is known to be on its way.
const NEWS: Duration = Duration::from_millis(500);
/// How many objects are made at a time for conversations that have none.
const MOST_MADE: usize = 100;
/// How long an object that the runtime made is kept when the conversation is the Spirit's again.
const KEPT_AFTER_RELEASE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is tried to give back the conversation of an object that is gone, before it is left to whoever takes it
/// next: with the pauses between, about ten minutes.
const DISMISSALS: u32 = 24;

/// What happened to the objects.
#[derive(Clone, Debug)]
pub enum Change<K = Vigil> {
    /// One is new, or not what it was.
    Set(Box<K>),
    /// The one of this name is gone.
    Gone(String),
    /// These are all there are.
    All(Vec<K>),
}

/// Where Vigil objects are kept.
#[async_trait]
pub trait VigilObjects: Send + Sync {
    /// The object as it is right now; `None` when there is none of that name.
    async fn current(&self, name: &str) -> Result<Option<Vigil>, ObjectsError>;

    /// Writes the runtime's part of the status, if the object is still exactly the one given.
    async fn publish(&self, vigil: &Vigil, status: &VigilStatus)
    -> Result<Published, ObjectsError>;

    /// Makes an object, unless there is one of its name, which is left as it is.
    async fn make(&self, vigil: &Vigil) -> Result<(), ObjectsError>;

    /// Writes labels, annotations and spec as they are given here, if the object is otherwise still exactly the one given.
    async fn rewrite(&self, vigil: &Vigil) -> Result<Published, ObjectsError>;

    /// Deletes the object, if it is still exactly the one given.
    async fn delete(&self, vigil: &Vigil) -> Result<Published, ObjectsError>;

    /// Says where people look for it what has happened to the object. What cannot be said is dropped.
    async fn announce(&self, vigil: &Vigil, news: Announcement);
}

/// What has happened to a Vigil object. It holds nothing of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Whether somebody should do something about it.
    pub warning: bool,
    /// In one word.
    pub reason: &'static str,
    /// In a sentence.
    pub note: String,
}

/// What came of writing a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is written.
    Written,
    /// The object has changed since: it is to be looked at again.
    Outdated,
}

/// Where the objects are kept does not answer. What is in the store holds meanwhile.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the objects cannot be reached: {0}")]
pub struct ObjectsError(pub String);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

/// Keeps all Vigils of a Spirit.
pub struct Rota {
    shared: Arc<Shared>,
    posts: BTreeMap<String, Post>,
    /// Held while objects are made.
    making: Arc<Mutex<()>>,
}

struct Shared {
    spirit: SpiritName,
    keeper: Keeper,
    objects: Arc<dyn VigilObjects>,
    notes: Notes,
    metrics: Metrics,
}

/// One object, and the task that keeps it.
struct Post {
    order: Order,
    seen: watch::Sender<Seen>,
}

/// What a task knows of its object.
#[derive(Clone)]
struct Seen {
    vigil: Vigil,
    order: Order,
    /// When this generation was first seen.
    at: Instant,
    /// An older object about the same conversation.
    rival: Option<String>,
}

impl Rota {
    /// A rota of the Vigils of `spirit`. `notes` are those of the [`Noted`](super::Noted) Vigil that the Weave was given.
    pub fn new(
        spirit: SpiritName,
        keeper: Keeper,
        objects: Arc<dyn VigilObjects>,
        notes: Notes,
        metrics: Metrics,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                spirit,
                keeper,
                objects,
                notes,
                metrics,
            }),
            posts: BTreeMap::new(),
            making: Arc::new(Mutex::new(())),
        }
    }

    /// Keeps the Vigils until `changes` ends. Each object has a task, so that none waits for another.
    pub async fn run(mut self, mut changes: mpsc::Receiver<Change>) {
        let (opened, mut listed) = (self.shared.notes.opened(), false);
        let mut next_look = Instant::now();
        loop {
            let change = tokio::select! {
                change = changes.recv() => match change {
                    Some(change) => change,
                    None => return,
                },
                () = opened.notified(), if listed => {
                    self.make_missing();
                    continue;
                }
                () = sleep_until(next_look), if listed => {
                    next_look = Instant::now() + OTHERWISE;
                    self.make_missing();
                    continue;
                }
            };
            match change {
                Change::Set(vigil) => self.set(*vigil),
                Change::Gone(name) => self.gone(&name),
                Change::All(vigils) => {
                    listed = true;
                    let stay = |name: &String| {
                        vigils
                            .iter()
                            .any(|vigil| vigil.metadata.name.as_ref() == Some(name))
                    };
                    let gone: Vec<String> = self
                        .posts
                        .keys()
                        .filter(|name| !stay(name))
                        .cloned()
                        .collect();
                    vigils.iter().for_each(|vigil| self.set(vigil.clone()));
                    gone.iter().for_each(|name| self.gone(name));
                }
            }
        }
    }

    /// Makes objects for what a human has, or is asked to take, and that has none, in a task of its own.
    fn make_missing(&self) {
        let known: HashSet<Target> = self
            .posts
            .values()
            .map(|post| post.order.target.clone())
            .collect();
        let (shared, making) = (Arc::clone(&self.shared), Arc::clone(&self.making));
        tokio::spawn(async move {
            // What comes up meanwhile is found by the next look.
            let Ok(_making) = making.try_lock() else {
                return;
            };
            if let Err(failed) = shared.make_missing(&known).await {
                warn!(error = %failed, "a Vigil could not be made for a conversation; trying again");
            }
        });
    }

    fn set(&mut self, vigil: Vigil) {
        let order = match Order::of(&vigil) {
            Ok(order) => order,
            Err(error) => {
                warn!(%error, "a Vigil is passed over");
                return;
            }
        };
        let at = self
            .posts
            .get(&order.name)
            .map_or_else(Instant::now, |post| {
                let seen = post.seen.borrow();
                if seen.order.generation == order.generation {
                    seen.at
                } else {
                    Instant::now()
                }
            });
        let seen = Seen {
            vigil,
            rival: self.rival_of(&order),
            order: order.clone(),
            at,
        };
        let target = order.target.clone();
        if let Some(post) = self.posts.get_mut(&order.name) {
            post.order = order;
            post.seen.send_replace(seen);
        } else {
            let (sender, receiver) = watch::channel(seen);
            tokio::spawn(Arc::clone(&self.shared).attend(receiver));
            self.posts.insert(
                order.name.clone(),
                Post {
                    order,
                    seen: sender,
                },
            );
        }
        self.rank(&target);
    }

    fn gone(&mut self, name: &str) {
        let Some(post) = self.posts.remove(name) else {
            return;
        };
        let target = &post.order.target;
        if self
            .posts
            .values()
            .any(|other| other.order.target == *target)
        {
            self.rank(target);
        } else {
            self.shared.notes.forget(target);
            // What the runtime has tidied away itself orders nothing.
            if !(post.order.kept && post.order.idle) {
                tokio::spawn(Arc::clone(&self.shared).dismiss(post.order.clone()));
            }
        }
    }

    /// Tells the objects about one conversation which of them counts.
    fn rank(&self, target: &Target) {
        for post in self
            .posts
            .values()
            .filter(|post| post.order.target == *target)
        {
            let rival = self.rival_of(&post.order);
            post.seen.send_if_modified(|seen| {
                let changed = seen.rival != rival;
                seen.rival = rival;
                changed
            });
        }
    }

    /// The object that counts in this one's place: the oldest about the same conversation.
    fn rival_of(&self, order: &Order) -> Option<String> {
        let age = |order: &Order| (order.created_at, order.name.clone());
        self.posts
            .values()
            .filter(|post| post.order.target == order.target && post.order.name != order.name)
            .map(|post| age(&post.order))
            .filter(|other| *other < age(order))
            .min()
            .map(|(_, name)| name)
    }
}

impl Shared {
    /// Keeps one object until it is gone.
    async fn attend(self: Arc<Self>, mut seen: watch::Receiver<Seen>) {
        let mut backoff = Backoff::default();
        let mut counted = None;
        loop {
            let now = seen.borrow_and_update().clone();
            let note = if now.rival.is_none() {
                self.notes.about(&now.order.target)
            } else {
                Arc::new(Notify::new())
            };
            let wait = match self.step(&now, &mut counted).await {
                Ok(wait) => {
                    backoff.reset();
                    wait
                }
                Err(failed) => {
                    let wait = backoff.next();
                    warn!(vigil = %now.order.name, error = %failed, "a Vigil could not be kept; trying again in {wait:?}");
                    wait
                }
            };
            tokio::select! {
                changed = seen.changed() => if changed.is_err() { break },
                () = note.notified() => sleep(GATHERED).await,
                () = sleep(wait) => {}
            }
        }
        self.metrics.vigil_moved(&self.spirit, counted, None);
    }

    /// Looks at one object once: the store first, the status second. Says when to look again.
    async fn step(&self, seen: &Seen, counted: &mut Option<Phase>) -> Result<Duration, Failed> {
        let Seen { vigil, order, .. } = seen;
        let now = Timestamp::now();
        let report = Report {
            order,
            before: vigil.status.as_ref(),
            now,
        };
        if let Some(rival) = &seen.rival {
            self.count(counted, Phase::Watching);
            self.publish(vigil, &report, report.superseded(rival))
                .await?;
            return Ok(OTHERWISE);
        }
        let watch = match self.carry_out(order, now).await {
            Ok(Some(watch)) => watch,
            Ok(None) => return Ok(NEWS),
            Err(Failed::Store(error)) => {
                if !order.done {
                    self.publish(vigil, &report, report.unreachable(&error.to_string()))
                        .await?;
                }
                return Err(error.into());
            }
            Err(failed) => return Err(failed),
        };
        let (watch, idle_in) = self.keeper.release_idle(order, watch, now).await?;
        if watch.phase == Phase::Active && *counted != Some(Phase::Active) {
            self.keeper.has_become_active(order, &watch).await?;
        }
        self.count(counted, watch.phase);
        if order.kept && order.done && self.keep_up(vigil, order, &watch, now).await? {
            return Ok(NEWS);
        }
        let carried_out = order.done
            || watch.phase.is_human() == order.takeover && watch.phase != Phase::TakingOver;
        let status = report.of(&watch, carried_out);
        let announcements = announcements(vigil.status.as_ref(), &status);
        let written = self.publish(vigil, &report, status).await?;
        for news in announcements.into_iter().filter(|_| written) {
            self.objects.announce(vigil, news).await;
        }
        if written && watch.phase == Phase::Active && !order.done {
            self.metrics.taken_over(&self.spirit, seen.at.elapsed());
        }
        Ok(match watch.phase {
            Phase::TakingOver => WHILE_TAKING_OVER,
            Phase::Active | Phase::Requested => WHILE_HUMAN.min(idle_in.unwrap_or(WHILE_HUMAN)),
            Phase::Watching | Phase::Released => OTHERWISE,
        })
    }

    /// Does what the object asks, if it still asks for it; `None` when a newer version of it is on its way.
    async fn carry_out(&self, order: &Order, now: Timestamp) -> Result<Option<Watch>, Failed> {
        let watch = self.keeper.state(&order.target).await?;
        let need = Need::of(order, &watch);
        if need.is_a_change() {
            let current = self.objects.current(&order.name).await?;
            if current
                .and_then(|vigil| vigil.metadata.generation)
                .unwrap_or_default()
                != order.generation
            {
                debug!(vigil = %order.name, "an order was overtaken by a newer one");
                return Ok(None);
            }
        }
        Ok(Some(self.keeper.satisfy(order, need, watch, now).await?))
    }

    /// Makes objects for what a human has, or is asked to take, unless it is `known` to have one.
    async fn make_missing(&self, known: &HashSet<Target>) -> Result<(), Failed> {
        let open = self.keeper.open().await?;
        let missing = open
            .into_iter()
            .filter(|(target, _)| !known.contains(target));
        for (target, watch) in missing.take(MOST_MADE) {
            self.objects
                .make(&kept_object(&self.spirit, &target, &watch))
                .await?;
        }
        Ok(())
    }

    /// Lets an object that is the runtime's own say what is, and go when it is no longer needed; whether a newer version of
    /// it is on its way.
    async fn keep_up(
        &self,
        vigil: &Vigil,
        order: &Order,
        watch: &Watch,
        now: Timestamp,
    ) -> Result<bool, ObjectsError> {
        if watch.phase.is_human() != order.takeover {
            let followed = following(vigil, order, watch);
            self.objects.rewrite(&followed).await?;
            return Ok(true);
        }
        let over = match watch.phase {
            Phase::Released => watch.released_at,
            Phase::Watching => Some(order.created_at),
            _ => None,
        };
        let old = over.is_some_and(|over| {
            Duration::try_from(now.duration_since(over)).is_ok_and(|age| age >= KEPT_AFTER_RELEASE)
        });
        if old && order.idle {
            return Ok(self.objects.delete(vigil).await? == Published::Written);
        }
        Ok(false)
    }

    /// Writes the status if it is news; whether it was and is written.
    async fn publish(
        &self,
        vigil: &Vigil,
        report: &Report<'_>,
        status: VigilStatus,
    ) -> Result<bool, ObjectsError> {
        if report.is_known(&status) {
            return Ok(false);
        }
        Ok(self.objects.publish(vigil, &status).await? == Published::Written)
    }

    /// The object is gone: the conversation goes back to the Spirit.
    async fn dismiss(self: Arc<Self>, order: Order) {
        let mut backoff = Backoff::default();
        for _ in 0..DISMISSALS {
            match self.try_to_dismiss(&order).await {
                Ok(()) => return,
                Err(error) => {
                    warn!(vigil = %order.name, %error, "a deleted Vigil's conversation is not given back yet");
                }
            }
            sleep(backoff.next()).await;
        }
    }

    async fn try_to_dismiss(&self, order: &Order) -> Result<(), Failed> {
        // One of the same name that was made since has its own task.
        if self.objects.current(&order.name).await?.is_none() {
            self.keeper.dismiss(order, Timestamp::now()).await?;
        }
        Ok(())
    }

    fn count(&self, counted: &mut Option<Phase>, phase: Phase) {
        if *counted != Some(phase) {
            self.metrics
                .vigil_moved(&self.spirit, counted.replace(phase), Some(phase));
        }
    }
}

#[cfg(test)]
#[path = "rota_tests.rs"]
mod tests;
