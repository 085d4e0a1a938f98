//! `trace`.

use anyhow::{Result, bail};
use clap::Args;
use eywa_weave::ports::chronicle::Entry;
use serde_json::Value;

use super::{Place, Reach, only_spirit};
use crate::{
    desk_api::{DeskError, Trace},
    terminal::{Table, ago, safe, say},
};

/// Shows what the Weave did with a Pulse.
#[derive(Args)]
pub(crate) struct TracePulse {
    /// The Pulse: voice/id, with the id that the channel gave the message, such as wa/wamid.HBgN.
    pulse: String,
    #[command(flatten)]
    reach: Reach,
}

impl TracePulse {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        let found = find(&place, &self.pulse, reach.spirit.as_deref()).await?;
        if !reach.output().is_for_people() {
            return reach.output().print(&found);
        }
        let entries = match serde_json::from_value(found)? {
            Trace::Entries { entries } => entries,
            Trace::Entry(entry) => vec![*entry],
        };
        let told: Vec<String> = entries.iter().map(tell).collect();
        say(&told.join("\n\n"))
    }
}

/// Asks the desks that may know it.
async fn find(place: &Place, pulse: &str, spirit: Option<&str>) -> Result<Value> {
    let spirits = match (place, spirit) {
        (_, Some(spirit)) => vec![spirit.to_owned()],
        (Place::Cluster(cluster), None) => {
            // A Pulse of the system's own, such as one that resumes a Rite, is on no voice.
            let voice = pulse.split_once('/').map(|(voice, _)| voice);
            let mut names = Vec::new();
            for spirit in cluster.spirits().await? {
                if voice.is_none_or(|voice| spirit.spec.voices.iter().any(|own| own.name == voice))
                {
                    names.push(kube::ResourceExt::name_any(&spirit));
                }
            }
            if names.is_empty() {
                only_spirit(
                    names.clone(),
                    voice,
                    &format!("namespace {}", cluster.namespace),
                )?;
            }
            names
        }
        (Place::Local(desk), None) => {
            let me = match desk.get(&["me"], &[]).await {
                Ok(me) => me,
                Err(error) => return Err(place.explain("look for the Spirits", error).await),
            };
            serde_json::from_value(me["spirits"].clone()).unwrap_or_default()
        }
    };
    for spirit in &spirits {
        let desk = place.desk(spirit).await?;
        match desk.get(&["pulses", spirit, pulse], &[]).await {
            Ok(found) => return Ok(found),
            Err(DeskError::NotFound(_)) => {}
            Err(error) => return Err(place.explain(&format!("trace {pulse}"), error).await),
        }
    }
    bail!(
        "the Chronicle of {} has no Pulse {:?}",
        spirits.join(", "),
        safe::line(pulse)
    )
}

/// An entry, for people.
fn tell(entry: &Entry) -> String {
    let total = entry.ended_at.duration_since(entry.received_at);
    let outcome = match entry.reason.as_str() {
        "" => entry.outcome.as_str().to_owned(),
        reason => format!("{}: {}", entry.outcome.as_str(), safe::line(reason)),
    };
    let usage = match entry.usage.total() {
        0 => "none".to_owned(),
        _ => format!(
            "{} tokens in ({} from the cache), {} out",
            entry.usage.input, entry.usage.cached, entry.usage.output
        ),
    };
    let head = [
        ("Pulse", safe::line(entry.pulse.as_str())),
        ("Session", safe::line(&entry.session.to_string())),
        ("Spirit", safe::line(entry.spirit.as_str())),
        ("Outcome", outcome),
        (
            "Received",
            format!(
                "{} ({} ago)",
                entry.received_at,
                ago(Some(entry.received_at))
            ),
        ),
        (
            "Took",
            took(u64::try_from(total.as_micros()).unwrap_or_default()),
        ),
        ("Attempt", entry.attempt.to_string()),
        ("Usage", usage),
    ];
    let head = head.map(|(name, value)| format!("{:<10}{value}", format!("{name}:")));
    if entry.steps.is_empty() {
        return head.join("\n");
    }
    let mut steps = Table::new(&["AT", "TOOK", "STAGE", "NAME", "OUTCOME"]);
    for step in &entry.steps {
        steps.row(vec![
            format!("+{}", took(step.started_us)),
            took(step.took_us),
            step.stage.as_str().to_owned(),
            safe::line(&step.name),
            safe::line(&step.outcome),
        ]);
    }
    let sources: Vec<String> = entry
        .steps
        .iter()
        .flat_map(|step| &step.sources)
        .map(|source| format!("  {}", safe::line(source)))
        .collect();
    let told = format!("{}\n\n{}", head.join("\n"), steps.render());
    if sources.is_empty() {
        return told;
    }
    format!("{}\n\nFound in:\n{}", told.trim_end(), sources.join("\n"))
}

/// Microseconds, in the unit that reads best.
fn took(us: u64) -> String {
    let of = |unit: f64| us as f64 / unit;
    match us {
        0..1_000 => format!("{us}µs"),
        1_000..1_000_000 => format!("{:.1}ms", of(1e3)),
        _ => format!("{:.2}s", of(1e6)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_told_step_by_step_with_times() {
        let entry = serde_json::from_value(json!({
            "pulse": "web/chat-7", "session": "web/you", "spirit": "barista", "outcome": "answered",
            "received_at": "2026-01-01T10:00:00Z", "ended_at": "2026-01-01T10:00:01.25Z", "attempt": 1,
            "usage": {"input": 812, "output": 41, "cached": 0},
            "steps": [
                {"stage": "bond", "outcome": "acquired", "started_us": 12, "took_us": 480},
                {"stage": "oracle", "name": "anthropic\u{1b}[2J", "started_us": 2100, "took_us": 1_200_000},
            ],
        }))
        .unwrap();
        let mut found: Entry = entry;
        let told = tell(&found);
        assert!(told.contains("Took:     1.25s\n"), "{told}");
        assert!(
            told.contains("812 tokens in (0 from the cache), 41 out"),
            "{told}"
        );
        let steps: Vec<&str> = told.lines().rev().take(3).collect();
        assert_eq!(
            steps,
            [
                "+2.1ms   1.20s   oracle   anthropic\\x1b[2J",
                "+12µs    480µs   bond                        acquired",
                "AT       TOOK    STAGE    NAME               OUTCOME",
            ]
        );
        found.steps[0].sources = vec!["menu.md\u{7}".to_owned()];
        assert!(
            tell(&found).ends_with("\n\nFound in:\n  menu.md\\x07"),
            "{}",
            tell(&found)
        );
    }
}
