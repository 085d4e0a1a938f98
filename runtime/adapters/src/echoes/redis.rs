//! An Echo store in Redis.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{
        bond::Fence,
        echoes::{Echoes, Glimpse, Stretch, Summary, name_in},
    },
};
use redis::Cmd;

use super::NEWEST;
use crate::redis::{
    FENCE_REMEMBERED, LazyScript, Redis, STORE, decode, decode_all, encode, millis, script,
};

static APPEND: LazyScript = script!("echoes_append.lua");
static STRETCH: LazyScript = script!("echoes_stretch.lua");

/// How long a conversation is kept after its last word, where nothing else is said.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Among how many of the last Echoes an id is looked for, so that writing again after a crash is safe.
const KNOWN_IDS: usize = 100;
/// How many conversations are listed: the oldest beyond them are, though not their Echoes, forgotten.
const LISTED: usize = 100_000;

/// An Echo store in Redis. Keeps the newest [`NEWEST`] Echoes of a session for 90 days after the last, or as
/// [`keeping`](Self::keeping) says.
#[derive(Clone, Debug)]
pub struct RedisEchoes {
    redis: Redis,
    newest: usize,
    ttl: Duration,
}

impl RedisEchoes {
    /// The conversations of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            newest: NEWEST,
            ttl: KEPT,
        }
    }

    /// Keeps the `newest` Echoes of a session, at least one, for `ttl` after the last.
    #[must_use]
    pub fn keeping(self, newest: usize, ttl: Duration) -> Self {
        Self {
            newest: newest.max(1),
            ttl,
            ..self
        }
    }

    fn about(&self) -> About {
        let scope = self.redis.scope();
        About {
            places: scope.only("conversations"),
            last: scope.only("conversations-last"),
            names: scope.only("conversations-names"),
            lengths: scope.only("conversations-lengths"),
        }
    }

    /// The sessions that this command finds, with their places, and what is known of each.
    async fn listed(&self, find: &Cmd) -> Result<Vec<Summary>, StoreError> {
        let about = self.about();
        let found: Vec<(String, u64)> = self.redis.run(find, &about.places).await?;
        let sessions: Vec<&str> = found.iter().map(|(session, _)| session.as_str()).collect();
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let details: Details = self
            .redis
            .run_all(&about.details(&sessions), &about.last)
            .await?;
        let places = found.iter().map(|(_, place)| Some(*place)).collect();
        let summaries = about.summaries(&sessions, places, details)?;
        Ok(summaries.into_iter().flatten().collect())
    }
}

/// Where what is known of all conversations is kept.
struct About {
    places: String,
    last: String,
    names: String,
    lengths: String,
}

/// Of each session: its last message as JSON, the person's name, how many Echoes there ever were.
type Details = (Vec<Option<String>>, Vec<Option<String>>, Vec<Option<u64>>);

impl About {
    fn details(&self, sessions: &[&str]) -> redis::Pipeline {
        let mut look = redis::pipe();
        for key in [&self.last, &self.names, &self.lengths] {
            look.cmd("HMGET").arg(key).arg(sessions);
        }
        look
    }

    fn summaries(
        &self,
        sessions: &[&str],
        places: Vec<Option<u64>>,
        (last, names, lengths): Details,
    ) -> Result<Vec<Option<Summary>>, StoreError> {
        let rest = places.into_iter().zip(last).zip(names).zip(lengths);
        sessions
            .iter()
            .zip(rest)
            .map(|(session, (((place, last), name), length))| {
                let Some(place) = place else { return Ok(None) };
                let session = session
                    .parse()
                    .map_err(|error| StoreError::unreadable(STORE, &self.places, error))?;
                Ok(Some(Summary {
                    session,
                    place,
                    length: length.unwrap_or_default(),
                    name,
                    last: last.map(|json| decode(&json, &self.last)).transpose()?,
                }))
            })
            .collect()
    }
}

#[async_trait]
impl Echoes for RedisEchoes {
    async fn append(
        &self,
        session: &SessionKey,
        fence: Option<Fence>,
        echoes: &[Echo],
    ) -> Result<(), StoreError> {
        let scope = self.redis.scope();
        let key = scope.of("echoes", session);
        let about = self.about();
        let keys = [
            &*key,
            &scope.of("echoes-ids", session),
            &scope.of("echoes-fence", session),
            &about.places,
            &about.last,
            &about.names,
            &about.lengths,
        ];
        let last = match Glimpse::of(echoes) {
            Some(last) => encode(&last, &about.last)?,
            None => String::new(),
        };
        let mut call = APPEND.with(&keys);
        match fence {
            Some(fence) => call.arg(fence.0),
            None => call.arg(""),
        };
        call.arg(millis(FENCE_REMEMBERED))
            .arg(self.newest)
            .arg(KNOWN_IDS)
            .arg(millis(self.ttl))
            .arg(session.to_string())
            .arg(last)
            .arg(name_in(echoes).unwrap_or_default())
            .arg(LISTED);
        for echo in echoes {
            call.arg(&echo.id).arg(encode(echo, &key)?);
        }
        match (
            self.redis.eval::<Option<u64>>(&APPEND, &call, &key).await?,
            fence,
        ) {
            (Some(newest), Some(offered)) => Err(StoreError::Fenced {
                offered,
                newest: Fence(newest),
            }),
            _ => Ok(()),
        }
    }

    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let key = self.redis.scope().of("echoes", session);
        let mut read = redis::cmd("LRANGE");
        read.arg(&key)
            .arg(format_args!("-{}", most.min(self.newest)).to_string())
            .arg(-1);
        let echoes: Vec<String> = self.redis.run(&read, &key).await?;
        decode_all(&echoes, &key)
    }

    async fn stretch(
        &self,
        session: &SessionKey,
        before: Option<u64>,
        most: usize,
    ) -> Result<Stretch, StoreError> {
        let key = self.redis.scope().of("echoes", session);
        let mut call = STRETCH.with(&[&key, &self.about().lengths]);
        call.arg(session.to_string())
            .arg(before.map(|before| before.to_string()).unwrap_or_default())
            .arg(most.min(self.newest));
        let (oldest, start, echoes): (u64, u64, Vec<String>) =
            self.redis.eval(&STRETCH, &call, &key).await?;
        Ok(Stretch {
            echoes: decode_all(&echoes, &key)?,
            older: (start > oldest).then_some(start),
        })
    }

    async fn latest(&self, before: Option<u64>, most: usize) -> Result<Vec<Summary>, StoreError> {
        let mut find = redis::cmd("ZREVRANGEBYSCORE");
        find.arg(self.about().places)
            .arg(before.map_or_else(|| "+inf".to_owned(), |before| format!("({before}")))
            .arg("-inf");
        find.arg("WITHSCORES").arg("LIMIT").arg(0).arg(most);
        self.listed(&find).await
    }

    async fn changed(&self, after: u64, most: usize) -> Result<Vec<Summary>, StoreError> {
        let mut find = redis::cmd("ZRANGEBYSCORE");
        find.arg(self.about().places)
            .arg(format!("({after}"))
            .arg("+inf");
        find.arg("WITHSCORES").arg("LIMIT").arg(0).arg(most);
        self.listed(&find).await
    }

    async fn known(&self, sessions: &[SessionKey]) -> Result<Vec<Option<Summary>>, StoreError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let about = self.about();
        let named: Vec<String> = sessions.iter().map(ToString::to_string).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let mut look = about.details(&named);
        look.cmd("ZMSCORE").arg(&about.places).arg(&named);
        let (last, names, lengths, places): (_, _, _, Vec<Option<u64>>) =
            self.redis.run_all(&look, &about.places).await?;
        about.summaries(&named, places, (last, names, lengths))
    }
}
