//! The desks of the Spirits' pods.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use eywa_runtime::http::Problem;
use futures::future::join_all;
use http::StatusCode;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::super::Place;
use crate::{
    desk_api::{Desk, DeskError},
    terminal::safe,
};

/// For how long the list of Spirits is taken for true.
const HOLDS: Duration = Duration::from_secs(10);

/// The desks, each opened when it is first needed and kept: a port-forward follows a Spirit's pods by itself.
pub(super) struct Pods {
    place: Place,
    /// The only Spirit to show.
    only: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    spirits: Option<(Instant, Vec<String>)>,
    desks: BTreeMap<String, Desk>,
}

impl Pods {
    pub(super) fn new(place: Place, only: Option<String>) -> Self {
        Self {
            place,
            only,
            state: Mutex::default(),
        }
    }

    /// The Spirits.
    pub(super) async fn spirits(&self) -> Result<Vec<String>> {
        if let Some(only) = &self.only {
            return Ok(vec![only.clone()]);
        }
        let mut state = self.state.lock().await;
        if let Some((since, spirits)) = &state.spirits
            && since.elapsed() < HOLDS
        {
            return Ok(spirits.clone());
        }
        let spirits: Vec<String> = match &self.place {
            Place::Cluster(cluster) => {
                let spirits = cluster.spirits().await?;
                spirits.iter().map(kube::ResourceExt::name_any).collect()
            }
            Place::Local(desk) => {
                let me = desk.get(&["me"], &[]).await?;
                serde_json::from_value(me["spirits"].clone()).unwrap_or_default()
            }
        };
        if spirits.is_empty() {
            bail!("there is no Spirit with a voice here");
        }
        state.spirits = Some((Instant::now(), spirits.clone()));
        Ok(spirits)
    }

    /// The desk of a Spirit.
    pub(super) async fn desk(&self, spirit: &str) -> Result<Desk> {
        if let Some(desk) = self.state.lock().await.desks.get(spirit) {
            return Ok(desk.clone());
        }
        if !self.spirits().await?.iter().any(|known| known == spirit) {
            bail!("there is no Spirit {:?} here", safe::line(spirit));
        }
        let desk = self.place.desk(spirit).await?;
        // Two who ask at the same time open two; the first is kept.
        let mut state = self.state.lock().await;
        Ok(state.desks.entry(spirit.to_owned()).or_insert(desk).clone())
    }

    /// The desks of one Spirit, or of all that can be reached.
    pub(super) async fn desks(&self, spirit: Option<&str>) -> Result<Vec<(String, Desk)>, Problem> {
        let spirits = match spirit.filter(|spirit| !spirit.is_empty()) {
            Some(spirit) => vec![spirit.to_owned()],
            None => self.spirits().await.map_err(|error| unreachable(&error))?,
        };
        let opened = join_all(spirits.iter().map(|spirit| self.desk(spirit))).await;
        let (mut desks, mut failed) = (Vec::new(), None);
        for (spirit, opened) in spirits.into_iter().zip(opened) {
            match opened {
                Ok(desk) => desks.push((spirit, desk)),
                Err(error) => {
                    eprintln!("note: {spirit} is left out: {error:#}");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if desks.is_empty() => Err(unreachable(&error)),
            _ => Ok(desks),
        }
    }

    /// Asks one Spirit's desk, or all of them at once. Of all, those that fail are left out, unless all do.
    pub(super) async fn ask(
        &self,
        spirit: Option<&str>,
        path: &[&str],
    ) -> Result<Vec<(String, Value)>, Problem> {
        let desks = self.desks(spirit).await?;
        let asked: Vec<_> = desks
            .iter()
            .map(|(spirit, desk)| async move { desk.get(path, &[("spirit", spirit)]).await })
            .collect();
        let asked = join_all(asked).await;
        let (mut answers, mut failed) = (Vec::new(), None);
        for ((spirit, _), asked) in desks.into_iter().zip(asked) {
            match asked {
                Ok(answer) => answers.push((spirit, answer)),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if answers.is_empty() => Err(problem(error)),
            _ => Ok(answers),
        }
    }
}

/// A desk's no, passed on. A desk that does not know the token is this process's fault, not the browser's.
pub(super) fn problem(error: DeskError) -> Problem {
    match error {
        DeskError::Forbidden(permission) => Problem::new(
            StatusCode::FORBIDDEN,
            "not-permitted",
            "You may not do this",
            format!("Your kubeconfig's user lacks the permission to {permission}."),
        )
        .with("permission", Value::String(permission)),
        DeskError::NotFound(detail) => Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is no such thing here",
            detail,
        ),
        other => unreachable(&other.into()),
    }
}

pub(super) fn unreachable(error: &anyhow::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "desk-unreachable",
        "The Spirit's pods cannot be reached",
        format!("{error:#}"),
    )
}
