//! What makes a session be looked at before its time.

use tokio::sync::Notify;

/// What makes a session be looked at before its time. However often something is said, it is one look.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// The tools have changed: the server said so, or knew nothing of a tool that it had.
    pub(super) changed: Notify,
    /// Something went wrong that leaves open whether there still is a session.
    pub(super) doubted: Notify,
}

impl Hints {
    pub(super) fn change(&self) {
        self.changed.notify_one();
    }

    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }
}
