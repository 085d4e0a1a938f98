//! `rites`, `approve` and `deny`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use eywa_crds::{
    Rite as RiteObject,
    rite::{Decision, RitePhase},
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{Place, Reach};
use crate::{
    cluster::rites as objects,
    completing,
    desk_api::{Desk, DeskError, Rite},
    refusal::{Misused, Refused},
    terminal::{Output, Table, ago, or_none, safe, say, until},
};

/// How long a runtime pod may take to note a decision before it is said that none has yet.
const NOTED_WITHIN: Duration = Duration::from_secs(15);
/// The most characters of a Rite's arguments in a table.
const ARGUMENTS: usize = 80;

/// Lists Rites.
#[derive(Args)]
pub(crate) struct List {
    /// Only those that wait for a decision.
    #[arg(long)]
    pending: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Says yes.
#[derive(Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    verdict: Verdict,
}

/// Says no.
#[derive(Args)]
pub(crate) struct Deny {
    #[command(flatten)]
    verdict: Verdict,
}

/// What both have.
#[derive(Args)]
struct Verdict {
    /// The Rite; `rites` lists them.
    #[arg(value_name = "RITE", add = ArgValueCompleter::new(completing::rites))]
    rite: String,
    /// What you have to say about it; the agent is told.
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// A row of the table.
struct Row {
    name: String,
    rite: Rite,
    made: Option<Timestamp>,
}

impl List {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        let (mut rows, mut documents) = (Vec::new(), Vec::new());
        let waits = |phase: &str| !self.pending || phase == RITE_PENDING;
        match &place {
            Place::Cluster(cluster) => {
                for object in cluster.rites(reach.spirit.as_deref()).await? {
                    let row = row(&object);
                    if waits(&row.rite.phase) {
                        documents.push(serde_json::to_value(&object)?);
                        rows.push(row);
                    }
                }
            }
            Place::Local(desk) => {
                for rite in local(&place, desk, reach.spirit.as_deref()).await? {
                    if waits(&rite.phase) {
                        documents.push(serde_json::to_value(&rite)?);
                        rows.push(Row {
                            name: rite.id.clone(),
                            rite,
                            made: None,
                        });
                    }
                }
            }
        }
        if !reach.output().is_for_people() {
            return reach.output().print(&json!({"rites": documents}));
        }
        if rows.is_empty() {
            eprintln!("{}", place.nothing_found());
            return Ok(());
        }
        say(&table(rows, reach.output() == Output::Wide))
    }
}

const RITE_PENDING: &str = "Pending";

impl Approve {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        self.verdict.give(Decision::Approved, before).await
    }
}

impl Deny {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        self.verdict.give(Decision::Denied, before).await
    }
}

impl Verdict {
    async fn give(self, decision: Decision, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        let word = if decision == Decision::Approved {
            "approved"
        } else {
            "denied"
        };
        let comment = self.comment.as_deref();
        let (name, action, document) = match &place {
            Place::Cluster(cluster) => {
                let decided = cluster
                    .decide(&self.rite, decision, comment, NOTED_WITHIN)
                    .await?;
                if !decided.noted {
                    eprintln!(
                        "note: no runtime pod has taken note of it within {} s; it is acted on as soon as one does",
                        NOTED_WITHIN.as_secs()
                    );
                }
                let RiteObject { spec, .. } = &decided.rite;
                let action = format!("{} of {}", spec.action, spec.spirit_ref.name);
                (
                    decided.rite.name_any(),
                    action,
                    serde_json::to_value(&decided.rite)?,
                )
            }
            Place::Local(desk) => {
                let rites = local(&place, desk, reach.spirit.as_deref()).await?;
                let rite = named(&rites, &self.rite)?;
                let path = ["rites", &rite.spirit, &rite.id, "decision"];
                let mut body = json!({"decision": decision});
                if let Some(comment) = comment {
                    body["comment"] = comment.into();
                }
                let document = match desk.post(&path, &body).await {
                    Ok(document) => document,
                    Err(DeskError::Conflict { detail, problem }) => {
                        return Err(decided_already(&rite.id, &detail, &problem).into());
                    }
                    Err(error) => {
                        return Err(place
                            .explain(&format!("decide {}", rite.action), error)
                            .await);
                    }
                };
                (
                    rite.id.clone(),
                    format!("{} of {}", rite.action, rite.spirit),
                    document,
                )
            }
        };
        if reach.output().is_for_people() {
            say(&format!(
                "{} {word}: {}",
                safe::line(&name),
                safe::line(&action)
            ))
        } else {
            reach.output().print(&document)
        }
    }
}

/// A desk's no to a decision.
fn decided_already(id: &str, detail: &str, problem: &Value) -> Refused {
    let by = problem["by"].as_str().filter(|by| !by.is_empty());
    let why = match (problem["phase"].as_str(), by) {
        (Some(phase), Some(by)) => {
            format!("it is {} already, by {}", safe::line(phase), safe::line(by))
        }
        (Some(phase), None) => format!("it is {} already", safe::line(phase)),
        (None, _) => safe::line(detail),
    };
    Refused::Decided {
        name: safe::line(id),
        why,
    }
}

async fn local(place: &Place, desk: &Desk, spirit: Option<&str>) -> Result<Vec<Rite>> {
    let query: Vec<(&str, &str)> = spirit
        .map(|spirit| ("spirit", spirit))
        .into_iter()
        .collect();
    match desk.get(&["rites"], &query).await {
        Ok(mut answer) => Ok(serde_json::from_value(answer["rites"].take())?),
        Err(error) => Err(place.explain("list Rites", error).await),
    }
}

/// The Rite that goes by this id, or by the name that its object would have.
fn named<'a>(rites: &'a [Rite], name: &str) -> Result<&'a Rite> {
    let mut fitting = rites
        .iter()
        .filter(|rite| rite.id == name || format!("{}-{}", rite.spirit, rite.id) == name);
    match (fitting.next(), fitting.next()) {
        (Some(rite), None) => Ok(rite),
        (Some(_), Some(_)) => Err(Misused(format!(
            "several Spirits have a Rite {name:?}; say which is meant with --spirit"
        ))
        .into()),
        _ => anyhow::bail!(
            "there is no Rite {:?}; `eywa rites` lists them",
            safe::line(name)
        ),
    }
}

fn row(object: &RiteObject) -> Row {
    let (spec, status) = (&object.spec, object.status.clone().unwrap_or_default());
    let phase = match objects::phase(object) {
        RitePhase::Pending => RITE_PENDING,
        RitePhase::Approved => "Approved",
        RitePhase::Denied => "Denied",
        RitePhase::Expired => "Expired",
        RitePhase::Void => "Void",
        RitePhase::Consumed => "Consumed",
    };
    Row {
        name: object.name_any(),
        rite: Rite {
            spirit: spec.spirit_ref.name.clone(),
            id: object.name_any(),
            session: spec.session.clone(),
            action: spec.action.clone(),
            arguments: Value::Object(spec.arguments.clone()),
            phase: phase.to_owned(),
            expires_at: status.expires_at.map(|time| time.0),
            decided_at: status.decided_at.map(|time| time.0),
            by: spec.by.clone(),
            comment: spec.comment.clone(),
            outcome: status.outcome.map(|outcome| format!("{outcome:?}")),
        },
        made: object.creation_timestamp().map(|time| time.0),
    }
}

/// Those that wait first, the soonest to expire first; the rest by when they were made, the latest first.
fn table(mut rows: Vec<Row>, wide: bool) -> String {
    rows.sort_by_key(|row| {
        let waits = row.rite.phase == RITE_PENDING;
        let soonest = waits.then_some(row.rite.expires_at);
        (
            !waits,
            soonest,
            std::cmp::Reverse(row.made.or(row.rite.expires_at)),
        )
    });
    let mut titles = vec![
        "NAME", "SPIRIT", "SESSION", "ACTION", "PHASE", "EXPIRES", "BY", "AGE",
    ];
    if wide {
        titles.extend(["OUTCOME", "COMMENT", "ARGUMENTS"]);
    }
    let mut table = Table::new(&titles);
    for Row { name, rite, made } in rows {
        let mut cells = vec![
            safe::line(&name),
            safe::line(&rite.spirit),
            safe::line(&rite.session),
            safe::line(&rite.action),
            safe::line(&rite.phase),
            until(rite.expires_at.filter(|_| rite.phase == RITE_PENDING)),
            or_none(rite.by.as_deref()),
            ago(made),
        ];
        if wide {
            cells.push(or_none(rite.outcome.as_deref()));
            cells.push(or_none(rite.comment.as_deref()));
            cells.push(safe::short(&rite.arguments.to_string(), ARGUMENTS));
        }
        table.row(cells);
    }
    table.render()
}
