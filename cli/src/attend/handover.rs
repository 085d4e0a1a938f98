//! `takeover` and `release`.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Place, Reach, Subject};
use crate::{
    cluster::vigils::{Done, Order},
    completing,
    desk_api::{Conversation, Desk, DeskError},
    name,
    refusal::{Misused, Refused},
    terminal::{safe, say},
};

/// Between two looks at a local conversation.
const BETWEEN: Duration = Duration::from_millis(250);

/// Takes a conversation over.
#[derive(Args)]
pub(crate) struct Takeover {
    /// The conversation (voice/sender, such as wa/5511999990000), the name of its Vigil, or '*' for every conversation of
    /// the Spirit.
    #[arg(value_name = "SESSION|VIGIL", add = ArgValueCompleter::new(completing::conversations))]
    named: String,
    /// Why; others see it.
    #[arg(long)]
    reason: Option<String>,
    /// Idle time after which the agent gets it back, such as 30m; 0 for never. The Spirit's own otherwise.
    #[arg(long, value_name = "DURATION")]
    release_after: Option<String>,
    /// Do not ask before all of a Spirit's conversations are taken.
    #[arg(short, long)]
    yes: bool,
    /// How long to wait until the agent is silent, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
    #[command(flatten)]
    reach: Reach,
}

/// Gives a conversation back.
#[derive(Args)]
pub(crate) struct Release {
    /// The conversation (voice/sender), the name of its Vigil, or '*' for what was taken with '*'.
    #[arg(value_name = "SESSION|VIGIL", add = ArgValueCompleter::new(completing::conversations))]
    named: String,
    /// Also when somebody else has it.
    #[arg(long)]
    force: bool,
    /// How long to wait until the agent has it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
    #[command(flatten)]
    reach: Reach,
}

impl Takeover {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        let subject = place.subject(&self.named, reach.spirit.as_deref()).await?;
        if subject.is_every_session() && !self.yes {
            confirm(&subject.spirit)?;
        }
        let within = Duration::from_secs(self.timeout.into());
        let (taken, already) = match &place {
            Place::Cluster(cluster) => {
                let order = Order {
                    reason: self.reason.as_deref(),
                    release_after: self.release_after.as_deref(),
                    within,
                };
                match cluster.take_over(&subject, &order).await? {
                    Done::Carried(vigil) => (serde_json::to_value(vigil)?, false),
                    Done::Already(vigil) => (serde_json::to_value(vigil)?, true),
                }
            }
            Place::Local(desk) => {
                if self.release_after.is_some() {
                    return Err(Misused(
                        "--release-after is for a cluster; in eywa up it is the Spirit's spec.vigil.releaseAfter".to_owned(),
                    )
                    .into());
                }
                let body = self
                    .reason
                    .as_ref()
                    .map_or_else(|| json!({}), |reason| json!({"reason": reason}));
                let answer = desk.post(&subject.path("takeover"), &body).await;
                let taken = explained(&place, &subject, "take over", answer).await?;
                (until_active(desk, &subject, taken, within).await?, false)
            }
        };
        if !reach.output().is_for_people() {
            return reach.output().print(&taken);
        }
        let again = if already { " already" } else { "" };
        say(&format!(
            "{subject} is yours{again}: the agent is silent until you give it back with: {} release --spirit {} '{}'",
            name::command(),
            subject.spirit,
            subject.session,
        ))
    }
}

impl Release {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        let subject = place.subject(&self.named, reach.spirit.as_deref()).await?;
        let (released, was_taken) = match &place {
            Place::Cluster(cluster) => {
                let order = Order {
                    reason: None,
                    release_after: None,
                    within: Duration::from_secs(self.timeout.into()),
                };
                match cluster.give_back(&subject, self.force, &order).await? {
                    Done::Carried(vigil) => (serde_json::to_value(vigil)?, true),
                    Done::Already(vigil) => (serde_json::to_value(vigil)?, false),
                }
            }
            Place::Local(desk) => {
                let body = json!({"force": self.force});
                let answer = desk.post(&subject.path("release"), &body).await;
                let released = match answer {
                    Err(DeskError::Conflict { problem, .. }) if problem["by"].is_string() => {
                        return Err(Refused::NotYours {
                            spirit: subject.spirit,
                            session: subject.session,
                            by: by(&problem),
                        }
                        .into());
                    }
                    answer => explained(&place, &subject, "give back", answer).await?,
                };
                (released, true)
            }
        };
        if !reach.output().is_for_people() {
            return reach.output().print(&released);
        }
        if was_taken {
            say(&format!("{subject} is the agent's again"))
        } else {
            say(&format!("nobody has {subject}: it is the agent's"))
        }
    }
}

/// Asks before a whole Spirit falls silent.
fn confirm(spirit: &str) -> Result<()> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Misused(format!(
            "this silences {spirit} in all its conversations; add --yes to mean it"
        ))
        .into());
    }
    eprint!("This silences {spirit} in all its conversations. Go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
        Ok(())
    } else {
        bail!("nothing was done")
    }
}

async fn explained(
    place: &Place,
    subject: &Subject,
    doing: &str,
    answer: Result<Value, DeskError>,
) -> Result<Value> {
    match answer {
        Ok(value) => Ok(value),
        Err(DeskError::Conflict { problem, .. }) if problem["by"].is_string() => {
            Err(Refused::HeldBy {
                spirit: subject.spirit.clone(),
                session: subject.session.clone(),
                by: by(&problem),
                since: problem["since"]
                    .as_str()
                    .map_or_else(String::new, |since| format!(" since {}", safe::line(since))),
                command: name::command(),
            }
            .into())
        }
        Err(error) => Err(place.explain(&format!("{doing} {subject}"), error).await),
    }
}

fn by(problem: &Value) -> String {
    problem["by"].as_str().unwrap_or("somebody").to_owned()
}

/// Waits until the agent is silent in a local conversation.
async fn until_active(
    desk: &Desk,
    subject: &Subject,
    mut taken: Value,
    within: Duration,
) -> Result<Value> {
    let deadline = Instant::now() + within;
    loop {
        let is: Conversation = serde_json::from_value(taken.clone()).unwrap_or_default();
        // The desk answers for a whole Spirit once it is so.
        if subject.is_every_session() || is.phase.as_deref() == Some("Active") {
            return Ok(taken);
        }
        if Instant::now() >= deadline {
            bail!(
                "the agent was not silent in {subject} within {} s: a reply is still being sent. The order stands",
                within.as_secs()
            );
        }
        sleep(BETWEEN).await;
        let path = ["conversations", &subject.spirit, &subject.session];
        taken = desk.get(&path, &[("limit", "1")]).await?["conversation"].take();
    }
}
