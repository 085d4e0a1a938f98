//! `GET /api/conversations`: first those where the Spirit asks for a human, then those that a human has, then the rest; in
//! each the latest first.
//!
//! The first two are few, and read whole; the rest is read in pages, from the index that the Echo store keeps. A search
//! looks at so many conversations at most in one request, and gives a cursor to go on with where it stopped.

use std::{cmp::Reverse, collections::VecDeque, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
};
use eywa_weave::{
    SessionKey, StoreError,
    ports::{
        echoes::Summary,
        vigil::{Phase, Target},
    },
};
use futures::future::try_join_all;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{
    Desk,
    access::Right,
    conversation::{Conversation, Scenery},
    unreadable,
};
use crate::{http::Problem, serving::Serving};

/// How many conversations one answer lists, unless it is asked for fewer or more.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;
/// How many conversations of the rest one request looks at.
const MOST_LOOKED_AT: usize = 10_000;
/// How many are read from a store at a time: as many as are shown, or many when most are passed over.
const FEW: usize = 64;
const MANY: usize = 1000;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wish {
    spirit: Option<String>,
    phase: Option<Phase>,
    q: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Listing {
    conversations: Vec<Conversation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn list(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(wish): Query<Wish>,
) -> Result<Json<Listing>, Problem> {
    desk.admit(&headers, Right::Read).await?;
    let servings = desk.servings(wish.spirit.as_deref())?;
    let after = match wish.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        Some(cursor) => Some(Position::parse(cursor).ok_or_else(|| {
            unreadable("The cursor is none that was given out: start again without it.".to_owned())
        })?),
        None => None,
    };
    let limit = wish.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let search = Search::of(&wish);
    Ok(Json(find(&servings, &search, after, limit).await?))
}

/// Which part of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Requested,
    Human,
    Rest,
}

/// Where a conversation stands in the list: what stands later is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    part: Part,
    place: Reverse<u64>,
    spirit: String,
    session: String,
}

impl Position {
    fn parse(cursor: &str) -> Option<Self> {
        let mut parts = cursor.splitn(4, ' ');
        Some(Self {
            part: match parts.next()? {
                "0" => Part::Requested,
                "1" => Part::Human,
                "2" => Part::Rest,
                _ => return None,
            },
            place: Reverse(parts.next()?.parse().ok()?),
            spirit: parts.next()?.to_owned(),
            session: parts.next()?.to_owned(),
        })
    }

    fn cursor(&self) -> String {
        let part = self.part as u8;
        format!("{part} {} {} {}", self.place.0, self.spirit, self.session)
    }
}

/// What is looked for.
struct Search {
    phase: Option<Phase>,
    words: Option<String>,
}

impl Search {
    fn of(wish: &Wish) -> Self {
        let words = wish.q.as_deref().map(|q| q.trim().to_lowercase());
        Self {
            phase: wish.phase,
            words: words.filter(|words| !words.is_empty()),
        }
    }

    fn names(&self, session: &SessionKey, summary: Option<&Summary>) -> bool {
        let Some(words) = &self.words else {
            return true;
        };
        let name = summary.and_then(|summary| summary.name.as_deref());
        let last = summary.and_then(|summary| summary.last.as_ref());
        session.to_string().to_lowercase().contains(words)
            || name.is_some_and(|name| name.to_lowercase().contains(words))
            || last.is_some_and(|last| last.text.to_lowercase().contains(words))
    }

    /// Whether a conversation that shows this phase is looked for. `Active` stands for those that a human has or is
    /// taking, `Watching` for those that are the Spirit's again, too.
    fn phase(&self, shown: Phase) -> bool {
        match self.phase {
            None => true,
            Some(Phase::Active) => shown.is_human(),
            Some(Phase::Watching) => !shown.is_open(),
            Some(wanted) => shown == wanted,
        }
    }
}

/// One Spirit whose conversations are listed.
struct Source {
    serving: Arc<Serving>,
    scenery: Scenery,
    /// The rest, as far as it was read.
    read: VecDeque<Summary>,
    /// Where to read on; `None` when all was read.
    on: Option<Option<u64>>,
}

impl Source {
    async fn open(serving: &Arc<Serving>, before: Option<u64>) -> Result<Self, StoreError> {
        Ok(Self {
            scenery: Scenery::of(serving).await?,
            serving: Arc::clone(serving),
            read: VecDeque::new(),
            on: Some(before),
        })
    }

    /// Those that a human has or is asked to take.
    async fn open_ones(
        &self,
        index: usize,
        search: &Search,
    ) -> Result<Vec<(Position, Row)>, StoreError> {
        let everyone = &self.scenery.everyone;
        let sessions: Vec<SessionKey> = self.scenery.open.keys().cloned().collect();
        let known = self.serving.stores.echoes.known(&sessions).await?;
        let rows = sessions.into_iter().zip(known);
        Ok(rows
            .filter_map(|(session, summary)| {
                let phase = self.scenery.open.get(&session)?.phase;
                let shown = if everyone.phase.is_human() && !phase.is_human() {
                    everyone.phase
                } else {
                    phase
                };
                let wanted = search.phase(shown) && search.names(&session, summary.as_ref());
                let part = if shown == Phase::Requested {
                    Part::Requested
                } else {
                    Part::Human
                };
                wanted.then(|| {
                    let position = self.position(part, &session, summary.as_ref());
                    let row = Row {
                        source: index,
                        session,
                        summary,
                    };
                    (position, row)
                })
            })
            .collect())
    }

    fn position(&self, part: Part, session: &SessionKey, summary: Option<&Summary>) -> Position {
        Position {
            part,
            place: Reverse(summary.map_or(0, |summary| summary.place)),
            spirit: self.serving.name().to_string(),
            session: session.to_string(),
        }
    }

    /// The next of the rest, without taking it.
    async fn peek(&mut self, at_a_time: usize) -> Result<Option<&Summary>, StoreError> {
        if self.read.is_empty()
            && let Some(before) = self.on
        {
            let more = self.serving.stores.echoes.latest(before, at_a_time).await?;
            self.on = (more.len() == at_a_time)
                .then(|| more.last().map(|last| Some(last.place)))
                .flatten();
            self.read = more.into();
        }
        Ok(self.read.front())
    }

    /// Whether one of the rest is looked for.
    async fn wants(&self, search: &Search, summary: &Summary) -> Result<bool, StoreError> {
        if self.scenery.open.contains_key(&summary.session)
            || !search.names(&summary.session, Some(summary))
        {
            return Ok(false);
        }
        let everyone = self.scenery.everyone.phase;
        Ok(match search.phase {
            _ if everyone.is_human() => search.phase(everyone),
            Some(Phase::Released) => {
                let target = Target::Session(summary.session.clone());
                self.serving.stores.vigil.state(&target).await?.phase == Phase::Released
            }
            _ => search.phase(Phase::Watching),
        })
    }
}

/// One conversation that was found.
struct Row {
    source: usize,
    session: SessionKey,
    summary: Option<Summary>,
}

async fn find(
    servings: &[Arc<Serving>],
    search: &Search,
    after: Option<Position>,
    limit: usize,
) -> Result<Listing, StoreError> {
    // Where two Spirits have the same place, the cursor's says which of them was shown.
    let before = after
        .as_ref()
        .filter(|after| after.part == Part::Rest)
        .map(|after| after.place.0.saturating_add(1));
    let mut sources =
        try_join_all(servings.iter().map(|serving| Source::open(serving, before))).await?;
    let mut rows: Vec<(Position, Row)> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        rows.extend(source.open_ones(index, search).await?);
    }
    rows.retain(|(position, _)| after.as_ref().is_none_or(|after| position > after));
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut stopped_at = None;
    if rows.len() <= limit {
        stopped_at = add_rest(&mut sources, search, after.as_ref(), limit, &mut rows).await?;
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more {
        rows.last().map(|(position, _)| position.cursor())
    } else {
        stopped_at.map(|position| position.cursor())
    };
    Ok(Listing {
        conversations: shown(&sources, rows).await?,
        next,
    })
}

/// Adds the rest, and one more than is asked for if there is one. Gives where it stopped when it had looked at too many.
async fn add_rest(
    sources: &mut [Source],
    search: &Search,
    after: Option<&Position>,
    limit: usize,
    rows: &mut Vec<(Position, Row)>,
) -> Result<Option<Position>, StoreError> {
    let at_a_time = if search.words.is_some() || search.phase == Some(Phase::Released) {
        MANY
    } else {
        FEW
    };
    for _ in 0..MOST_LOOKED_AT {
        let mut latest: Option<(usize, Position)> = None;
        for (index, source) in sources.iter_mut().enumerate() {
            let Some(summary) = source.peek(at_a_time).await?.cloned() else {
                continue;
            };
            let position = source.position(Part::Rest, &summary.session, Some(&summary));
            if latest.as_ref().is_none_or(|(_, first)| position < *first) {
                latest = Some((index, position));
            }
        }
        let Some((index, position)) = latest else {
            return Ok(None);
        };
        let Some(summary) = sources[index].read.pop_front() else {
            return Ok(None);
        };
        let is_later = after.is_none_or(|after| position > *after);
        if is_later && sources[index].wants(search, &summary).await? {
            rows.push((
                position,
                Row {
                    source: index,
                    session: summary.session.clone(),
                    summary: Some(summary),
                },
            ));
            if rows.len() > limit {
                return Ok(None);
            }
        }
        if sources
            .iter()
            .all(|source| source.read.is_empty() && source.on.is_none())
        {
            return Ok(None);
        }
    }
    let mut rest: Vec<Position> = Vec::new();
    for source in sources.iter_mut() {
        if let Some(summary) = source.peek(at_a_time).await?.cloned() {
            rest.push(source.position(Part::Rest, &summary.session, Some(&summary)));
        }
    }
    // The place just before the next one that is to be looked at.
    Ok(rest.into_iter().min().map(|next| Position {
        place: Reverse(next.place.0.saturating_add(1)),
        ..next
    }))
}

/// The rows as conversations, in their order.
async fn shown(
    sources: &[Source],
    rows: Vec<(Position, Row)>,
) -> Result<Vec<Conversation>, StoreError> {
    let mut by_source: Vec<Vec<(SessionKey, Option<Summary>)>> = vec![Vec::new(); sources.len()];
    let order: Vec<usize> = rows.iter().map(|(_, row)| row.source).collect();
    for (_, row) in rows {
        by_source[row.source].push((row.session, row.summary));
    }
    let shown = try_join_all(
        sources
            .iter()
            .zip(&by_source)
            .map(|(source, rows)| source.scenery.conversations(&source.serving, rows)),
    )
    .await?;
    let mut shown: Vec<_> = shown.into_iter().map(Vec::into_iter).collect();
    Ok(order
        .into_iter()
        .filter_map(|source| shown[source].next())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(part: Part, place: u64, spirit: &str) -> Position {
        Position {
            part,
            place: Reverse(place),
            spirit: spirit.to_owned(),
            session: "wa/a b".to_owned(),
        }
    }

    #[test]
    fn who_asks_for_a_human_comes_first_and_then_the_latest() {
        let mut listed = [
            position(Part::Rest, 9, "a"),
            position(Part::Rest, 10, "b"),
            position(Part::Human, 1, "a"),
            position(Part::Requested, 0, "a"),
            position(Part::Rest, 10, "a"),
        ];
        listed.sort();
        let order: Vec<_> = listed
            .iter()
            .map(|position| (position.part, position.place.0, position.spirit.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                (Part::Requested, 0, "a"),
                (Part::Human, 1, "a"),
                (Part::Rest, 10, "a"),
                (Part::Rest, 10, "b"),
                (Part::Rest, 9, "a"),
            ]
        );
    }

    #[test]
    fn a_cursor_reads_back_and_a_made_up_one_does_not() {
        let position = position(Part::Human, 1_790_000_000_000_000, "bar-ista.x");
        assert_eq!(Position::parse(&position.cursor()), Some(position));
        for made_up in ["", "3 1 a b", "0 x a b", "0 1 a"] {
            assert_eq!(Position::parse(made_up), None, "{made_up}");
        }
    }
}
