//! Alarms that go off: who may say so, and what they say.

use std::time::Duration;

use eywa_weave::{PulseId, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TaskQueue;
use crate::google::{IdTokens, NotGoogle};

/// An alarm of a Pulse, as a task's body holds it. Fields are only added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The Pulse.
    pub pulse: PulseId,
    /// Which of the Pulse's alarms: 0 is set when it is accepted, and each that finds the Pulse leased sets the next. A
    /// name is not to be had again for hours, so each has one of its own.
    #[serde(default)]
    pub nth: u32,
}

impl Alarm {
    pub(super) fn first(pulse: PulseId) -> Self {
        Self { pulse, nth: 0 }
    }

    pub(super) fn written(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a push's body.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// The pushes of a Spirit's queue.
#[derive(Debug)]
pub struct TaskPushes {
    tokens: IdTokens,
    queue: TaskQueue,
}

impl TaskPushes {
    /// Pushes of `queue`, which prove themselves by `tokens`.
    #[must_use]
    pub fn new(tokens: IdTokens, queue: TaskQueue) -> Self {
        Self { tokens, queue }
    }

    /// Whether who holds this `Authorization` header is the queue.
    ///
    /// # Errors
    /// [`NotGoogle`].
    pub async fn check(&self, authorization: Option<&str>) -> Result<(), NotGoogle> {
        self.tokens.check(authorization).await
    }

    /// How long a push may take. Google waits no longer.
    #[must_use]
    pub fn within(&self) -> Duration {
        self.queue.push_within()
    }

    /// Sets the Pulse's next alarm, in so long. Setting it twice is allowed.
    ///
    /// # Errors
    /// When Cloud Tasks does not take it; the alarm that went off is then to go off again.
    pub async fn again(&self, alarm: &Alarm, after: Duration) -> Result<(), StoreError> {
        let next = Alarm {
            pulse: alarm.pulse.clone(),
            nth: alarm.nth.saturating_add(1),
        };
        let due = Timestamp::now()
            .saturating_add(after)
            .unwrap_or(Timestamp::MAX);
        match self.queue.create(&next, due).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.queue.explained(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_not() {
        let alarm = Alarm {
            pulse: "wa/wamid.1".into(),
            nth: 3,
        };
        assert_eq!(Alarm::read(&alarm.written()), Some(alarm));
        let first = Alarm::read(br#"{"pulse": "wa/1", "from": "a newer release"}"#);
        assert_eq!(first, Some(Alarm::first("wa/1".into())));
        for body in [&b""[..], b"{}", b"[]", b"\xff", br#"{"pulse": 7}"#] {
            assert_eq!(Alarm::read(body), None);
        }
    }
}
