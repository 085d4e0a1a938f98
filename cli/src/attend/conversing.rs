//! `reply`.

use std::{
    io::{IsTerminal as _, Read as _},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::json;
use tokio::time::sleep;

use super::Reach;
use crate::{
    completing,
    desk_api::DeskError,
    name,
    refusal::{Misused, Refused},
    terminal::say,
};

/// The most bytes that are read from the standard input.
const LONGEST: u64 = 64 * 1024;
/// How often it is tried; the desk knows the message by its id, so it is said once.
const ATTEMPTS: u32 = 4;
/// The pause before the second try, which doubles each time; half of it is left to chance.
const PAUSE: Duration = Duration::from_millis(500);

/// Says something in the agent's place.
#[derive(Args)]
pub(crate) struct Reply {
    /// The conversation (voice/sender), or the name of its Vigil.
    #[arg(value_name = "SESSION|VIGIL", add = ArgValueCompleter::new(completing::conversations))]
    named: String,
    /// What to say; from the standard input when it is left out, or is -.
    text: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

impl Reply {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let text = match self.text.as_deref() {
            Some("-") | None => from_stdin()?,
            Some(text) => text.to_owned(),
        };
        if text.trim().is_empty() {
            return Err(Misused("there is nothing to say".to_owned()).into());
        }
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        let subject = place.subject(&self.named, reach.spirit.as_deref()).await?;
        if subject.is_every_session() {
            return Err(Misused("a reply goes to one conversation".to_owned()).into());
        }
        let desk = place.desk(&subject.spirit).await?;
        let id = uuid::Uuid::new_v4().to_string();
        let (path, body) = (subject.path("reply"), json!({"id": id, "text": text}));
        let mut pause = PAUSE;
        let mut attempt = 1;
        let answer = loop {
            match desk.post(&path, &body).await {
                Err(error) if error.may_pass() && attempt < ATTEMPTS => {
                    sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                    pause *= 2;
                    attempt += 1;
                }
                answer => break answer,
            }
        };
        let said = match answer {
            Ok(said) => said,
            Err(DeskError::Conflict { detail, .. }) => {
                return Err(Refused::NotTaken {
                    spirit: subject.spirit,
                    session: subject.session,
                    why: detail,
                    command: name::command(),
                }
                .into());
            }
            Err(DeskError::Unfit(detail)) => return Err(Refused::Channel(detail).into()),
            Err(error) => {
                return Err(place.explain(&format!("reply in {subject}"), error).await);
            }
        };
        if reach.output().is_for_people() {
            say(&format!("said in {subject}"))
        } else {
            reach.output().print(&said)
        }
    }
}

fn from_stdin() -> Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("What to say? Ctrl-D ends it.");
    }
    let mut text = String::new();
    stdin
        .lock()
        .take(LONGEST + 1)
        .read_to_string(&mut text)
        .context("the standard input cannot be read as text")?;
    if text.len() as u64 > LONGEST {
        return Err(Misused(format!("a reply has {LONGEST} bytes at most")).into());
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
