//! Whether the channels accept the Spirit's credentials. A token that has ended is for a person to renew, so it is said
//! where people look: in the Spirit's status.

#[cfg(feature = "vigil-kubernetes")]
pub mod kubernetes;

use std::{collections::BTreeSet, sync::Arc};

use eywa_weave::{
    VoiceName,
    observe::{Event, Observer},
};
use tokio::sync::watch;

/// What is known of the credentials. Cheap to clone; clones know the same.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<watch::Sender<Known>>);

/// What the channels have said so far, in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The voices whose channels refused, last time.
    pub refused: BTreeSet<VoiceName>,
    /// Those whose channels took a message, last time.
    pub accepted: BTreeSet<VoiceName>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Known::default())))
    }
}

impl Credentials {
    /// Follows what is known.
    pub fn follow(&self) -> watch::Receiver<Known> {
        self.0.subscribe()
    }

    fn heard(&self, voice: &VoiceName, accepted: bool) {
        // Nearly every message changes nothing: that takes no write lock.
        let known = {
            let known = self.0.borrow();
            let of = if accepted {
                &known.accepted
            } else {
                &known.refused
            };
            of.contains(voice)
        };
        if known {
            return;
        }
        self.0.send_modify(|known| {
            let (to, from) = if accepted {
                (&mut known.accepted, &mut known.refused)
            } else {
                (&mut known.refused, &mut known.accepted)
            };
            from.remove(voice);
            to.insert(voice.clone());
        });
    }
}

/// An [`Observer`] that also learns from what it hears whether the channels accept the credentials.
pub struct Watched<O> {
    observer: O,
    credentials: Credentials,
}

impl<O> Watched<O> {
    /// Passes everything on to `observer`.
    pub fn new(observer: O, credentials: Credentials) -> Self {
        Self {
            observer,
            credentials,
        }
    }
}

impl<O: Observer> Observer for Watched<O> {
    fn observe(&self, event: Event<'_>) {
        if let Event::Voice { voice, outcome, .. } = event {
            match outcome {
                "delivered" => self.credentials.heard(voice, true),
                "unauthorized" => self.credentials.heard(voice, false),
                _ => {}
            }
        }
        self.observer.observe(event);
    }
}

#[cfg(test)]
mod tests {
    use eywa_weave::{SpiritName, observe::Unobserved};

    use super::*;

    #[test]
    fn the_last_word_of_a_channel_counts() {
        let credentials = Credentials::default();
        let mut follow = credentials.follow();
        let observer = Watched::new(Unobserved, credentials);
        let (spirit, voice) = (SpiritName::from("barista"), VoiceName::from("wa"));
        let mut hear = |outcome| {
            observer.observe(Event::Voice {
                spirit: &spirit,
                voice: &voice,
                outcome,
            });
            let news = follow.has_changed().unwrap();
            let known = follow.borrow_and_update();
            (
                news,
                known.refused.contains(&voice),
                known.accepted.contains(&voice),
            )
        };
        assert_eq!(hear("failed"), (false, false, false));
        assert_eq!(hear("delivered"), (true, false, true));
        assert_eq!(hear("delivered"), (false, false, true));
        assert_eq!(hear("unauthorized"), (true, true, false));
        assert_eq!(hear("unknown"), (false, true, false));
        assert_eq!(hear("delivered"), (true, false, true));
    }
}
