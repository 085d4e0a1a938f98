//! Taking over one Pulse that somebody from outside says is due.

use std::time::Duration;

use super::{ReceiveError, Weave};
use crate::{names::PulseId, ports::inbox::Due};

/// How often one call begins on the same Pulse. Each time its lease has to end first, so this is for a Weave that is put
/// off again and again.
const MOST_TURNS: usize = 3;

/// What became of a Pulse that was said to be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// It has ended, or was never accepted. There is nothing to do.
    Over,
    /// Somebody has it, or it was put off. It may be due again in so long.
    Later(Duration),
}

impl Weave {
    /// Takes over a Pulse if nobody has it, and works on it to its end. Whoever has it keeps it: many may say the same at
    /// the same time. The work goes on when the caller stops waiting.
    ///
    /// # Errors
    /// [`ReceiveError::Full`], [`ReceiveError::Draining`] and [`ReceiveError::Store`]: it is to be said again later.
    pub async fn wake(&self, id: &PulseId) -> Result<Woken, ReceiveError> {
        for _ in 0..MOST_TURNS {
            let airborne = self.0.flight.take_off()?;
            match self.0.inbox.reclaim_one(id, self.0.lease()).await? {
                Due::Gone => return Ok(Woken::Over),
                Due::Leased(left) => return Ok(Woken::Later(left)),
                Due::Yours(delivery) => {
                    tracing::info!(pulse = %id, attempt = delivery.attempt, "took over a Pulse that was said to be due");
                    // It fails when the Weave panicked: then the lease ends, as a dead pod's does.
                    let _ = self.take_off(*delivery, airborne).await;
                }
            }
        }
        Ok(Woken::Later(self.0.lease()))
    }
}
