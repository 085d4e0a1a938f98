//! Holding a stand-in in the middle of what it does.

use tokio::sync::watch;

/// Holds whoever has the matching [`Hold`], until it lets go or is dropped.
#[derive(Debug)]
pub struct Held {
    letting_go: watch::Sender<bool>,
}

/// What a stand-in waits for.
#[derive(Clone, Debug)]
pub(crate) struct Hold(watch::Receiver<bool>);

/// Both ends.
pub(crate) fn hold() -> (Held, Hold) {
    let (letting_go, held) = watch::channel(false);
    (Held { letting_go }, Hold(held))
}

impl Held {
    /// Lets go, now and of whatever comes.
    pub fn release(&self) {
        self.letting_go.send_replace(true);
    }
}

impl Hold {
    /// Ends when it is let go.
    pub(crate) async fn over(mut self) {
        // An error means that the test let go by ending.
        let _ = self.0.wait_for(|let_go| *let_go).await;
    }
}
