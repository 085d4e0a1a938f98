//! `watch`.

use std::{collections::HashMap, io::IsTerminal as _, time::Duration};

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use jiff::tz::TimeZone;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

use super::{
    Place, Reach, Subject,
    transcript::{Shown, Style},
};
use crate::{
    completing,
    desk_api::{Conversation, Desk, DeskError, Echo, Event, Rite},
    terminal::{Output, safe, say},
};

/// The pause before a lost connection is made again, which doubles each time; half of it is left to chance.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How much of what happened may wait to be shown; the desk waits after that.
const QUEUE: usize = 256;

/// Follows a conversation, or all.
#[derive(Args)]
pub(crate) struct Watch {
    /// The conversation (voice/sender), or the name of its Vigil. All, without one.
    #[arg(value_name = "SESSION|VIGIL", add = ArgValueCompleter::new(completing::conversations))]
    named: Option<String>,
    /// How many of the messages before now to show, of one conversation.
    #[arg(long, value_name = "N", default_value_t = 20)]
    tail: usize,
    #[command(flatten)]
    reach: Reach,
}

/// What one desk tells.
enum News {
    /// Of before, oldest first.
    Past {
        spirit: String,
        session: String,
        echoes: Vec<Value>,
    },
    /// Just now.
    Event(Event),
    /// The connection was lost, and why.
    Lost(String),
    /// It is back. Without a session to read again, something may have been missed.
    Back { missed: bool },
    /// The desk says no, and will not say otherwise.
    Over(DeskError),
}

#[derive(Deserialize)]
struct EchoEvent {
    spirit: String,
    session: String,
    echo: Value,
}

impl Watch {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        let subject = match &self.named {
            Some(named) if named != "*" => {
                Some(place.subject(named, reach.spirit.as_deref()).await?)
            }
            _ => None,
        };
        let subject = subject.filter(|subject| !subject.is_every_session());
        let spirit = subject
            .as_ref()
            .map(|subject| subject.spirit.clone())
            .or_else(|| reach.spirit.clone());
        let (told, mut news) = mpsc::channel(QUEUE);
        for (of, desk) in place.desks(spirit.as_deref()).await? {
            let follower = Follower {
                desk,
                spirit: of.or_else(|| spirit.clone()),
                subject: subject.clone(),
                tail: self.tail,
                told: told.clone(),
            };
            tokio::spawn(follower.follow());
        }
        drop(told);
        let mut screen = Screen {
            style: Style {
                dim: std::io::stdout().is_terminal(),
                several: subject.is_none(),
                zone: TimeZone::system(),
            },
            output: reach.output(),
            only: subject.map(|subject| subject.session),
            shown: Shown::default(),
            phases: HashMap::new(),
        };
        loop {
            let next = tokio::select! {
                next = news.recv() => next,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            match next {
                Some(News::Over(error)) => return Err(refused(&place, error).await),
                Some(next) => screen.show(next)?,
                None => return Ok(()),
            }
        }
    }
}

async fn refused(place: &Place, error: DeskError) -> anyhow::Error {
    place.explain("watch conversations", error).await
}

/// Follows one desk.
struct Follower {
    desk: Desk,
    spirit: Option<String>,
    subject: Option<Subject>,
    tail: usize,
    told: mpsc::Sender<News>,
}

impl Follower {
    /// Until nobody listens, or the desk says no.
    async fn follow(self) {
        let (mut last, mut pause, mut lost) = (None::<String>, PAUSE, false);
        loop {
            let ended = self.connected(&mut last, &mut pause, lost).await;
            let why = match ended {
                Ok(()) => "the desk ended it".to_owned(),
                Err(
                    error @ (DeskError::Unreachable(_)
                    | DeskError::Failed { .. }
                    | DeskError::Other(_)),
                ) => error.to_string(),
                Err(error) => {
                    let _ = self.told.send(News::Over(error)).await;
                    return;
                }
            };
            lost = true;
            if self.told.send(News::Lost(why)).await.is_err() {
                return;
            }
            sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One connection, to its end. The events come first and the past after it, so that nothing falls between.
    async fn connected(
        &self,
        last: &mut Option<String>,
        pause: &mut Duration,
        again: bool,
    ) -> Result<(), DeskError> {
        let mut query: Vec<(&str, &str)> = Vec::new();
        query.extend(self.spirit.as_deref().map(|spirit| ("spirit", spirit)));
        query.extend(
            self.subject
                .iter()
                .map(|subject| ("session", &*subject.session)),
        );
        let mut events = self.desk.events(&query, last.as_deref()).await?;
        *pause = PAUSE;
        self.past().await?;
        if again
            && self
                .tell(News::Back {
                    missed: last.is_none() && self.subject.is_none(),
                })
                .await
        {
            return Ok(());
        }
        while let Some(event) = events.next().await? {
            if let Some(id) = &event.id {
                *last = Some(id.clone());
            }
            let told = if event.name == "resync" {
                self.past().await?;
                News::Back {
                    missed: self.subject.is_none(),
                }
            } else {
                News::Event(event)
            };
            if self.tell(told).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What was said before, of the conversation that is followed.
    async fn past(&self) -> Result<(), DeskError> {
        let Some(subject) = &self.subject else {
            return Ok(());
        };
        let limit = self.tail.clamp(1, 200).to_string();
        let path = ["conversations", &subject.spirit, &subject.session];
        let echoes = match self.desk.get(&path, &[("limit", &limit)]).await {
            Ok(mut found) => serde_json::from_value(found["echoes"].take()).unwrap_or_default(),
            // Nobody has said anything yet.
            Err(DeskError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let past = News::Past {
            spirit: subject.spirit.clone(),
            session: subject.session.clone(),
            echoes: if self.tail == 0 { Vec::new() } else { echoes },
        };
        self.tell(past).await;
        Ok(())
    }

    /// Whether nobody listens any more.
    async fn tell(&self, news: News) -> bool {
        self.told.send(news).await.is_err()
    }
}

/// What is printed, and what was.
struct Screen {
    style: Style,
    output: Output,
    only: Option<String>,
    shown: Shown,
    phases: HashMap<(String, String), Option<String>>,
}

impl Screen {
    fn show(&mut self, news: News) -> Result<()> {
        match news {
            News::Past {
                spirit,
                session,
                echoes,
            } => {
                for echo in echoes {
                    self.echo(EchoEvent {
                        spirit: spirit.clone(),
                        session: session.clone(),
                        echo,
                    })?;
                }
            }
            News::Event(event) => self.event(&event)?,
            News::Lost(why) => eprintln!(
                "note: the connection is lost ({}); trying again",
                safe::line(&why)
            ),
            News::Back { missed: true } => {
                eprintln!("note: the connection is back; what was said meanwhile is not shown");
            }
            News::Back { missed: false } => eprintln!("note: the connection is back"),
            News::Over(_) => {}
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        match event.name.as_str() {
            "echo" => match read::<EchoEvent>(event) {
                Some(echo) => self.echo(echo),
                None => Ok(()),
            },
            "conversation" => match read::<Value>(event) {
                Some(conversation) => self.conversation(conversation),
                None => Ok(()),
            },
            "rite" => match read::<Value>(event) {
                Some(rite) => self.rite(rite),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn echo(&mut self, event: EchoEvent) -> Result<()> {
        let EchoEvent {
            spirit,
            session,
            echo,
        } = event;
        if !self.is_followed(&session) {
            return Ok(());
        }
        let read: Echo = serde_json::from_value(echo.clone()).unwrap_or_default();
        if !self.shown.is_new(&spirit, &session, &read.id) {
            return Ok(());
        }
        if !self.output.is_for_people() {
            return self.output.print_next(
                &json!({"type": "echo", "spirit": spirit, "session": session, "echo": echo}),
            );
        }
        put(&self.style.echo(&spirit, &session, &read))
    }

    fn conversation(&mut self, told: Value) -> Result<()> {
        let read: Conversation = serde_json::from_value(told.clone()).unwrap_or_default();
        if !self.is_followed(&read.session) {
            return Ok(());
        }
        let key = (read.spirit.clone(), read.session.clone());
        let before = self.phases.insert(key, read.phase.clone());
        if before.as_ref() == Some(&read.phase) {
            return Ok(());
        }
        if !self.output.is_for_people() {
            return self
                .output
                .print_next(&json!({"type": "conversation", "conversation": told}));
        }
        if read.phase.as_deref() == Some("Requested") {
            return put(&self.style.requested(&read));
        }
        Ok(())
    }

    fn rite(&mut self, told: Value) -> Result<()> {
        let read: Rite = serde_json::from_value(told.clone()).unwrap_or_default();
        if !self.is_followed(&read.session) {
            return Ok(());
        }
        if !self.output.is_for_people() {
            return self
                .output
                .print_next(&json!({"type": "rite", "rite": told}));
        }
        // What becomes of it is a message of its own.
        if read.phase == "Pending"
            && self
                .shown
                .is_new(&read.spirit, &read.session, &format!("rite {}", read.id))
        {
            return put(&self.style.rite(&read));
        }
        Ok(())
    }

    fn is_followed(&self, session: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == session)
    }
}

fn read<T: DeserializeOwned>(event: &Event) -> Option<T> {
    serde_json::from_str(&event.data).ok()
}

/// Prints what there is to show.
fn put(shown: &str) -> Result<()> {
    if shown.is_empty() {
        return Ok(());
    }
    say(shown.trim_end_matches('\n'))
}
