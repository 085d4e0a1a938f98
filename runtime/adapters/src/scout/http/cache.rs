//! What a Scout was told before, for as long as that is good. In this process, and bounded.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use eywa_weave::ports::scout::{Harvest, ScoutError};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::Instant;

/// The most findings that one Scout keeps.
const MOST_ENTRIES: usize = 1000;
/// The most bytes of them, keys included.
const MOST_BYTES: usize = 4 * 1024 * 1024;

type Asking = BoxFuture<'static, Result<Harvest, ScoutError>>;

/// Findings by the whole request that led to them. Errors are not kept. Requests that are the same and come at once are one.
pub(super) struct Cache {
    ttl: Duration,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    found: HashMap<String, Harvest>,
    /// When each finding is too old, oldest first: all live equally long.
    ends: VecDeque<(Instant, String)>,
    bytes: usize,
    /// What is being asked. Weak, so that a request that nobody waits for any longer is given up.
    asking: HashMap<String, (u64, WeakShared<Asking>)>,
    asked: u64,
}

impl fmt::Debug for Cache {
    /// Leaves out what is kept, which is about people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl Cache {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            held: Mutex::default(),
        }
    }

    /// What was found for `key` while that is good, else what `ask` finds.
    pub(super) async fn get<F>(
        &self,
        key: String,
        ask: impl FnOnce() -> F,
    ) -> Result<Harvest, ScoutError>
    where
        F: Future<Output = Result<Harvest, ScoutError>> + Send + 'static,
    {
        let (number, asking) = {
            let mut held = self.held();
            held.forget(Instant::now());
            if let Some(found) = held.found.get(&key) {
                return Ok(found.clone());
            }
            held.ask(&key, || ask().boxed().shared())
        };
        let found = asking.await;
        let mut held = self.held();
        // Of those that waited, the first that is back keeps it.
        if held
            .asking
            .get(&key)
            .is_some_and(|(asked, _)| *asked == number)
        {
            held.asking.remove(&key);
            if let Ok(found) = &found {
                held.keep(key, found.clone(), Instant::now() + self.ttl);
            }
        }
        found
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // What is behind it is whole between any two statements that could panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The request for `key` that is on its way, or a new one.
    fn ask(&mut self, key: &str, new: impl FnOnce() -> Shared<Asking>) -> (u64, Shared<Asking>) {
        if let Some((number, asking)) = self.asking.get(key)
            && let Some(asking) = asking.upgrade()
        {
            return (*number, asking);
        }
        if self.asking.len() >= MOST_ENTRIES {
            self.asking
                .retain(|_, (_, asking)| asking.upgrade().is_some());
        }
        let asking = new();
        self.asked += 1;
        if let Some(weak) = asking.downgrade() {
            self.asking.insert(key.to_owned(), (self.asked, weak));
        }
        (self.asked, asking)
    }

    fn keep(&mut self, key: String, found: Harvest, until: Instant) {
        self.bytes += size(&key, &found);
        self.found.insert(key.clone(), found);
        self.ends.push_back((until, key));
        while self.found.len() > MOST_ENTRIES || self.bytes > MOST_BYTES {
            self.forget_oldest();
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.ends.pop_front()
            && let Some(found) = self.found.remove(&key)
        {
            self.bytes -= size(&key, &found);
        }
    }
}

fn size(key: &str, found: &Harvest) -> usize {
    // The key stands in the map and in the line.
    2 * key.len() + found.text.len()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const TTL: Duration = Duration::from_secs(300);

    fn harvest(text: &str) -> Harvest {
        Harvest {
            text: text.to_owned(),
            ..Harvest::default()
        }
    }

    /// How often it had to ask, of these keys in turn.
    async fn asked(cache: &Cache, keys: &[&str]) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        for key in keys {
            let asking = Arc::clone(&count);
            let found = cache
                .get((*key).to_owned(), || async move {
                    asking.fetch_add(1, Ordering::SeqCst);
                    Ok(harvest("x"))
                })
                .await;
            assert_eq!(found.unwrap(), harvest("x"));
        }
        count.load(Ordering::SeqCst)
    }

    #[tokio::test(start_paused = true)]
    async fn a_finding_is_good_for_its_time_and_no_longer() {
        let cache = Cache::new(TTL);
        assert_eq!(asked(&cache, &["a", "a", "b", "a"]).await, 2);
        tokio::time::advance(TTL - Duration::from_secs(1)).await;
        assert_eq!(asked(&cache, &["a", "b"]).await, 0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(asked(&cache, &["a", "b"]).await, 2);
    }

    #[tokio::test]
    async fn an_error_is_not_kept() {
        let cache = Cache::new(TTL);
        let failed = cache
            .get("a".to_owned(), || async { Err(ScoutError("down".into())) })
            .await;
        assert!(failed.is_err());
        assert_eq!(asked(&cache, &["a", "a"]).await, 1);
    }

    #[tokio::test]
    async fn those_that_come_at_once_ask_once_also_when_the_first_gives_up() {
        let (cache, gate) = (Cache::new(TTL), Arc::new(Semaphore::new(0)));
        let count = Arc::new(AtomicUsize::new(0));
        let get = || {
            let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
            cache.get("a".to_owned(), || async move {
                count.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                Ok(harvest("x"))
            })
        };
        let mut first = Box::pin(get());
        assert!(futures::poll!(&mut first).is_pending());
        let mut others: Vec<_> = (0..5).map(|_| Box::pin(get())).collect();
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        drop(first);
        gate.add_permits(1);
        for found in join_all(others).await {
            assert_eq!(found.unwrap(), harvest("x"));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_request_that_nobody_waits_for_any_longer_is_given_up() {
        let cache = Cache::new(TTL);
        let mut alone = Box::pin(cache.get("a".to_owned(), std::future::pending));
        assert!(futures::poll!(&mut alone).is_pending());
        drop(alone);
        assert_eq!(asked(&cache, &["a"]).await, 1);
    }

    #[tokio::test]
    async fn it_keeps_no_more_than_it_may() {
        let cache = Cache::new(TTL);
        for n in 0..MOST_ENTRIES + 10 {
            asked(&cache, &[&n.to_string()]).await;
        }
        assert_eq!(cache.held().found.len(), MOST_ENTRIES);
        assert_eq!(asked(&cache, &["0", "1009"]).await, 1, "the oldest went");
        let large = harvest(&"x".repeat(MOST_BYTES / 3));
        for key in ["l1", "l2", "l3", "l4"] {
            let large = large.clone();
            let kept = cache.get(key.to_owned(), || async move { Ok(large) });
            kept.await.unwrap();
        }
        let held = cache.held();
        assert!(held.bytes <= MOST_BYTES && held.found.contains_key("l4"));
        let counted: usize = held.found.iter().map(|(key, found)| size(key, found)).sum();
        assert_eq!(held.bytes, counted);
    }
}
