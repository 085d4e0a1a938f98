//! `imprint`: what is remembered of a person, listed, exported, forgotten and corrected. Their right.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use serde_json::{Value, json};

use super::{Place, Reach, Subject};
use crate::{
    completing,
    desk_api::{Desk, DeskError, Known},
    refusal::Misused,
    terminal::{Table, ago, safe, say},
};

/// Shows and changes what a Spirit remembers of a person.
#[derive(Args)]
pub(crate) struct Imprint {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    reach: Box<Reach>,
}

#[derive(Subcommand)]
enum Command {
    /// List what is remembered of a person, the latest first; all of it, for them to have, with -o json.
    List(List),
    /// Forget some of what is remembered of a person, or all of it.
    Forget(Forget),
    /// Put the truth in the place of something that is remembered of a person.
    Correct(Correct),
}

/// Whose Imprint.
#[derive(Args)]
struct Whose {
    /// The Spirit that remembers.
    #[arg(value_name = "SPIRIT", add = ArgValueCompleter::new(completing::spirits))]
    of: String,
    /// The person, by their conversation: voice/sender, such as wa/5511999990000.
    #[arg(value_name = "SESSION", add = ArgValueCompleter::new(completing::conversations))]
    session: String,
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Args)]
struct Forget {
    #[command(flatten)]
    whose: Whose,
    /// What to forget: numbers, as `imprint list` shows them now, or whole texts.
    #[arg(
        value_name = "NUMBER|TEXT",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    facts: Vec<String>,
    /// Forget all, and draw nothing any more from what the person has said until now.
    #[arg(long)]
    all: bool,
    /// Do not ask whether all is to be forgotten.
    #[arg(short, long, requires = "all")]
    yes: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Args)]
struct Correct {
    #[command(flatten)]
    whose: Whose,
    /// What is wrong: its number, as `imprint list` shows it now, or its whole text.
    #[arg(value_name = "NUMBER|TEXT")]
    fact: String,
    /// What is true: one plain sentence about the person, of at most 200 characters.
    #[arg(value_name = "TRUTH")]
    correct: String,
    #[command(flatten)]
    reach: Reach,
}

impl Imprint {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let before = self.reach.or(before);
        match self.command {
            Command::List(command) => command.run(before).await,
            Command::Forget(command) => command.run(before).await,
            Command::Correct(command) => command.run(before).await,
        }
    }
}

/// One person's Imprint, at the desk that has it.
struct Opened {
    place: Place,
    desk: Desk,
    subject: Subject,
}

impl Opened {
    async fn of(whose: Whose, reach: &Reach) -> Result<Self> {
        let subject = Subject {
            spirit: whose.of,
            session: whose.session,
        };
        if !subject.session.contains('/') {
            return Err(Misused(format!(
                "{:?} is not a session: write it as voice/sender, such as wa/5511999990000",
                safe::line(&subject.session)
            ))
            .into());
        }
        let place = reach.place().await?;
        let desk = place.desk(&subject.spirit).await?;
        Ok(Self {
            place,
            desk,
            subject,
        })
    }

    async fn known(&self) -> Result<Value> {
        let answer = self.desk.get(&self.subject.path("imprint"), &[]).await;
        self.said("list what is remembered of", answer).await
    }

    async fn change(&self, verb: &str, body: &Value) -> Result<Value> {
        let mut path = self.subject.path("imprint");
        path.push(verb);
        let answer = self.desk.post(&path, body).await;
        self.said(&format!("{verb} what is remembered of"), answer)
            .await
    }

    async fn said(&self, doing: &str, answer: Result<Value, DeskError>) -> Result<Value> {
        match answer {
            Ok(said) => Ok(said),
            Err(error) => {
                let doing = format!("{doing} {}", self.subject);
                Err(self.place.explain(&doing, error).await)
            }
        }
    }

    /// The texts that are meant by numbers or texts. Numbers are looked up now, and sent as texts, so that what is learnt
    /// meanwhile does not change what is meant.
    async fn texts(&self, named: &[String]) -> Result<Vec<String>> {
        let known: Known = serde_json::from_value(self.known().await?)?;
        named.iter().map(|named| text(&known, named)).collect()
    }
}

/// The text of a fact that is named by its number, or by itself.
fn text(known: &Known, named: &str) -> Result<String> {
    let by_number = named.parse().ok();
    let found = known
        .facts
        .iter()
        .find(|fact| fact.text == named)
        .or_else(|| {
            known
                .facts
                .iter()
                .find(|fact| Some(fact.number) == by_number)
        });
    match found {
        Some(fact) => Ok(fact.text.clone()),
        None => Err(Misused(format!(
            "nothing is remembered under {:?}; `imprint list` shows what is, with its numbers",
            safe::line(named)
        ))
        .into()),
    }
}

impl List {
    async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let opened = Opened::of(self.whose, &reach).await?;
        let found = opened.known().await?;
        if !reach.output().is_for_people() {
            return reach.output().print(&found);
        }
        let known: Known = serde_json::from_value(found)?;
        if !known.enabled {
            eprintln!(
                "note: {} does not draw facts from conversations (spec.imprint.enabled)",
                safe::line(&opened.subject.spirit)
            );
        }
        if known.facts.is_empty() {
            eprintln!("Nothing is remembered of {}.", opened.subject);
            return Ok(());
        }
        say(&table(&known))
    }
}

fn table(known: &Known) -> String {
    let mut table = Table::new(&["NUMBER", "LEARNT", "FACT"]);
    for fact in &known.facts {
        table.row(vec![
            fact.number.to_string(),
            ago(fact.at),
            safe::line(&fact.text),
        ]);
    }
    table.render()
}

impl Forget {
    async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let opened = Opened::of(self.whose, &reach).await?;
        let body = if self.all {
            if !self.yes && !agreed(&opened.subject)? {
                return Err(
                    Misused("nothing was forgotten; --yes forgets unasked".to_owned()).into(),
                );
            }
            json!({"all": true})
        } else {
            json!({"texts": opened.texts(&self.facts).await?})
        };
        let said = opened.change("forget", &body).await?;
        if !reach.output().is_for_people() {
            return reach.output().print(&said);
        }
        let forgotten = said["forgotten"].as_u64().unwrap_or_default();
        let all = if self.all { ", which was all" } else { "" };
        say(&format!(
            "{forgotten} fact(s) forgotten of {}{all}",
            opened.subject
        ))
    }
}

/// Whether the person at the terminal wants all forgotten. Where nobody is asked, they said so by the flag.
fn agreed(subject: &Subject) -> Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    eprint!("Forget all that is remembered of {subject}? It cannot be brought back. [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

impl Correct {
    async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let opened = Opened::of(self.whose, &reach).await?;
        let wrong = opened.texts(std::slice::from_ref(&self.fact)).await?;
        let body = json!({"text": wrong[0], "correct": self.correct});
        let said = opened.change("correct", &body).await?;
        if !reach.output().is_for_people() {
            return reach.output().print(&said);
        }
        say(&format!(
            "remembered of {} from now on: {}",
            opened.subject,
            safe::line(said["fact"]["text"].as_str().unwrap_or_default())
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        serde_json::from_value(json!({
            "enabled": true,
            "facts": [
                {"number": 1, "text": "Likes tea.\u{1b}[2J", "at": "2026-01-01T10:00:00Z"},
                {"number": 2, "text": "Lives in Porto", "at": "2026-01-01T10:00:00Z"},
                {"number": 3, "text": "2", "at": null},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_fact_is_named_by_its_number_or_its_text() {
        assert_eq!(text(&known(), "1").unwrap(), "Likes tea.\u{1b}[2J");
        assert_eq!(text(&known(), "Lives in Porto").unwrap(), "Lives in Porto");
        assert_eq!(text(&known(), "2").unwrap(), "2", "a text is itself first");
        for nothing in ["0", "4", "-1", "lives in Porto", ""] {
            let refused = text(&known(), nothing).unwrap_err().to_string();
            assert!(refused.contains("imprint list"), "{refused}");
        }
    }

    #[test]
    fn facts_are_shown_without_what_a_terminal_obeys() {
        let table = table(&known());
        assert!(table.contains("Likes tea.\\x1b[2J"), "{table}");
        assert_eq!(table.lines().count(), 4, "{table}");
    }
}
