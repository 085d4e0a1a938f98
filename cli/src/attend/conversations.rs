//! `conversations`.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Place, Reach};
use crate::{
    desk_api::{Conversation, Conversations, Desk},
    terminal::{Output, Table, ago, or_none, safe, say},
};

/// The most that one page of a desk holds.
const PAGE: usize = 200;
/// The most characters of a last message.
const GLIMPSE: usize = 48;

/// Lists conversations.
#[derive(Args)]
pub(crate) struct List {
    /// Only those with this in the person's name, the session or the last message.
    #[arg(short, long = "query", value_name = "TEXT")]
    query: Option<String>,
    /// Only those in this phase.
    #[arg(long, value_enum, ignore_case = true)]
    phase: Option<Phase>,
    /// The most to list.
    #[arg(long, default_value_t = 500)]
    limit: usize,
    #[command(flatten)]
    reach: Reach,
}

/// Who has a conversation.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// The agent asked for a human.
    Requested,
    /// A human has it.
    Active,
    /// The agent has it.
    Watching,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Active => "Active",
            Self::Watching => "Watching",
        }
    }
}

impl List {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let mut command = self;
        command.reach = std::mem::take(&mut command.reach).or(before);
        let place = command.reach.place().await?;
        let spirit = command.reach.spirit.as_deref();
        let (mut listed, mut more) = (Vec::new(), false);
        for (of, desk) in place.desks(spirit).await? {
            let wanted = of.as_deref().or(spirit);
            more |= command.read(&place, &desk, wanted, &mut listed).await?;
        }
        sort(&mut listed);
        more |= listed.len() > command.limit;
        listed.truncate(command.limit);
        command.print(&place, &listed, more)
    }

    /// Reads a desk's conversations, page by page; says whether there are more.
    async fn read(
        &self,
        place: &Place,
        desk: &Desk,
        spirit: Option<&str>,
        into: &mut Vec<Value>,
    ) -> Result<bool> {
        let limit = PAGE.min(self.limit).to_string();
        let (mut cursor, mut read) = (None::<String>, 0);
        loop {
            let mut query = vec![("limit", &*limit)];
            query.extend(spirit.map(|spirit| ("spirit", spirit)));
            query.extend(self.phase.map(|phase| ("phase", phase.as_str())));
            query.extend(self.query.as_deref().map(|text| ("q", text)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = match desk.get(&["conversations"], &query).await {
                Ok(page) => serde_json::from_value::<Conversations>(page)?,
                Err(error) => return Err(place.explain("list conversations", error).await),
            };
            read += page.conversations.len();
            let ended = page.conversations.is_empty();
            into.extend(page.conversations);
            match page.next {
                Some(_) if read >= self.limit => return Ok(true),
                Some(next) if !ended => cursor = Some(next),
                _ => return Ok(false),
            }
        }
    }

    fn print(&self, place: &Place, listed: &[Value], more: bool) -> Result<()> {
        let output = self.reach.output();
        if !output.is_for_people() {
            return output.print(&json!({"conversations": listed}));
        }
        if listed.is_empty() {
            eprintln!("{}", place.nothing_found());
            return Ok(());
        }
        say(&table(listed, output == Output::Wide))?;
        if more {
            eprintln!(
                "note: there are more than {}; see --limit, --phase and --query",
                self.limit
            );
        }
        Ok(())
    }
}

fn read(conversation: &Value) -> Conversation {
    serde_json::from_value(conversation.clone()).unwrap_or_default()
}

/// As each desk does: those that wait for a human, those that a human has, the rest; the latest first in each.
fn sort(listed: &mut [Value]) {
    listed.sort_by_cached_key(|one| {
        let one = read(one);
        let rank = match one.phase.as_deref() {
            Some("Requested") => 0,
            Some("TakingOver" | "Active") => 1,
            _ => 2,
        };
        (rank, std::cmp::Reverse(one.last_at))
    });
}

fn table(listed: &[Value], wide: bool) -> String {
    let mut titles = vec![
        "SPIRIT",
        "SESSION",
        "PERSON",
        "PHASE",
        "BY",
        "UNANSWERED",
        "RITES",
        "LAST",
    ];
    if wide {
        titles.extend(["SINCE", "REASON", "LAST MESSAGE"]);
    }
    let mut table = Table::new(&titles);
    for one in listed.iter().map(read) {
        let phase = one.phase.as_deref().unwrap_or("Watching");
        let answering = if one.answering { " (answering)" } else { "" };
        let mut row = vec![
            safe::line(&one.spirit),
            safe::line(&one.session),
            or_none(one.user.name.as_deref().or(Some(&*one.user.id))),
            format!("{}{answering}", safe::line(phase)),
            or_none(one.by.as_deref()),
            one.unanswered.to_string(),
            one.pending_rites.to_string(),
            ago(one.last_at),
        ];
        if wide {
            let from = one.last_from.as_deref().unwrap_or("?");
            let text = one.last_text.as_deref().unwrap_or_default();
            row.push(ago(one.since));
            row.push(or_none(one.request_reason.as_deref()));
            row.push(format!(
                "{}: {}",
                safe::line(from),
                safe::short(text, GLIMPSE)
            ));
        }
        table.row(row);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_spirits_those_that_wait_come_first_and_the_latest_first_in_each() {
        let mut listed = vec![
            json!({"session": "a", "phase": "Watching", "lastAt": "2026-01-01T10:00:00Z"}),
            json!({"session": "b", "phase": "Active", "lastAt": "2026-01-01T08:00:00Z"}),
            json!({"session": "c", "phase": "Requested", "lastAt": "2026-01-01T07:00:00Z"}),
            json!({"session": "d", "phase": "Released", "lastAt": "2026-01-01T11:00:00Z"}),
            json!({"session": "e", "phase": "Requested", "lastAt": "2026-01-01T09:00:00Z"}),
        ];
        sort(&mut listed);
        let order: Vec<&str> = listed
            .iter()
            .filter_map(|one| one["session"].as_str())
            .collect();
        assert_eq!(order, ["e", "c", "b", "d", "a"]);
    }
}
