//! Google Cloud Tasks beside another Inbox: what brings a Pulse whose pod died to another pod, also to one that was not
//! running.
//!
//! Cloud Tasks alone cannot keep the Inbox's contract: it forgets names within hours, its tasks are leased for as long as
//! one request takes and no longer, and there is nowhere to write down how far speech has come (docs/adr/0017). So the other
//! Inbox is the record, and what is kept at Google is an alarm: one task for each Pulse, due when its first lease ends. If
//! the Pulse is finished by then, the task was deleted; if not, Google pushes it to the Spirit's address, where
//! [`Weave::wake`](eywa_weave::Weave::wake) takes the Pulse over unless somebody has it.
//!
//! Alarms are set off the Pulse's path, in tasks of their own: the Pulse is safe before they are, and nobody needs them
//! before the lease has ended. One that cannot be set is tried again by each [`reclaim`](Inbox::reclaim), with growing pauses.
//!
//! Source: Cloud Tasks API v2, `CloudTasks.CreateTask`, `Task` and `HttpRequest`.

mod alarms;
mod pushes;
mod queue;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    Pulse, PulseId, StoreError,
    ports::inbox::{Acceptance, Delivery, Depth, Due, Inbox, Speech},
};
use jiff::Timestamp;

use self::alarms::Alarms;
pub use self::{
    pushes::{Alarm, TaskPushes},
    queue::{TaskQueue, TaskSite},
};

/// What became of an alarm. To be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// It was set.
    Created,
    /// It was set before.
    Existed,
    /// It could not be set, and will be tried again.
    Failed,
    /// It could not be set for so long, or there were so many, that it is left. The sweeps of living pods find the Pulse.
    GivenUp,
    /// It was taken back, since its Pulse is finished.
    Deleted,
    /// It was not taken back: it will go off and find nothing to do.
    Left,
}

impl TaskEvent {
    /// As it stands in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Existed => "existed",
            Self::Failed => "failed",
            Self::GivenUp => "given-up",
            Self::Deleted => "deleted",
            Self::Left => "left",
        }
    }
}

/// Another Inbox, with an alarm at Google for each of its Pulses.
pub struct TasksInbox {
    record: Arc<dyn Inbox>,
    alarms: Arc<Alarms>,
}

impl TasksInbox {
    /// Sets alarms in `queue` for the Pulses of `record`, which has to outlive the pod. `count` hears what became of each;
    /// it must not block.
    pub fn new(
        record: Arc<dyn Inbox>,
        queue: TaskQueue,
        count: impl Fn(TaskEvent) + Send + Sync + 'static,
    ) -> Self {
        Self {
            record,
            alarms: Arc::new(Alarms::new(queue, Box::new(count))),
        }
    }
}

#[async_trait]
impl Inbox for TasksInbox {
    async fn accept(
        &self,
        pulses: &[Pulse],
        lease: Duration,
    ) -> Result<Vec<Acceptance>, StoreError> {
        let acceptances = self.record.accept(pulses, lease).await?;
        let due = Timestamp::now()
            .saturating_add(lease)
            .unwrap_or(Timestamp::MAX);
        let new = pulses
            .iter()
            .zip(&acceptances)
            .filter(|(_, acceptance)| **acceptance == Acceptance::New);
        self.alarms.set(new.map(|(pulse, _)| pulse.id.clone()), due);
        Ok(acceptances)
    }

    async fn reclaim(&self, most: usize, lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        self.alarms.try_again();
        self.record.reclaim(most, lease).await
    }

    async fn reclaim_one(&self, id: &PulseId, lease: Duration) -> Result<Due, StoreError> {
        self.record.reclaim_one(id, lease).await
    }

    async fn claim(&self, ids: &[PulseId], lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        self.record.claim(ids, lease).await
    }

    async fn renew(&self, id: &PulseId, attempt: u32, lease: Duration) -> Result<bool, StoreError> {
        self.record.renew(id, attempt, lease).await
    }

    async fn mark(&self, id: &PulseId, speech: Speech) -> Result<(), StoreError> {
        self.record.mark(id, speech).await
    }

    async fn finish(&self, ids: &[PulseId]) -> Result<(), StoreError> {
        self.record.finish(ids).await?;
        self.alarms.take_back(ids);
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, StoreError> {
        self.record.depth().await
    }
}
