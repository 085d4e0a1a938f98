//! Whether this process should be sent requests, and why not.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use eywa_weave::SpiritName;

use crate::roster::Roster;

/// Where the process is between its start and its end. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<AtomicU8>);

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

impl Stage {
    /// The Spirits are loaded and the ports are open.
    pub fn serving(&self) {
        let _ = self
            .0
            .compare_exchange(STARTING, SERVING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The process is about to stop. There is no way back.
    pub fn draining(&self) {
        self.0.store(DRAINING, Ordering::Release);
    }
}

/// Why the process should not be sent requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It has only begun.
    Starting,
    /// It is about to stop.
    Draining,
    /// The stores of this Spirit do not answer.
    StoresUnreachable(SpiritName),
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Draining => f.write_str("draining: this pod takes no new Pulses"),
            Self::StoresUnreachable(spirit) => {
                write!(f, "the stores of the Spirit {spirit} cannot be reached")
            }
        }
    }
}

/// Asks whether the process is ready. Answers within about a second, whatever the stores do.
///
/// # Errors
/// [`NotReady`], which says why.
pub async fn check(stage: &Stage, roster: &Roster) -> Result<(), NotReady> {
    match stage.0.load(Ordering::Acquire) {
        STARTING => return Err(NotReady::Starting),
        DRAINING => return Err(NotReady::Draining),
        _ => {}
    }
    let depths = roster.depths().await;
    match depths.into_iter().find(|(_, depth)| depth.is_none()) {
        Some((spirit, _)) => Err(NotReady::StoresUnreachable(spirit)),
        None => Ok(()),
    }
}
