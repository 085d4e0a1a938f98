//! A Scout that looks documents up.

use std::{collections::BTreeMap, fmt, fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use eywa_crds::{
    facts::PulseFacts,
    template::{Template, TemplateError, Vocabulary},
};
use eywa_weave::{
    Pulse, SpiritName,
    ports::{
        lore::{Embedder, Lore, Match, Purpose, Search},
        oracle::Turn,
        scout::{Harvest, Scout, ScoutError},
    },
    spirit::Facts,
    weave::history::Turns,
};
use jiff::Timestamp;

use crate::facts;

/// What it is called in the prompt, in metrics and in the Chronicle.
const NAME: &str = "lore";

/// A message of fewer characters is likely an answer to something: what was said before it is looked for, too.
const SHORT: usize = 40;

/// How many of the person's turns before it.
const TURNS_BEFORE: usize = 2;

/// The most characters that are looked for.
const LONGEST_QUESTION: usize = 2000;

/// The most bytes of what is found; the Weave shows no more than 32 KiB of one finding.
const LONGEST_HARVEST: usize = 30 * 1024;

/// The most bytes of a namespace.
const LONGEST_NAMESPACE: usize = 256;

/// The most characters of a source's name that are shown.
const LONGEST_SOURCE: usize = 300;

/// What a [`LoreScout`] needs.
#[derive(Clone, Debug)]
pub struct LoreScoutSettings<'a> {
    /// The Spirit that it looks for.
    pub spirit: SpiritName,
    /// The template of the namespace; empty for the one without a name.
    pub namespace: &'a str,
    /// What the metadata of what is found has.
    pub filter: BTreeMap<String, String>,
    /// The most passages.
    pub top_k: usize,
    /// How similar they are at least.
    pub min_score: f32,
    /// Whether the Oracle is told to name its sources.
    pub cite: bool,
}

/// Looks for what the message means, in one namespace. A short message is looked for with what the person said before.
///
/// The namespace's template is filled in with values from outside: each is percent-encoded but for letters, digits and
/// `-_.@+:=`, so that none can pass for another, and one that ends up empty is an error, never everybody's namespace.
pub struct LoreScout {
    lore: Arc<dyn Lore>,
    embedder: Arc<dyn Embedder>,
    spirit: SpiritName,
    /// None for the namespace without a name.
    namespace: Option<Template>,
    filter: BTreeMap<String, String>,
    top_k: usize,
    min_score: f32,
    cite: bool,
}

impl fmt::Debug for LoreScout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoreScout")
            .field("spirit", &self.spirit)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl LoreScout {
    /// A Scout that looks in `lore` for what `embedder` makes of a message.
    ///
    /// # Errors
    /// When the namespace's template is malformed.
    pub fn new(
        settings: LoreScoutSettings<'_>,
        lore: Arc<dyn Lore>,
        embedder: Arc<dyn Embedder>,
    ) -> Result<Self, TemplateError> {
        let LoreScoutSettings {
            spirit,
            namespace,
            filter,
            top_k,
            min_score,
            cite,
        } = settings;
        let namespace = match namespace {
            "" => None,
            source => Some(Template::parse(source, Vocabulary::LORE_NAMESPACE)?),
        };
        Ok(Self {
            lore,
            embedder,
            spirit,
            namespace,
            filter,
            top_k,
            min_score,
            cite,
        })
    }

    fn namespace(&self, pulse: &Pulse) -> Result<String, ScoutError> {
        let Some(template) = &self.namespace else {
            return Ok(String::new());
        };
        let facts = encoded(facts::known(Facts {
            pulse,
            spirit: &self.spirit,
            now: Timestamp::now(),
        }));
        let namespace = template.render(&facts).map_err(|error| failed(&error))?;
        match namespace.len() {
            0 => Err(failed(&"its namespace is empty for this person")),
            1..=LONGEST_NAMESPACE => Ok(namespace),
            _ => Err(failed(&format!(
                "its namespace has more than {LONGEST_NAMESPACE} bytes for this person"
            ))),
        }
    }

    fn render(&self, found: &[Match]) -> Harvest {
        let mut harvest = Harvest::default();
        if found.is_empty() {
            return harvest;
        }
        if self.cite {
            harvest.text.push_str(
                "Each passage has the number of its source before it. Where your answer rests on one, put that number \
                 behind the statement, like [1], and end with the names of the sources that you used, by their numbers. \
                 Never name a source that is not here.\n\n",
            );
        }
        for Match { passage, .. } in found {
            let source = plain(&passage.source);
            let known = harvest.sources.iter().position(|known| *known == source);
            let number = known.unwrap_or(harvest.sources.len()) + 1;
            let piece = format!("[{number}] {source}\n{}\n\n", passage.text.trim());
            if harvest.text.len() + piece.len() > LONGEST_HARVEST && !harvest.sources.is_empty() {
                break;
            }
            let _ = write!(harvest.text, "{piece}");
            if known.is_none() {
                harvest.sources.push(source);
            }
        }
        harvest.text.truncate(harvest.text.trim_end().len());
        harvest
    }
}

fn failed(error: &dyn fmt::Display) -> ScoutError {
    ScoutError(format!("the Scout {NAME}: {error}"))
}

#[async_trait]
impl Scout for LoreScout {
    fn name(&self) -> &str {
        NAME
    }

    async fn harvest(&self, pulse: &Pulse, turns: &Turns) -> Result<Harvest, ScoutError> {
        let namespace = self.namespace(pulse)?;
        let question = question(&pulse.content.text, turns);
        if question.is_empty() {
            return Ok(Harvest::default());
        }
        let embedded = self
            .embedder
            .embed(&[&question], Purpose::Query)
            .await
            .map_err(|error| failed(&error))?;
        let vector = embedded
            .vectors
            .first()
            .ok_or_else(|| failed(&"the embedder gave no vector"))?;
        let found = self
            .lore
            .search(Search {
                namespace: &namespace,
                vector,
                filter: &self.filter,
                top_k: self.top_k,
                min_score: self.min_score,
            })
            .await
            .map_err(|error| failed(&error))?;
        Ok(self.render(&found))
    }
}

/// What is looked for: the message, and where it is short what the person said before, oldest first.
fn question(text: &str, turns: &Turns) -> String {
    let text = text.trim();
    let mut said = vec![text];
    if text.chars().count() < SHORT {
        let before = turns.as_slice().iter().rev().filter_map(|turn| match turn {
            Turn::User { text, .. } => Some(text.trim()),
            Turn::Agent { .. } | Turn::Tools(_) => None,
        });
        // The newest turn is this message's own.
        said.extend(
            before
                .skip(1)
                .filter(|text| !text.is_empty())
                .take(TURNS_BEFORE),
        );
    }
    said.retain(|text| !text.is_empty());
    said.reverse();
    let question = said.join("\n");
    // The end of it is the newest.
    let from = question.chars().count().saturating_sub(LONGEST_QUESTION);
    question.chars().skip(from).collect()
}

/// The facts with every value that a namespace may name percent-encoded.
fn encoded(mut facts: PulseFacts) -> PulseFacts {
    for value in [
        &mut facts.user.id,
        &mut facts.session.id,
        &mut facts.voice,
        &mut facts.spirit,
    ] {
        *value = encode(value);
    }
    facts
}

fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.@+:=".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A source's name in one line, and not a long one.
fn plain(source: &str) -> String {
    source
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_SOURCE)
        .collect()
}

#[cfg(test)]
#[cfg(feature = "in-memory")]
mod tests;
