//! An Echo store in MongoDB.

use std::{collections::HashSet, time::Duration};

use ::mongodb::{
    Collection, Database,
    bson::{Document, doc},
    error::Error,
    options::ReturnDocument,
};
use async_trait::async_trait;
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{
        bond::Fence,
        echoes::{Echoes, Glimpse, Stretch, Summary, name_in},
    },
};
use futures::{TryStreamExt as _, future::try_join};
use jiff::Timestamp;

use super::NEWEST;
use crate::mongodb::{
    CONVERSATIONS, ECHOES, Mongo, PLACES, STORE, ends, is_duplicate, signed, text,
};

/// How long a conversation is kept after its last word, where nothing else is said.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// An Echo store in MongoDB. Keeps the newest [`NEWEST`] Echoes of a session, each for 90 days, or as
/// [`keeping`](Self::keeping) says.
///
/// Appending is five round trips: which Echoes are new, the fence and their numbers, the Echoes, a place, and that they
/// are told of at that place. So whoever hears of them can read them. A process that dies in between leaves a gap in the
/// numbers at most; written again, what is missing follows, and what was written and not told of is.
#[derive(Clone, Debug)]
pub struct MongoEchoes {
    mongo: Mongo,
    newest: usize,
    kept: Duration,
}

/// A batch, ready to be written.
struct Batch<'a> {
    of: String,
    session: String,
    fence: Option<Fence>,
    echoes: Vec<(&'a Echo, String)>,
    last: Option<String>,
    name: Option<&'a str>,
}

impl MongoEchoes {
    /// The conversations of this Spirit.
    #[must_use]
    pub fn new(mongo: Mongo) -> Self {
        Self {
            mongo,
            newest: NEWEST,
            kept: KEPT,
        }
    }

    /// Keeps the `newest` Echoes of a session, at least one, each for `kept`.
    #[must_use]
    pub fn keeping(self, newest: usize, kept: Duration) -> Self {
        Self {
            newest: newest.max(1),
            kept,
            ..self
        }
    }

    /// Writes what is new of a batch. Gives the newest fence when it refuses.
    async fn write(&self, database: &Database, batch: &Batch<'_>) -> Result<Option<u64>, Error> {
        let conversations: Collection<Document> = database.collection(CONVERSATIONS);
        let echoes: Collection<Document> = database.collection(ECHOES);
        if batch.fence.is_none() && batch.echoes.is_empty() {
            return Ok(None);
        }
        let (new, written) = new_ones(&echoes, batch).await?;
        // Two that begin a conversation at once: the second finds it begun when it tries again.
        let before = loop {
            if let Some(before) = self.enter(&conversations, batch, new.len()).await? {
                break before;
            }
            if let Some(newest) = refuses(&conversations, batch).await? {
                return Ok(Some(newest));
            }
        };
        let mut end = written;
        if !new.is_empty() {
            let first = before.get_i64("length").unwrap_or_default();
            self.insert(&echoes, batch, &new, first).await?;
            end = first + signed(new.len() as u64);
        }
        if end > told(&before) {
            try_join(
                self.tell(database, &conversations, batch, end),
                self.forget(&echoes, batch, end),
            )
            .await?;
        }
        Ok(None)
    }

    /// Enters a batch with so many new Echoes in the conversation's own document, which numbers them: from the `length`
    /// that it had before. Gives the document as it was, or nothing when a newer Bond came first or somebody else began
    /// the conversation at the same time.
    async fn enter(
        &self,
        conversations: &Collection<Document>,
        batch: &Batch<'_>,
        new: usize,
    ) -> Result<Option<Document>, Error> {
        let mut set = doc! { "ends": ends(self.kept) };
        let mut mine = doc! { "_id": &batch.of };
        if let Some(fence) = batch.fence {
            set.insert("fence", signed(fence.0));
            let older = doc! { "fence": { "$lte": signed(fence.0) } };
            mine.insert("$or", vec![older, doc! { "fence": { "$exists": false } }]);
        }
        let change = doc! { "$set": set, "$inc": { "length": signed(new as u64) } };
        let entered = conversations
            .find_one_and_update(mine, change)
            .upsert(true)
            .return_document(ReturnDocument::Before)
            .await;
        match entered {
            Ok(before) => Ok(Some(before.unwrap_or_default())),
            // The upsert has tried to make a second one.
            Err(error) if is_duplicate(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn insert(
        &self,
        echoes: &Collection<Document>,
        batch: &Batch<'_>,
        new: &[&(&Echo, String)],
        first: i64,
    ) -> Result<(), Error> {
        let ends = ends(self.kept);
        let documents = new.iter().zip(first..).map(|((echo, json), number)| {
            doc! { "_id": format!("{} {}", batch.of, echo.id), "of": &batch.of, "number": number, "echo": json, "ends": ends }
        });
        match echoes.insert_many(documents).ordered(false).await {
            Ok(_) => Ok(()),
            Err(error) if is_duplicate(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives the conversation a new place, at which its Echoes before the number `end` are told of: they are written.
    async fn tell(
        &self,
        database: &Database,
        conversations: &Collection<Document>,
        batch: &Batch<'_>,
        end: i64,
    ) -> Result<(), Error> {
        loop {
            let place = self.next_place(database).await?;
            let mut set = doc! { "spirit": self.mongo.spirit(), "session": &batch.session };
            if let Some(last) = &batch.last {
                set.insert("last", last);
            }
            if let Some(name) = batch.name {
                set.insert("name", name);
            }
            let max = doc! { "place": place, "told.place": place, "told.length": end };
            let before = conversations
                .find_one_and_update(doc! { "_id": &batch.of }, doc! { "$set": set, "$max": max })
                .return_document(ReturnDocument::Before)
                .await?
                .unwrap_or_default();
            // Others were entered after these, and told of before: their last message is the last.
            if let (Some(last), Ok(later)) = (&batch.last, before.get_str("last"))
                && told(&before) > end
            {
                let mine = doc! { "_id": &batch.of, "last": last };
                let theirs = doc! { "$set": { "last": later } };
                conversations.update_one(mine, theirs).await?;
            }
            // At a later place even: then these need one after that.
            if before.get_i64("place").unwrap_or_default() < place {
                return Ok(());
            }
        }
    }

    /// Deletes what is older than the newest that are kept.
    async fn forget(
        &self,
        echoes: &Collection<Document>,
        batch: &Batch<'_>,
        end: i64,
    ) -> Result<(), Error> {
        let oldest = end - signed(self.newest as u64);
        if oldest > 0 {
            let older = doc! { "of": &batch.of, "number": { "$lt": oldest } };
            echoes.delete_many(older).await?;
        }
        Ok(())
    }

    /// A place after every one that was given before: the clock's, or the one after the last where that is later.
    async fn next_place(&self, database: &Database) -> Result<i64, Error> {
        let places: Collection<Document> = database.collection(PLACES);
        let spirit = self.mongo.spirit();
        loop {
            let now = Timestamp::now().as_microsecond();
            let earlier = doc! { "_id": spirit, "last": { "$lt": now } };
            let moved = places.update_one(earlier, doc! { "$set": { "last": now } });
            if moved.await?.matched_count > 0 {
                return Ok(now);
            }
            let next = places
                .find_one_and_update(doc! { "_id": spirit }, doc! { "$inc": { "last": 1_i64 } })
                .return_document(ReturnDocument::After)
                .await?;
            if let Some(next) = next.and_then(|next| next.get_i64("last").ok()) {
                return Ok(next);
            }
            match places.insert_one(doc! { "_id": spirit, "last": now }).await {
                Ok(_) => return Ok(now),
                // Somebody else has begun to count at the same time.
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn summaries(
        &self,
        filter: Document,
        order: i32,
        most: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let found: Vec<Document> = self
            .mongo
            .within(async |database| {
                let conversations: Collection<Document> = database.collection(CONVERSATIONS);
                let limit = signed(most as u64);
                let found = conversations.find(filter).sort(doc! { "place": order });
                found.limit(limit).await?.try_collect().await
            })
            .await?;
        found.iter().map(summary).collect()
    }
}

/// Those that are not written yet, each once, and the number after the last of those that are, or 0.
async fn new_ones<'a>(
    echoes: &Collection<Document>,
    batch: &'a Batch<'_>,
) -> Result<(Vec<&'a (&'a Echo, String)>, i64), Error> {
    if batch.echoes.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let ids: Vec<String> = (batch.echoes.iter())
        .map(|(echo, _)| format!("{} {}", batch.of, echo.id))
        .collect();
    let written: Vec<Document> = echoes
        .find(doc! { "_id": { "$in": &ids } })
        .projection(doc! { "_id": 1, "number": 1 })
        .await?
        .try_collect()
        .await?;
    let number = |echo: &Document| echo.get_i64("number").ok();
    let end = written.iter().filter_map(number).max();
    let mut known: HashSet<String> = (written.iter())
        .filter_map(|written| written.get_str("_id").ok().map(str::to_owned))
        .collect();
    let new = (batch.echoes.iter().zip(ids))
        .filter_map(|(echo, id)| known.insert(id).then_some(echo))
        .collect();
    Ok((new, end.map_or(0, |number| number + 1)))
}

/// The number up to which a conversation's Echoes are told of at its place. What wrote it last may be an earlier release,
/// which told of all that it numbered.
fn told(conversation: &Document) -> i64 {
    let told = conversation.get_document("told").ok();
    let told = told.filter(|told| told.get("place") == conversation.get("place"));
    let length = match told {
        Some(told) => told.get_i64("length"),
        None if conversation.contains_key("place") => conversation.get_i64("length"),
        None => return 0,
    };
    length.unwrap_or_default()
}

/// The newest fence, where it is newer than the batch's.
async fn refuses(
    conversations: &Collection<Document>,
    batch: &Batch<'_>,
) -> Result<Option<u64>, Error> {
    let Some(fence) = batch.fence else {
        return Ok(None);
    };
    let newer = doc! { "_id": &batch.of, "fence": { "$gt": signed(fence.0) } };
    let newer = conversations.find_one(newer).await?;
    Ok(newer
        .and_then(|newer| newer.get_i64("fence").ok())
        .and_then(|fence| u64::try_from(fence).ok()))
}

fn summary(document: &Document) -> Result<Summary, StoreError> {
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let unreadable =
        |error: &dyn std::fmt::Display| StoreError::unreadable(STORE, CONVERSATIONS, error);
    let last: Option<Glimpse> = (document.get_str("last").ok())
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| unreadable(&error))?;
    Ok(Summary {
        session: text(document, "session")?
            .parse()
            .map_err(|error| unreadable(&error))?,
        place: count(document.get_i64("place").unwrap_or_default()),
        length: count(told(document)),
        name: document.get_str("name").ok().map(str::to_owned),
        last,
    })
}

fn echo(document: &Document) -> Result<Echo, StoreError> {
    serde_json::from_str(text(document, "echo")?)
        .map_err(|error| StoreError::unreadable(STORE, ECHOES, error))
}

#[async_trait]
impl Echoes for MongoEchoes {
    async fn append(
        &self,
        session: &SessionKey,
        fence: Option<Fence>,
        echoes: &[Echo],
    ) -> Result<(), StoreError> {
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| StoreError::unreadable(STORE, ECHOES, error))
        };
        let written = echoes
            .iter()
            .map(|echo| Ok((echo, json(serde_json::to_string(echo))?)))
            .collect::<Result<_, StoreError>>()?;
        let last = Glimpse::of(echoes).map(|last| serde_json::to_string(&last));
        let batch = Batch {
            of: self.mongo.of(session),
            session: session.to_string(),
            fence,
            echoes: written,
            last: last.map(json).transpose()?,
            name: name_in(echoes),
        };
        let refused = self
            .mongo
            .within(async |database| self.write(database, &batch).await)
            .await?;
        match (refused, fence) {
            (Some(newest), Some(offered)) => Err(StoreError::Fenced {
                offered,
                newest: Fence(newest),
            }),
            _ => Ok(()),
        }
    }

    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError> {
        Ok(self.stretch(session, None, most).await?.echoes)
    }

    async fn stretch(
        &self,
        session: &SessionKey,
        before: Option<u64>,
        most: usize,
    ) -> Result<Stretch, StoreError> {
        let most = most.min(self.newest);
        let mut filter = doc! { "of": self.mongo.of(session) };
        if let Some(before) = before {
            filter.insert("number", doc! { "$lt": signed(before) });
        }
        let mut found: Vec<Document> = self
            .mongo
            .within(async |database| {
                let echoes: Collection<Document> = database.collection(ECHOES);
                let found = echoes.find(filter).sort(doc! { "number": -1 });
                // One more tells whether there are older ones.
                found
                    .limit(signed(most as u64) + 1)
                    .await?
                    .try_collect()
                    .await
            })
            .await?;
        let more = found.len() > most;
        found.truncate(most);
        let older = match (more, found.last()) {
            (true, Some(first)) => first.get_i64("number").ok(),
            (true, None) => before.map(signed),
            (false, _) => None,
        };
        Ok(Stretch {
            echoes: found.iter().rev().map(echo).collect::<Result<_, _>>()?,
            older: older.and_then(|older| u64::try_from(older).ok()),
        })
    }

    async fn latest(&self, before: Option<u64>, most: usize) -> Result<Vec<Summary>, StoreError> {
        let mut filter = doc! { "spirit": self.mongo.spirit() };
        if let Some(before) = before {
            filter.insert("place", doc! { "$lt": signed(before) });
        }
        self.summaries(filter, -1, most).await
    }

    async fn changed(&self, after: u64, most: usize) -> Result<Vec<Summary>, StoreError> {
        let filter = doc! { "spirit": self.mongo.spirit(), "place": { "$gt": signed(after) } };
        self.summaries(filter, 1, most).await
    }

    async fn known(&self, sessions: &[SessionKey]) -> Result<Vec<Option<Summary>>, StoreError> {
        let ids: Vec<String> = sessions
            .iter()
            .map(|session| self.mongo.of(session))
            .collect();
        // A document without a session was made by a fence alone.
        let filter = doc! { "_id": { "$in": ids }, "session": { "$exists": true } };
        let found = self.summaries(filter, 1, sessions.len()).await?;
        let find = |session: &SessionKey| found.iter().find(|found| found.session == *session);
        Ok(sessions
            .iter()
            .map(|session| find(session).cloned())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_is_what_was_told_last_whichever_release_did() {
        let now =
            doc! { "length": 9_i64, "place": 5_i64, "told": { "place": 5_i64, "length": 7_i64 } };
        assert_eq!(told(&now), 7, "two are being written");
        let earlier = doc! { "length": 9_i64, "place": 5_i64 };
        assert_eq!(told(&earlier), 9);
        let both =
            doc! { "length": 9_i64, "place": 6_i64, "told": { "place": 5_i64, "length": 7_i64 } };
        assert_eq!(told(&both), 9);
        assert_eq!(told(&doc! { "length": 2_i64, "fence": 1_i64 }), 0);
    }
}
