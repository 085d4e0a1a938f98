//! What happens in a Spirit's conversations, as it happens, wherever its Weaves run.
//!
//! While somebody watches, one task a Spirit asks its stores a few times a second what has changed: the index of
//! conversations, the Vigils that are open, the Bonds of the latest sessions, and now and then the Rites. That is four
//! small reads, however many watch and however many conversations there are, and nothing at all when nobody watches. All
//! who watch are told the same; one who cannot keep up misses some, and is told to look afresh.

mod told;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use eywa_weave::{
    Echo, SessionKey, SpiritName, StoreError,
    ports::{
        echoes::Summary,
        rite::Rite,
        vigil::{Target, Watch},
    },
};
use serde::Serialize;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep},
};
use tracing::debug;

use self::told::{LATEST, Told};
use super::{
    conversation::{MOST_OPEN, Scenery},
    handover::Silence,
    rites::RiteView,
    transcript::shown,
};
use crate::{backoff::Backoff, roster::Roster, serving::Serving};

/// How often the stores are asked.
const BEAT: Duration = Duration::from_millis(400);
/// How often Rites are, which other processes may have changed.
const RITES_BEAT: Duration = Duration::from_secs(2);
/// What may wait for one who watches.
const WAITING: usize = 512;
/// How many changed conversations are told of in one beat. When there are more, all are to look afresh.
const MOST_CHANGED: usize = 200;
/// The most Echoes of one conversation that are told in one beat.
const MOST_ECHOES: usize = 50;
/// Of how many conversations that somebody opened lately it is known whether a Weave is at work, besides the latest.
const LOOKED_AT: usize = 64;

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// How far the index of conversations had come.
    pub(super) place: u64,
    /// Whose conversation; absent when it is about all of them.
    pub(super) session: Option<SessionKey>,
    /// The event's name.
    pub(super) event: &'static str,
    /// The event, as JSON.
    pub(super) data: String,
}

/// One who watches a Spirit.
pub(super) struct Watching(broadcast::Receiver<Arc<News>>);

impl Watching {
    /// What comes next: `Err` when some was missed; `None` when the Spirit is gone.
    pub(super) async fn next(&mut self) -> Option<Result<Arc<News>, Missed>> {
        match self.0.recv().await {
            Ok(news) => Some(Ok(news)),
            Err(RecvError::Lagged(_)) => Some(Err(Missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Some news were missed.
pub(super) struct Missed;

/// The feeds of all Spirits that somebody watches.
#[derive(Clone)]
pub(super) struct Feeds {
    roster: Roster,
    feeds: Arc<Mutex<HashMap<SpiritName, Feed>>>,
}

struct Feed {
    news: broadcast::Sender<Arc<News>>,
    /// Those that somebody opened, the latest last.
    looked_at: VecDeque<SessionKey>,
}

#[derive(Serialize)]
struct Said<'a> {
    spirit: &'a str,
    session: &'a SessionKey,
    echo: &'a Echo,
}

#[derive(Serialize)]
struct Typing<'a> {
    spirit: &'a str,
    session: &'a SessionKey,
    by: &'a str,
}

impl Feeds {
    pub(super) fn new(roster: Roster) -> Self {
        Self {
            roster,
            feeds: Arc::default(),
        }
    }

    /// Watches a Spirit, from now on.
    pub(super) fn watch(&self, spirit: &SpiritName) -> Watching {
        let mut feeds = self.lock();
        if let Some(feed) = feeds.get(spirit) {
            return Watching(feed.news.subscribe());
        }
        let (news, watching) = broadcast::channel(WAITING);
        let feed = Feed {
            news: news.clone(),
            looked_at: VecDeque::new(),
        };
        feeds.insert(spirit.clone(), feed);
        let follower = Follower {
            feeds: self.clone(),
            spirit: spirit.clone(),
            news,
        };
        tokio::spawn(follower.run());
        Watching(watching)
    }

    /// Somebody has opened this conversation: whether a Weave is at work there is of interest.
    pub(super) fn looked_at(&self, spirit: &SpiritName, session: &SessionKey) {
        if let Some(feed) = self.lock().get_mut(spirit)
            && !feed.looked_at.contains(session)
        {
            if feed.looked_at.len() == LOOKED_AT {
                feed.looked_at.pop_front();
            }
            feed.looked_at.push_back(session.clone());
        }
    }

    /// Somebody types. Told to those who watch in this process: it is over before others would hear of it.
    pub(super) fn typing(&self, spirit: &SpiritName, session: &SessionKey, by: &str) {
        if let Some(feed) = self.lock().get(spirit) {
            let spirit = spirit.as_str();
            let typing = Typing {
                spirit,
                session,
                by,
            };
            send(&feed.news, 0, Some(session), "typing", &typing);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SpiritName, Feed>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody listening is no fault.
fn send(
    news: &broadcast::Sender<Arc<News>>,
    place: u64,
    session: Option<&SessionKey>,
    event: &'static str,
    data: &impl Serialize,
) {
    let Ok(data) = serde_json::to_string(data) else {
        return;
    };
    let _ = news.send(Arc::new(News {
        place,
        session: session.cloned(),
        event,
        data,
    }));
}

/// The task that follows one Spirit.
struct Follower {
    feeds: Feeds,
    spirit: SpiritName,
    news: broadcast::Sender<Arc<News>>,
}

/// What is known, so that what is new can be told.
struct Known {
    told: Told,
    open: BTreeMap<String, Watch>,
    everyone: Watch,
    busy: HashSet<SessionKey>,
    /// Where each stands, and whether it is known how its action went.
    rites: HashMap<String, (&'static str, bool)>,
    rites_at: Instant,
    /// This process's count of changes then.
    rites_version: u64,
}

impl Follower {
    /// Follows the Spirit until nobody watches, or it is gone.
    async fn run(self) {
        let mut backoff = Backoff::default();
        let mut known = None;
        while self.is_wanted() {
            let Some(serving) = self.feeds.roster.get(self.spirit.as_str()) else {
                // A reload may be putting another in its place.
                sleep(BEAT).await;
                continue;
            };
            let beat = match &mut known {
                None => Known::of(&serving).await.map(|now| {
                    known = Some(now);
                }),
                Some(known) => self.beat(&serving, known).await,
            };
            match beat {
                Ok(()) => {
                    backoff = Backoff::default();
                    sleep(BEAT).await;
                }
                Err(error) => {
                    debug!(spirit = %self.spirit, %error, "what happens cannot be followed now");
                    sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Whether somebody watches still. When not, the next who does begins anew.
    fn is_wanted(&self) -> bool {
        let mut feeds = self.feeds.lock();
        let wanted = self.news.receiver_count() > 0;
        if !wanted {
            feeds.remove(&self.spirit);
        }
        wanted
    }

    /// Asks what is new, and tells it.
    async fn beat(&self, serving: &Serving, known: &mut Known) -> Result<(), StoreError> {
        let stores = &serving.stores;
        let of_interest = self.of_interest(known);
        let (changed, everyone, open, busy) = tokio::try_join!(
            stores
                .echoes
                .changed(known.told.since(), MOST_CHANGED + LATEST),
            stores.vigil.state(&Target::Everyone),
            stores.vigil.open(MOST_OPEN),
            stores.bond.busy(&of_interest),
        )?;
        let busy: HashSet<SessionKey> = of_interest
            .into_iter()
            .zip(busy)
            .filter_map(|(session, busy)| busy.then_some(session))
            .collect();
        let mut touched: BTreeMap<SessionKey, Option<Summary>> = BTreeMap::new();
        for session in known.busy.symmetric_difference(&busy) {
            touched.insert(session.clone(), None);
        }
        let open = by_target(open);
        for target in differing(&known.open, &open) {
            if let Ok(Target::Session(session)) = target.parse() {
                touched.insert(session, None);
            }
        }
        let version = *serving.weave().rite_changes().borrow();
        let rites = if known.rites_at.elapsed() >= RITES_BEAT || version != known.rites_version {
            Some(serving.weave().rites(None).await?)
        } else {
            None
        };
        for rite in rites.iter().flatten() {
            if known.rites.get(rite.asked.id.as_str()) != Some(&told(rite)) {
                touched.insert(rite.asked.session.clone(), None);
            }
        }
        if changed.len() == MOST_CHANGED + LATEST {
            // Too much to tell: everybody looks afresh, and the feed goes on from here.
            *known = Known::of(serving).await?;
            self.send(known, None, "resync", &serde_json::json!({}));
            return Ok(());
        }
        for summary in known.told.news(&changed) {
            self.tell_echoes(serving, known, summary).await?;
            touched.insert(summary.session.clone(), Some(summary.clone()));
        }
        known.told.remember(&changed);
        self.tell_conversations(serving, known, touched).await?;
        if known.everyone != everyone {
            self.send(
                known,
                None,
                "conversation",
                &Silence::of(serving, everyone.clone()),
            );
        }
        if let Some(rites) = rites {
            self.tell_rites(known, &rites);
            known.rites_version = version;
        }
        (known.open, known.everyone, known.busy) = (open, everyone, busy);
        Ok(())
    }

    fn send(
        &self,
        known: &Known,
        session: Option<&SessionKey>,
        event: &'static str,
        data: &impl Serialize,
    ) {
        send(&self.news, known.told.place(), session, event, data);
    }

    /// The sessions of which it is to be known whether a Weave is at work.
    fn of_interest(&self, known: &Known) -> Vec<SessionKey> {
        let latest = known.told.latest();
        let mut sessions: Vec<SessionKey> = latest.iter().cloned().collect();
        if let Some(feed) = self.feeds.lock().get(&self.spirit) {
            let opened = feed.looked_at.iter();
            sessions.extend(opened.filter(|session| !latest.contains(session)).cloned());
        }
        sessions
    }

    async fn tell_echoes(
        &self,
        serving: &Serving,
        known: &Known,
        summary: &Summary,
    ) -> Result<(), StoreError> {
        let session = &summary.session;
        let new = known.told.echoes(summary);
        let most = usize::try_from(new).unwrap_or(MOST_ECHOES).min(MOST_ECHOES);
        if most == 0 {
            return Ok(());
        }
        // By their numbers: what is said meanwhile is told of in the next beat.
        let (stretch, rites) = tokio::try_join!(
            (serving.stores.echoes).stretch(session, Some(summary.length), most),
            serving.weave().rites(Some(session)),
        )?;
        for echo in shown(stretch.echoes, &rites) {
            let spirit = self.spirit.as_str();
            let said = Said {
                spirit,
                session,
                echo: &echo,
            };
            send(&self.news, summary.place, Some(session), "echo", &said);
        }
        Ok(())
    }

    async fn tell_conversations(
        &self,
        serving: &Serving,
        known: &Known,
        touched: BTreeMap<SessionKey, Option<Summary>>,
    ) -> Result<(), StoreError> {
        if touched.is_empty() {
            return Ok(());
        }
        let unread: Vec<SessionKey> = touched
            .iter()
            .filter(|(_, summary)| summary.is_none())
            .map(|(session, _)| session.clone())
            .collect();
        let (scenery, read) =
            tokio::try_join!(Scenery::of(serving), serving.stores.echoes.known(&unread))?;
        let mut read = unread.into_iter().zip(read).collect::<HashMap<_, _>>();
        let rows: Vec<(SessionKey, Option<Summary>)> = touched
            .into_iter()
            .map(|(session, summary)| {
                let summary = summary.or_else(|| read.remove(&session).flatten());
                (session, summary)
            })
            .collect();
        let conversations = scenery.conversations(serving, &rows).await?;
        for ((session, _), conversation) in rows.iter().zip(&conversations) {
            self.send(known, Some(session), "conversation", conversation);
        }
        Ok(())
    }

    fn tell_rites(&self, known: &mut Known, rites: &[Rite]) {
        for rite in rites.iter().rev() {
            let standing = told(rite);
            let before = known.rites.insert(rite.asked.id.to_string(), standing);
            if before != Some(standing) {
                let view = RiteView::of(&self.spirit, rite);
                self.send(known, Some(&rite.asked.session), "rite", &view);
            }
        }
        let listed: HashSet<&str> = rites.iter().map(|rite| rite.asked.id.as_str()).collect();
        known.rites.retain(|id, _| listed.contains(id.as_str()));
        known.rites_at = Instant::now();
    }
}

/// What of a Rite is news when it changes.
fn told(rite: &Rite) -> (&'static str, bool) {
    (rite.standing.as_str(), rite.outcome.is_some())
}

impl Known {
    /// As it is now: nothing of it is news.
    async fn of(serving: &Serving) -> Result<Self, StoreError> {
        let stores = &serving.stores;
        let (latest, everyone, open, rites) = tokio::try_join!(
            stores.echoes.latest(None, LATEST),
            stores.vigil.state(&Target::Everyone),
            stores.vigil.open(MOST_OPEN),
            serving.weave().rites(None),
        )?;
        Ok(Self {
            told: Told::of(latest),
            open: by_target(open),
            everyone,
            busy: HashSet::new(),
            rites: rites
                .iter()
                .map(|rite| (rite.asked.id.to_string(), told(rite)))
                .collect(),
            rites_at: Instant::now(),
            rites_version: *serving.weave().rite_changes().borrow(),
        })
    }
}

fn by_target(open: Vec<(Target, Watch)>) -> BTreeMap<String, Watch> {
    open.into_iter()
        .map(|(target, watch)| (target.to_string(), watch))
        .collect()
}

/// The targets whose Vigil is not what it was.
fn differing<'a>(
    before: &'a BTreeMap<String, Watch>,
    now: &'a BTreeMap<String, Watch>,
) -> impl Iterator<Item = &'a String> {
    let new = now
        .iter()
        .filter(|(target, watch)| before.get(*target) != Some(watch))
        .map(|(target, _)| target);
    let gone = before.keys().filter(|target| !now.contains_key(*target));
    new.chain(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_who_cannot_keep_up_is_told_so_and_goes_on() {
        let feeds = Feeds::new(Roster::default());
        let (spirit, session) = (SpiritName::from("barista"), SessionKey::new("wa", "ana"));
        let mut slow = feeds.watch(&spirit);
        for _ in 0..=WAITING {
            feeds.typing(&spirit, &session, "ben");
        }
        assert!(matches!(slow.next().await, Some(Err(Missed))));
        let next = slow.next().await.unwrap().ok().unwrap();
        assert_eq!(
            (next.event, next.session.as_ref()),
            ("typing", Some(&session))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_followed_once_nobody_watches() {
        let feeds = Feeds::new(Roster::default());
        let spirit = SpiritName::from("barista");
        let (one, other) = (feeds.watch(&spirit), feeds.watch(&spirit));
        assert_eq!(feeds.lock().len(), 1, "one task for both");
        drop(one);
        sleep(10 * BEAT).await;
        assert_eq!(feeds.lock().len(), 1);
        drop(other);
        sleep(10 * BEAT).await;
        assert!(feeds.lock().is_empty());
    }
}
