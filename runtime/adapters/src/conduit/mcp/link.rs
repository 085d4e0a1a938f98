//! The link to an MCP server: at most one session, opened again whenever it is lost, without letting anybody wait for a
//! server that is known to be down.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};

use eywa_guard::GuardedClient;
use eywa_weave::tool::Tool;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Endpoint,
    failure::ConnectError,
    hints::Hints,
    listing::{LeftOut, Listing},
    session::Session,
};

/// The pause after the first failure to connect, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a server is asked for its tools although it has not said that they changed: not every server says so, and
/// it shows whether the server is there before a Pulse needs it.
const REFRESH: Duration = Duration::from_secs(60);
/// The pause after the tools were listed, in which whatever the server says is one listing more. It doubles, up to the
/// longest, while the server says that they changed and they did not.
const FIRST_QUIET: Duration = Duration::from_secs(1);
const LONGEST_QUIET: Duration = Duration::from_secs(30);
/// The least between two looks at a session, whatever happens.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// The least between two attempts to connect, however many calls want one.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);
/// An attempt that fails within this time is worth another, and the longest that this one is waited for.
const QUICK: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How often headers are read again because a server refuses them.
const BETWEEN_READS: Duration = Duration::from_secs(1);

pub(super) struct Link {
    name: String,
    client: GuardedClient,
    endpoint: Endpoint,
    offers: Box<dyn Fn(&str) -> bool + Send + Sync>,
    limit: Duration,
    state: watch::Sender<State>,
    /// Somebody needs a session that there is none of.
    wanted: Arc<Notify>,
    known: RwLock<Known>,
    /// When the headers were last read because they were refused.
    read: Mutex<Option<Instant>>,
}

/// What was last heard. It outlives a session, so that a server's restart does not change what an Oracle is offered.
#[derive(Default)]
struct Known {
    tools: Option<Arc<[Tool]>>,
    repeatable: BTreeSet<String>,
    left_out: Vec<LeftOut>,
}

#[derive(Clone)]
enum State {
    /// Nobody has needed the server yet.
    Idle,
    /// A session is being opened. Whoever needs one waits for that.
    Connecting,
    Up(Arc<Session>),
    /// The last attempt failed and there will be another.
    Down(Down),
}

#[derive(Clone)]
struct Down {
    error: ConnectError,
    /// It was known at once, as when nobody listens there. Another attempt costs next to nothing.
    quickly: bool,
    /// When the attempt began.
    began: Instant,
}

impl Link {
    pub(super) fn new(
        name: String,
        client: GuardedClient,
        endpoint: Endpoint,
        offers: Box<dyn Fn(&str) -> bool + Send + Sync>,
        limit: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            client,
            endpoint,
            offers,
            limit,
            state: watch::Sender::new(State::Idle),
            wanted: Arc::default(),
            known: RwLock::default(),
            read: Mutex::default(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long one call, or one attempt to connect, may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn offers(&self, tool: &str) -> bool {
        (self.offers)(tool)
    }

    /// The tools as last heard.
    pub(super) fn remembered(&self) -> Option<Arc<[Tool]>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.tools.clone()
    }

    /// Whether the server says that a call of this tool may be made twice without harm.
    pub(super) fn may_repeat(&self, tool: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.repeatable.contains(tool)
    }

    /// Takes in what was heard. Whether it is news.
    fn remember(&self, mut listing: Listing) -> bool {
        listing
            .tools
            .retain(|tool| (self.offers)(&tool.spec().name));
        listing.left_out.retain(|left| (self.offers)(&left.name));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let old = known.tools.iter().flat_map(|tools| tools.iter());
        let same = known.tools.is_some()
            && old.map(Tool::spec).eq(listing.tools.iter().map(Tool::spec))
            && known.repeatable == listing.repeatable;
        if listing.left_out != known.left_out {
            for LeftOut { name, reason } in &listing.left_out {
                tracing::warn!(conduit = self.name, tool = name, %reason, "a tool of a Conduit is left out");
            }
            known.left_out = listing.left_out;
        }
        if !same {
            tracing::debug!(
                conduit = self.name,
                tools = listing.tools.len(),
                "the tools of a Conduit are known"
            );
            known.tools = Some(listing.tools.into());
            known.repeatable = listing.repeatable;
        }
        !same
    }

    /// The session, opening one if there is none. Fails at once while the server is known to be down, unless that was
    /// known at once: then there is another attempt, which is waited for if the caller is `patient`.
    pub(super) async fn session(
        self: &Arc<Self>,
        patient: bool,
    ) -> Result<Arc<Session>, ConnectError> {
        let arrived = Instant::now();
        let mut states = self.state.subscribe();
        loop {
            let state = states.borrow_and_update().clone();
            match state {
                State::Up(session) => return Ok(session),
                State::Down(down) => {
                    if down.quickly {
                        self.wanted.notify_one();
                    }
                    // The server may have come back since that attempt began.
                    let may_be_back = patient && down.quickly && down.began < arrived;
                    let until = arrived + LONGEST_WAIT;
                    if !may_be_back || timeout_at(until, states.changed()).await.is_err() {
                        return Err(down.error);
                    }
                    continue;
                }
                State::Idle => self.open_unless(|state| !matches!(state, State::Idle)),
                State::Connecting => {}
            }
            // The sender is in `self`, so this does not fail; were it to, the next look tells.
            let _ = states.changed().await;
        }
    }

    /// This session is of no use any more.
    pub(super) fn lose(self: &Arc<Self>, lost: &Arc<Session>) {
        self.open_unless(|state| !is_up(state, lost));
    }

    /// Whether another session would be let in that shows other headers than this one, which are refused: they may have
    /// been renewed since.
    pub(super) fn has_other_headers(&self, session: &Arc<Session>) -> bool {
        if !is_up(&self.state.borrow(), session) {
            return true;
        }
        let now = Instant::now();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.is_some_and(|last| now - last < BETWEEN_READS) {
            return false;
        }
        *read = Some(now);
        self.endpoint
            .headers()
            .is_ok_and(|headers| headers.as_map() != session.headers().as_map())
    }

    fn open_unless(self: &Arc<Self>, otherwise: impl Fn(&State) -> bool) {
        let begins = self.state.send_if_modified(|state| {
            let begins = !otherwise(state);
            if begins {
                *state = State::Connecting;
            }
            begins
        });
        if begins {
            tokio::spawn(open(Arc::downgrade(self)));
        }
    }

    async fn connect(&self) -> Result<Session, ConnectError> {
        let session = Session::open(&self.client, &self.endpoint, self.limit).await?;
        self.remember(session.list(self.limit).await?);
        Ok(session)
    }
}

fn is_up(state: &State, session: &Arc<Session>) -> bool {
    matches!(state, State::Up(up) if Arc::ptr_eq(up, session))
}

/// Between three and five quarters of it, so that many do not come at the same moment.
fn about(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.75..1.25))
}

/// Opens a session, however often it takes, for as long as somebody holds the link.
async fn open(link: Weak<Link>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(holding) = link.upgrade() else {
            return;
        };
        let began = Instant::now();
        match holding.connect().await {
            Ok(session) => {
                let session = Arc::new(session);
                tokio::spawn(follow(
                    Arc::downgrade(&holding),
                    Arc::downgrade(&session),
                    session.hints(),
                ));
                holding.state.send_replace(State::Up(session));
                return;
            }
            Err(error) => {
                tracing::warn!(conduit = holding.name, %error, retry_in = ?pause, "a Conduit cannot be used");
                // A server that refuses is not asked as often as somebody wants something of it.
                let quickly =
                    began.elapsed() < QUICK && matches!(error, ConnectError::Unreachable(_));
                holding.state.send_replace(State::Down(Down {
                    error,
                    quickly,
                    began,
                }));
            }
        }
        let wanted = holding.wanted.clone();
        drop(holding);
        sleep(BETWEEN_ATTEMPTS).await;
        tokio::select! {
            () = wanted.notified() => {}
            () = sleep(about(pause)) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// Looks at a session now and then, and when there is a reason to, until it is replaced. It waits without holding the
/// session, which is to close with the link.
async fn follow(link: Weak<Link>, session: Weak<Session>, hints: Arc<Hints>) {
    let mut quiet = FIRST_QUIET;
    loop {
        let told = tokio::select! {
            () = hints.doubted.notified() => false,
            () = hints.changed.notified() => true,
            () = sleep(about(REFRESH)) => false,
        };
        let (Some(holding), Some(asking)) = (link.upgrade(), session.upgrade()) else {
            return;
        };
        match asking.list(holding.limit).await {
            Ok(listing) => {
                let news = holding.remember(listing);
                quiet = if told && !news {
                    (quiet * 2).min(LONGEST_QUIET)
                } else {
                    FIRST_QUIET
                };
            }
            Err(error) => {
                tracing::info!(conduit = holding.name, %error, "a Conduit's session is lost; opening another");
                if matches!(
                    error,
                    ConnectError::Unreachable(_) | ConnectError::Unauthorized(_)
                ) {
                    asking.give_up();
                }
                holding.lose(&asking);
                return;
            }
        }
        drop((holding, asking));
        sleep(BETWEEN_LOOKS).await;
        // What is said now waits, but not what is doubted.
        tokio::select! {
            () = hints.doubted.notified() => hints.doubt(),
            () = sleep(about(quiet)) => {}
        }
    }
}
