//! The lists of several desks as one.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Query, State},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use eywa_runtime::http::Problem;
use futures::future::try_join_all;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Front, pods::problem};
use crate::desk_api::Conversations;

/// The most that a desk gives at a time.
const LARGEST_PAGE: usize = 200;
/// As many as a desk gives without being asked for a number.
const PAGE: usize = 50;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wish {
    spirit: Option<String>,
    phase: Option<String>,
    q: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// How far the list of one desk was shown: up to so many of the page that begins at the desk's own cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Shown {
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[serde(rename = "n", default)]
    of_page: usize,
}

/// The desks of which there is more to show.
type Cursor = BTreeMap<String, Shown>;

/// One desk's page, as far as it was not shown yet.
struct Page {
    spirit: String,
    shown: Shown,
    rows: std::vec::IntoIter<Value>,
    next: Option<String>,
}

pub(super) async fn conversations(
    State(front): State<Front>,
    Query(wish): Query<Wish>,
) -> Result<Json<Value>, Problem> {
    let limit = wish.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let cursor = match wish.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        Some(cursor) => Some(parse(cursor).ok_or_else(unreadable)?),
        None => None,
    };
    let desks = front.pods.desks(wish.spirit.as_deref()).await?;
    let wanted = desks
        .into_iter()
        .filter_map(|(spirit, desk)| match &cursor {
            None => Some((spirit, desk, Shown::default())),
            Some(cursor) => {
                let shown = cursor.get(&spirit)?.clone();
                Some((spirit, desk, shown))
            }
        });
    let pages = try_join_all(wanted.map(|(spirit, desk, shown)| {
        let wish = &wish;
        async move {
            let size = (shown.of_page + limit).min(LARGEST_PAGE).to_string();
            let mut query = vec![("spirit", &*spirit), ("limit", &*size)];
            query.extend(wish.phase.as_deref().map(|phase| ("phase", phase)));
            query.extend(wish.q.as_deref().map(|q| ("q", q)));
            query.extend(shown.cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = desk
                .get(&["conversations"], &query)
                .await
                .map_err(problem)?;
            let read: Conversations = serde_json::from_value(answer).unwrap_or_default();
            let mut rows = read.conversations;
            rows.drain(..shown.of_page.min(rows.len()));
            Ok::<_, Problem>(Page {
                spirit,
                shown,
                rows: rows.into_iter(),
                next: read.next,
            })
        }
    }))
    .await?;
    let (rows, next) = merge(pages, limit);
    let mut answer = json!({"conversations": rows});
    if let Some(next) = next {
        answer["next"] = write(&next).into();
    }
    Ok(Json(answer))
}

/// The first rows of all pages in the order that each page has, and where the next ones begin.
fn merge(mut pages: Vec<Page>, limit: usize) -> (Vec<Value>, Option<Cursor>) {
    let mut rows = Vec::new();
    while rows.len() < limit {
        // A page that is shown to its end, where its desk has more: what comes next is not known yet.
        if pages
            .iter()
            .any(|page| page.rows.as_slice().is_empty() && page.next.is_some())
        {
            break;
        }
        let first = pages
            .iter_mut()
            .filter(|page| !page.rows.as_slice().is_empty())
            .min_by_key(|page| page.rows.as_slice().first().map(place));
        let Some(page) = first else { break };
        page.shown.of_page += 1;
        rows.extend(page.rows.next());
    }
    let next: Cursor = pages
        .into_iter()
        .filter_map(|page| {
            if !page.rows.as_slice().is_empty() {
                return Some((page.spirit, page.shown));
            }
            let cursor = page.next?;
            let shown = Shown {
                cursor: Some(cursor),
                of_page: 0,
            };
            Some((page.spirit, shown))
        })
        .collect();
    (rows, (!next.is_empty()).then_some(next))
}

/// Where a conversation stands: those that wait for a human first, then those that a human has; the latest first in each.
fn place(conversation: &Value) -> (u8, std::cmp::Reverse<Option<jiff::Timestamp>>) {
    let part = match conversation["phase"].as_str() {
        Some("Requested") => 0,
        Some("TakingOver" | "Active") => 1,
        _ => 2,
    };
    let at = conversation["lastAt"]
        .as_str()
        .and_then(|at| at.parse().ok());
    (part, std::cmp::Reverse(at))
}

fn parse(cursor: &str) -> Option<Cursor> {
    let cursor: Cursor =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    cursor
        .values()
        .all(|shown| shown.of_page <= LARGEST_PAGE)
        .then_some(cursor)
}

fn write(cursor: &Cursor) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json!(cursor).to_string())
}

fn unreadable() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "unreadable-request",
        "The request cannot be read",
        "The cursor is none that was given out: start again without it.",
    )
}

pub(super) async fn rites(
    State(front): State<Front>,
    Query(wish): Query<Wish>,
) -> Result<Json<Value>, Problem> {
    let answers = front.pods.ask(wish.spirit.as_deref(), &["rites"]).await?;
    let mut rites: Vec<Value> = Vec::new();
    for (_, mut answer) in answers {
        if let Some(some) = answer["rites"].as_array_mut() {
            rites.append(some);
        }
    }
    Ok(Json(json!({"rites": rites})))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A desk with conversations that were last spoken in at these minutes.
    struct Stand(&'static str, Vec<u32>);

    impl Stand {
        fn page(&self, shown: &Shown, limit: usize) -> Page {
            let begin: usize = shown
                .cursor
                .as_deref()
                .map_or(0, |cursor| cursor.parse().unwrap());
            // A desk that gives two at a time, whatever it is asked for.
            let end = (begin + 2.min(shown.of_page + limit)).min(self.1.len());
            let mut rows: Vec<Value> = self.1[begin..end]
                .iter()
                .map(|minute| json!({"lastAt": format!("2026-01-01T10:{minute:02}:00Z"), "session": format!("{}/{minute}", self.0)}))
                .collect();
            Page {
                spirit: self.0.to_owned(),
                shown: shown.clone(),
                rows: rows.split_off(shown.of_page).into_iter(),
                next: (end < self.1.len()).then(|| end.to_string()),
            }
        }
    }

    #[test]
    fn the_pages_of_all_desks_hold_each_conversation_once_and_in_order() {
        let stands = [
            Stand("a", vec![59, 57, 30, 29, 28, 2]),
            Stand("b", vec![58, 40, 31]),
            Stand("c", vec![]),
        ];
        for limit in 1..12 {
            let (mut seen, mut cursor) = (Vec::new(), None::<Cursor>);
            for _ in 0..50 {
                let pages = stands
                    .iter()
                    .filter_map(|stand| {
                        let shown = match &cursor {
                            None => Shown::default(),
                            Some(cursor) => cursor.get(stand.0)?.clone(),
                        };
                        Some(stand.page(&shown, limit))
                    })
                    .collect();
                let (rows, next) = merge(pages, limit);
                seen.extend(rows);
                cursor = match next {
                    Some(next) => Some(parse(&write(&next)).unwrap()),
                    None => break,
                };
            }
            let seen: Vec<&str> = seen
                .iter()
                .filter_map(|row| row["session"].as_str())
                .collect();
            let wanted = [
                "a/59", "b/58", "a/57", "b/40", "b/31", "a/30", "a/29", "a/28", "a/2",
            ];
            assert_eq!(seen, wanted, "by {limit}");
        }
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        assert_eq!(parse("!"), None);
        assert_eq!(
            parse(&BASE64_URL_SAFE_NO_PAD.encode(r#"{"a":{"n":201}}"#)),
            None
        );
    }
}
