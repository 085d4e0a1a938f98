//! What was done with one Pulse.

use axum::{
    Json,
    extract::{Path, State},
};
use eywa_weave::{PulseId, ports::chronicle::Entry, pulse::Outcome};
use http::HeaderMap;
use serde::Serialize;

use super::{Desk, access::Right, not_found};
use crate::http::Problem;

/// The entry of the Chronicle that tells how it ended, and all that there are of it: a channel delivers again.
#[derive(Serialize)]
pub(super) struct Told {
    #[serde(flatten)]
    entry: Entry,
    entries: Vec<Entry>,
}

/// `GET /api/pulses/{spirit}/{pulse}`
pub(super) async fn show(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, pulse)): Path<(String, String)>,
) -> Result<Json<Told>, Problem> {
    desk.admit(&headers, Right::Read).await?;
    let serving = desk.serving(&spirit)?;
    let entries = serving
        .stores
        .chronicle
        .of_pulse(&PulseId::from(pulse.as_str()))
        .await?;
    let end = entries
        .iter()
        .rev()
        .find(|entry| entry.outcome != Outcome::Duplicate)
        .or(entries.last())
        .cloned();
    match end {
        Some(entry) => Ok(Json(Told { entry, entries })),
        None => Err(not_found(format!(
            "The Chronicle of {spirit} knows nothing of the Pulse {pulse:?}: it may not have ended yet, or be older than a week."
        ))),
    }
}
