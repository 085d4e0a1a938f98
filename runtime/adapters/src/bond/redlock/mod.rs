//! A Bond in three and more independent Redis servers, by majority.
//!
//! The algorithm is Redlock (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>): the Bond is held
//! by whoever has set it on a majority, if what is left of the TTL is more than the clocks may have drifted. A failover of
//! one server that had forgotten the Bond lets nobody else in.
//!
//! Redlock alone does not stop a holder that slept past its TTL, as Kleppmann showed
//! (<https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>); the fences do. They, and the line, are
//! on the first server, which is also where the other stores are: those compare fences with what they have seen.

mod votes;

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        bond::{Bond, BondGuard, Fence, LONGEST_LINE, Turn},
        inbox::REMEMBERED,
    },
};
use tokio::time::{Instant, sleep};

use super::redis::{EXTEND, LINE, RELEASE, at_most, busy_on, tickets, token};
use crate::redis::{LazyScript, Redis, STORE, millis, script};
use votes::{Vote, answered, ask, count, undecided, yes_and_no};

static TAKE: LazyScript = script!("redlock_take.lua");
static JOIN: LazyScript = script!("redlock_join.lua");
static SERVE: LazyScript = script!("redlock_serve.lua");
static LEAVE: LazyScript = script!("redlock_leave.lua");

/// The fewest servers that have a majority when one is down.
pub const FEWEST_SERVERS: usize = 3;
/// How often it is tried while several take a server each, so that nobody has a majority.
const MOST_TRIES: u32 = 8;
/// The longest pause before the second try; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A Bond by majority of independent Redis servers, for every pod that uses the same servers and
/// [`Scope`](crate::redis::Scope).
#[derive(Clone, Debug)]
pub struct RedlockBond {
    /// The first is also where the fence and the line are.
    nodes: Vec<Redis>,
}

/// Too few servers for a majority to mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Redlock needs {FEWEST_SERVERS} Redis servers or more, independent of each other, and has {0}: give one URL or at least {FEWEST_SERVERS}"
)]
pub struct TooFewServers(pub usize);

/// What came of trying to take the Bond.
enum Taken {
    /// It is held, at least until then.
    Until(Instant),
    /// Another has a majority.
    ByAnother,
}

impl RedlockBond {
    /// The Bonds of a Spirit on these servers. All of them have that Spirit's scope; the first holds the other stores too.
    ///
    /// # Errors
    /// With fewer than three.
    pub fn new(nodes: Vec<Redis>) -> Result<Self, TooFewServers> {
        if nodes.len() < FEWEST_SERVERS {
            return Err(TooFewServers(nodes.len()));
        }
        Ok(Self { nodes })
    }

    fn first(&self) -> &Redis {
        &self.nodes[0]
    }

    fn majority(&self) -> usize {
        self.nodes.len() / 2 + 1
    }

    fn held(&self, session: &SessionKey) -> String {
        self.first().scope().of("bond", session)
    }

    fn waiting(&self, session: &SessionKey) -> String {
        self.first().scope().of("bond-line", session)
    }

    fn fence(&self) -> String {
        self.first().scope().only("bond-fence")
    }

    /// Takes the Bond on a majority. While several have some servers each, all let go and try again.
    async fn take(
        &self,
        session: &SessionKey,
        token: &str,
        ttl: Duration,
    ) -> Result<Taken, StoreError> {
        let key = self.held(session);
        let mut call = TAKE.with(&[&key]);
        call.arg(token).arg(millis(ttl));
        let mut tries = 0;
        loop {
            tries += 1;
            let asked = Instant::now();
            let votes = ask(
                &self.nodes,
                |node| node.eval::<String>(&TAKE, &call, &key),
                |votes| count(votes, token) >= self.majority(),
            )
            .await;
            let until = asked + ttl.saturating_sub(drift(ttl));
            if count(&votes, token) >= self.majority() && Instant::now() < until {
                return Ok(Taken::Until(until));
            }
            self.let_go(&self.nodes, &key, token).await;
            let another = votes
                .iter()
                .flatten()
                .any(|holder| holder != token && count(&votes, holder.as_str()) >= self.majority());
            if another {
                return Ok(Taken::ByAnother);
            }
            // Too few servers, or too slow ones: trying at once again cannot help.
            if tries == MOST_TRIES || !answered(&votes, self.majority()) {
                return Err(undecided(votes, self.majority()));
            }
            sleep(pause(tries)).await;
        }
    }

    /// Lets go wherever the token holds the Bond; whether each server had it.
    async fn let_go(&self, nodes: &[Redis], key: &str, token: &str) -> Vec<Vote<bool>> {
        let mut call = RELEASE.with(&[key]);
        call.arg(token);
        let call = &call;
        let majority = self.majority();
        ask(
            nodes,
            |node| node.eval::<bool>(&RELEASE, call, key),
            |votes| answered(votes, majority),
        )
        .await
    }

    /// After [`Taken::Until`]: the guard with its fence, and what `serve` found, unless the time ran out meanwhile.
    async fn guard<T>(
        &self,
        session: &SessionKey,
        token: String,
        until: Instant,
        serve: impl Future<Output = Result<(u64, T), StoreError>> + Send,
    ) -> Result<(BondGuard, T), StoreError> {
        let served = match serve.await {
            Ok((fence, served)) if Instant::now() < until => {
                let guard = BondGuard {
                    session: session.clone(),
                    token,
                    fence: Fence(fence),
                };
                return Ok((guard, served));
            }
            Ok(_) => StoreError::unavailable(STORE, "the Bond ended before its fence was known"),
            Err(error) => error,
        };
        self.let_go(&self.nodes, &self.held(session), &token).await;
        Err(served)
    }

    async fn serve(
        &self,
        session: &SessionKey,
        ticket: &PulseId,
        take: usize,
        join: bool,
    ) -> Result<(u64, Vec<String>), StoreError> {
        let line = self.waiting(session);
        let mut call = SERVE.with(&[&self.fence(), &line]);
        call.arg(ticket.as_str())
            .arg(at_most(take.max(1)))
            .arg(millis(REMEMBERED))
            .arg(u8::from(join));
        self.first().eval(&SERVE, &call, &line).await
    }
}

/// What Redlock leaves for clocks that run at different speeds: a hundredth of the TTL, and 2 ms for how finely Redis
/// counts.
fn drift(ttl: Duration) -> Duration {
    ttl / 100 + Duration::from_millis(2)
}

/// Before trying again: by chance, so that those who stand in each other's way do not come at once again.
fn pause(tries: u32) -> Duration {
    let ceiling = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(tries - 1))
        .min(LONGEST_PAUSE);
    ceiling.mul_f64(rand::random_range(0.1..=1.0))
}

#[async_trait]
impl Bond for RedlockBond {
    async fn acquire(
        &self,
        session: &SessionKey,
        ttl: Duration,
    ) -> Result<Option<BondGuard>, StoreError> {
        let token = token();
        let Taken::Until(until) = self.take(session, &token, ttl).await? else {
            return Ok(None);
        };
        let fence = self.fence();
        let mut call = redis::cmd("INCR");
        call.arg(&fence);
        let next = async { Ok((self.first().run(&call, &fence).await?, ())) };
        let (guard, ()) = self.guard(session, token, until, next).await?;
        Ok(Some(guard))
    }

    async fn acquire_or_wait(
        &self,
        session: &SessionKey,
        ttl: Duration,
        ticket: &PulseId,
        take: usize,
    ) -> Result<Turn, StoreError> {
        let token = token();
        let mut joined = false;
        let mut taken = self.take(session, &token, ttl).await?;
        if matches!(taken, Taken::ByAnother) {
            let line = self.waiting(session);
            let mut call = JOIN.with(&[&line]);
            call.arg(ticket.as_str())
                .arg(LONGEST_LINE)
                .arg(millis(REMEMBERED));
            joined = self.first().eval(&JOIN, &call, &line).await?;
            // The holder may have looked at the line just before, and let go since.
            taken = self.take(session, &token, ttl).await?;
        }
        let Taken::Until(until) = taken else {
            return Ok(if joined { Turn::Waiting } else { Turn::Full });
        };
        let serve = self.serve(session, ticket, take, !joined);
        let (guard, ids) = self.guard(session, token, until, serve).await?;
        let mut tickets = tickets(ids);
        if tickets.is_empty() {
            // The holder before took the ticket along.
            tickets = self.release_or_next(&guard, ttl, take).await?;
        }
        Ok(if tickets.is_empty() {
            Turn::Waiting
        } else {
            Turn::Yours { guard, tickets }
        })
    }

    async fn extend(&self, guard: &BondGuard, ttl: Duration) -> Result<bool, StoreError> {
        let key = self.held(&guard.session);
        let mut call = EXTEND.with(&[&key]);
        call.arg(&guard.token).arg(millis(ttl));
        let asked = Instant::now();
        let votes = ask(
            &self.nodes,
            |node| node.eval::<bool>(&EXTEND, &call, &key),
            |votes| yes_and_no(votes).0 >= self.majority(),
        )
        .await;
        let (yes, no) = yes_and_no(&votes);
        if yes >= self.majority() {
            return Ok(asked.elapsed() + drift(ttl) < ttl);
        }
        // Of the rest, none can make a majority.
        if self.nodes.len() - no < self.majority() {
            return Ok(false);
        }
        Err(undecided(votes, self.majority()))
    }

    async fn line(&self, guard: &BondGuard, most: usize) -> Result<Vec<PulseId>, StoreError> {
        let key = self.held(&guard.session);
        let mut call = LINE.with(&[&key, &self.waiting(&guard.session)]);
        call.arg(&guard.token).arg(at_most(most));
        self.first().eval(&LINE, &call, &key).await.map(tickets)
    }

    /// Lets go of the first server last: whoever joins the line before that is seen, and whoever joins after it finds a
    /// majority free.
    async fn release_or_next(
        &self,
        guard: &BondGuard,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<PulseId>, StoreError> {
        let (key, line) = (self.held(&guard.session), self.waiting(&guard.session));
        let mut leave = LEAVE.with(&[&key, &line]);
        leave.arg(&guard.token);
        let mut next = redis::cmd("LPOP");
        next.arg(&line).arg(at_most(most.max(1)));
        for _ in 0..MOST_TRIES {
            let others = self.let_go(&self.nodes[1..], &key, &guard.token).await;
            let (own, waited_for): (bool, bool) = self.first().eval(&LEAVE, &leave, &key).await?;
            // A server that did not answer may have had it.
            let lost = yes_and_no(&others).1 + usize::from(!own);
            if self.nodes.len() - lost < self.majority() {
                self.let_go(&self.nodes[..1], &key, &guard.token).await;
                return Ok(Vec::new());
            }
            if !waited_for {
                return Ok(Vec::new());
            }
            // Somebody else may be in by now; then the line is theirs to serve.
            let Taken::Until(_) = self.take(&guard.session, &guard.token, ttl).await? else {
                return Ok(Vec::new());
            };
            let ids: Option<Vec<String>> = self.first().run(&next, &line).await?;
            if let Some(ids) = ids {
                return Ok(tickets(ids));
            }
        }
        self.release(guard).await?;
        Ok(Vec::new())
    }

    async fn release(&self, guard: &BondGuard) -> Result<bool, StoreError> {
        let key = self.held(&guard.session);
        let votes = self.let_go(&self.nodes, &key, &guard.token).await;
        let (yes, no) = yes_and_no(&votes);
        if yes >= self.majority() {
            return Ok(true);
        }
        if self.nodes.len() - no < self.majority() {
            return Ok(false);
        }
        Err(undecided(votes, self.majority()))
    }

    /// The first server's word is enough for what is only shown.
    async fn busy(&self, sessions: &[SessionKey]) -> Result<Vec<bool>, StoreError> {
        busy_on(self.first(), sessions).await
    }
}
