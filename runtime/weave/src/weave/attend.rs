//! Showing the person that they are being answered, beside the answering and never in its way.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::Inner;
use crate::{observe::Event, ports::Voice, pulse::Pulse};

/// The longest that asking for it once may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(5);
/// Nobody is shown for longer than this that an answer is coming.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// For as long as it is there, the person sees that somebody is about to answer.
pub(super) struct Attending {
    _until_dropped: Option<oneshot::Sender<()>>,
}

impl Inner {
    /// Marks the message read and shows that it is being answered, again and again until what this gives is dropped. What
    /// fails is counted and ignored. A request that is on its way then is left to end, since it marks the message read.
    pub(super) fn attend(&self, voice: &Arc<dyn Voice>, pulse: &Pulse) -> Attending {
        let Some(shows) = voice.attention() else {
            return Attending {
                _until_dropped: None,
            };
        };
        let (attending, mut over) = oneshot::channel();
        let (voice, observer) = (Arc::clone(voice), Arc::clone(&self.observer));
        let (spirit, name, to) = (
            self.name.clone(),
            pulse.session.voice.clone(),
            pulse.reply_to.clone(),
        );
        tokio::spawn(async move {
            let until = Instant::now() + LONGEST;
            while Instant::now() < until {
                let problem = match timeout(LONGEST_REQUEST, voice.attend(&to)).await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some(format!("no answer within {LONGEST_REQUEST:?}")),
                };
                if let Some(problem) = problem {
                    tracing::debug!(voice = %name, problem, "the person could not be shown that somebody answers");
                    observer.observe(Event::Voice {
                        spirit: &spirit,
                        voice: &name,
                        outcome: "inattentive",
                    });
                }
                // A little early, so that it does not stop in between.
                tokio::select! {
                    _ = &mut over => return,
                    () = sleep(shows.mul_f64(0.8)) => {}
                }
            }
        });
        Attending {
            _until_dropped: Some(attending),
        }
    }
}
