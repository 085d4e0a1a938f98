//! `lore search`.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use eywa_weave::ports::lore::{Match, Purpose, Search};

use super::place::Manifest;
use crate::{
    cluster::ClusterFlags,
    terminal::{safe, say},
};

/// How much of a passage is shown, in characters.
const SHOWN: usize = 400;

/// Looks in a Spirit's Lore.
#[derive(Args)]
pub(crate) struct SearchLore {
    /// The Spirit.
    spirit: String,
    /// What a person might ask.
    words: String,
    #[command(flatten)]
    manifest: Manifest,
    /// The namespace in the store: one tenant's. Without it, the one that the Spirit searches. That of Kubernetes is
    /// --kube-namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How many passages are shown; as many as the Spirit is shown, unless given.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=50))]
    top_k: Option<u32>,
}

impl SearchLore {
    pub(super) async fn run(self, before: ClusterFlags) -> Result<()> {
        let place = self.manifest.open(Some(&self.spirit), before)?;
        let lore = &place.config.lore;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None if lore.namespace.contains('{') => bail!(
                "the Spirit searches another namespace for each person ({}): say with --namespace whose",
                lore.namespace
            ),
            None => lore.namespace.clone(),
        };
        let opened = &place.opened;
        opened.lore.check(opened.embedder.dimensions()).await?;
        let embedded = opened
            .embedder
            .embed(&[&self.words], Purpose::Query)
            .await?;
        let vector = embedded
            .vectors
            .first()
            .context("the embedder gave no vector")?;
        let top_k = self.top_k.unwrap_or(lore.top_k);
        let found = opened
            .lore
            .search(Search {
                namespace: &namespace,
                vector,
                filter: &lore.filter,
                top_k: usize::try_from(top_k)?,
                min_score: -1.0,
            })
            .await?;
        if found.is_empty() {
            return say("nothing is found: is anything brought in, and into this namespace?");
        }
        say(&told(&found, lore.min_score))
    }
}

/// What was found, nearest first, and from where on the Spirit would not be shown it.
fn told(found: &[Match], min_score: f64) -> String {
    let mut pieces = Vec::new();
    let mut below = false;
    for Match { passage, score } in found {
        if !below && f64::from(*score) < min_score {
            below = true;
            pieces.push(format!(
                "--- below minScore {min_score}: not shown to the Spirit"
            ));
        }
        let mut text: String = passage.text.chars().take(SHOWN).collect();
        if text.len() < passage.text.len() {
            text.push('…');
        }
        let text: Vec<String> = text
            .lines()
            .map(|line| format!("    {}", safe::line(line)))
            .collect();
        pieces.push(format!(
            "{score:.3}  {}\n{}",
            safe::line(&passage.source),
            text.join("\n")
        ));
    }
    pieces.join("\n\n")
}

#[cfg(test)]
mod tests {
    use eywa_weave::ports::lore::Passage;

    use super::*;

    #[test]
    fn what_the_spirit_is_not_shown_stands_below_a_line() {
        let of = |source: &str, score| Match {
            passage: Passage {
                source: source.to_owned(),
                text: "Tea.\u{1b}[2J\nHot.".to_owned(),
                ..Passage::default()
            },
            score,
        };
        let told = told(&[of("a.md", 0.5), of("b.md", 0.1)], 0.2);
        let (shown, not_shown) = told.split_once("below minScore 0.2").unwrap();
        assert!(shown.starts_with("0.500  a.md\n    Tea."), "{shown}");
        assert!(
            not_shown.contains("0.100  b.md") && !told.contains('\u{1b}'),
            "{told}"
        );
    }
}
