//! The link to an MCP server: at most one session, opened again whenever it is lost, without letting anybody wait for a
//! server that is known to be down.

use std::{
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use eywa_guard::GuardedClient;
use eywa_weave::tool::{Tool, ToolSpec};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{Endpoint, failure::ConnectError, session::Session};

/// The pause after the first failure to connect, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a server is asked for its tools although it has not said that they changed: not every server says so, and
/// it shows whether the server is there before a Pulse needs it.
const REFRESH: Duration = Duration::from_secs(60);

pub(super) struct Link {
    name: String,
    client: GuardedClient,
    endpoint: Endpoint,
    offers: Box<dyn Fn(&str) -> bool + Send + Sync>,
    limit: Duration,
    state: watch::Sender<State>,
    /// The tools as last heard. They outlive a session, so that a server's restart does not change what an Oracle is
    /// offered.
    tools: RwLock<Option<Arc<[Tool]>>>,
}

#[derive(Clone)]
enum State {
    /// Nobody has needed the server yet.
    Idle,
    /// A session is being opened. Whoever needs one waits for that.
    Connecting,
    Up(Arc<Session>),
    /// The last attempt failed and there will be another; until then nobody waits.
    Down(ConnectError),
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
            tools: RwLock::new(None),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
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
        self.tools
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, specs: Vec<ToolSpec>) {
        let tools = specs
            .into_iter()
            .filter(|spec| self.offers(&spec.name))
            .filter_map(|spec| match Tool::new(spec) {
                Ok(tool) => Some(tool),
                Err(error) => {
                    tracing::warn!(conduit = self.name, %error, "a tool of a Conduit is left out");
                    None
                }
            });
        let tools = tools.collect();
        *self.tools.write().unwrap_or_else(PoisonError::into_inner) = Some(tools);
    }

    /// The session, opening one if there is none. Fails at once while the server is known to be down.
    pub(super) async fn session(self: &Arc<Self>) -> Result<Arc<Session>, ConnectError> {
        let mut states = self.state.subscribe();
        loop {
            let state = states.borrow_and_update().clone();
            match state {
                State::Up(session) => return Ok(session),
                State::Down(error) => return Err(error),
                State::Idle => self.open_unless(|state| !matches!(state, State::Idle)),
                State::Connecting => {}
            }
            // The sender is in `self`, so this does not fail; were it to, the next look tells.
            let _ = states.changed().await;
        }
    }

    /// This session is of no use any more.
    pub(super) fn lose(self: &Arc<Self>, lost: &Arc<Session>) {
        self.open_unless(
            |state| !matches!(state, State::Up(session) if Arc::ptr_eq(session, lost)),
        );
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

/// Opens a session, however often it takes, for as long as somebody holds the link.
async fn open(link: Weak<Link>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(holding) = link.upgrade() else {
            return;
        };
        match holding.connect().await {
            Ok(session) => {
                let session = Arc::new(session);
                tokio::spawn(follow(
                    Arc::downgrade(&holding),
                    Arc::downgrade(&session),
                    session.changed(),
                ));
                holding.state.send_replace(State::Up(session));
                return;
            }
            Err(error) => {
                tracing::warn!(conduit = holding.name, %error, retry_in = ?pause, "a Conduit cannot be used");
                holding.state.send_replace(State::Down(error));
            }
        }
        drop(holding);
        sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Follows what a session's server says of its tools, until the session is replaced. It waits without holding the session,
/// which is to close with the link.
async fn follow(link: Weak<Link>, session: Weak<Session>, changed: Arc<Notify>) {
    loop {
        let _ = timeout(
            REFRESH.mul_f64(rand::random_range(0.75..1.25)),
            changed.notified(),
        )
        .await;
        let (Some(holding), Some(asking)) = (link.upgrade(), session.upgrade()) else {
            return;
        };
        match asking.list(holding.limit).await {
            Ok(specs) => holding.remember(specs),
            Err(error) => {
                tracing::info!(conduit = holding.name, %error, "a Conduit's session is lost; opening another");
                holding.lose(&asking);
                return;
            }
        }
    }
}
