//! The Pulses in work: how many, whether more may come, and when the last has landed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Counts what is in the air.
pub(super) struct Flight {
    state: Arc<State>,
    most: usize,
}

struct State {
    count: AtomicUsize,
    draining: AtomicBool,
    landed: Notify,
}

/// Why no more may take off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grounded {
    Full,
    Draining,
}

/// In the air until it is dropped.
pub(super) struct Airborne(Arc<State>);

impl Drop for Airborne {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.landed.notify_waiters();
        }
    }
}

impl Flight {
    pub(super) fn new(most: usize) -> Self {
        let state = State {
            count: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            landed: Notify::new(),
        };
        Self {
            state: Arc::new(state),
            most,
        }
    }

    /// Lets one more take off. To be called before the Inbox accepts, so that what it accepted is always worked on.
    pub(super) fn take_off(&self) -> Result<Airborne, Grounded> {
        let airborne = Airborne(Arc::clone(&self.state));
        let before = self.state.count.fetch_add(1, Ordering::AcqRel);
        if self.state.draining.load(Ordering::Acquire) {
            return Err(Grounded::Draining);
        }
        if before >= self.most {
            Err(Grounded::Full)
        } else {
            Ok(airborne)
        }
    }

    pub(super) fn count(&self) -> usize {
        self.state.count.load(Ordering::Acquire)
    }

    pub(super) fn drain(&self) {
        self.state.draining.store(true, Ordering::Release);
    }

    /// Waits until nothing is in the air.
    pub(super) async fn landed(&self) {
        loop {
            let landed = self.state.landed.notified();
            if self.count() == 0 {
                return;
            }
            landed.await;
        }
    }
}
