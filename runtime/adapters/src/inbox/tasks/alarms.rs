//! The alarms of Pulses that this process has accepted: which are set, and which are still to be.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use eywa_weave::PulseId;
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::{sync::Semaphore, time::Instant};

use super::{Alarm, TaskEvent, TaskQueue};

/// The most alarms that are known at a time. A Weave works on fewer Pulses.
const MOST_KNOWN: usize = 4096;
/// How many are set, and how many taken back, at a time.
const AT_ONCE: usize = 32;
/// Before an alarm is tried the second time; each pause after it is twice as long. Cut short at random by up to a half.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// An alarm that could not be set for so long is left.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(15 * 60);
/// Between two lines in the log that say that alarms cannot be set.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);

/// Sets alarms and takes them back, off anybody's path.
pub(super) struct Alarms {
    queue: TaskQueue,
    count: Box<dyn Fn(TaskEvent) + Send + Sync>,
    known: Mutex<HashMap<PulseId, Known>>,
    setting: Arc<Semaphore>,
    taking_back: Arc<Semaphore>,
    complained: Mutex<Option<Instant>>,
}

struct Known {
    due: Timestamp,
    since: Instant,
    state: State,
}

enum State {
    /// To be set, not before so long.
    Wanted { tries: u32, not_before: Instant },
    /// Being set.
    Setting { tries: u32 },
    /// Being set, and to be taken back then: its Pulse is finished.
    Unwanted,
    /// Set.
    Set,
}

impl Alarms {
    pub(super) fn new(queue: TaskQueue, count: Box<dyn Fn(TaskEvent) + Send + Sync>) -> Self {
        Self {
            queue,
            count,
            known: Mutex::default(),
            setting: Arc::new(Semaphore::new(AT_ONCE)),
            taking_back: Arc::new(Semaphore::new(AT_ONCE)),
            complained: Mutex::default(),
        }
    }

    /// Begins to set the first alarms of these Pulses.
    pub(super) fn set(self: &Arc<Self>, pulses: impl Iterator<Item = PulseId>, due: Timestamp) {
        for pulse in pulses {
            let now = Instant::now();
            let mut known = self.known();
            if known.len() >= MOST_KNOWN {
                drop(known);
                self.complain("too many alarms wait to be set at Cloud Tasks");
                (self.count)(TaskEvent::GivenUp);
                continue;
            }
            let state = State::Wanted {
                tries: 0,
                not_before: now,
            };
            let alarm = Known {
                due,
                since: now,
                state,
            };
            known.insert(pulse.clone(), alarm);
            drop(known);
            self.try_to_set(pulse);
        }
    }

    /// Tries those again that could not be set, and forgets those that went off.
    pub(super) fn try_again(self: &Arc<Self>) {
        let (now, time) = (Instant::now(), Timestamp::now());
        let (mut wanted, mut given_up) = (Vec::new(), 0);
        self.known().retain(|pulse, known| match known.state {
            State::Wanted { .. } if now - known.since > GIVEN_UP_AFTER => {
                given_up += 1;
                false
            }
            State::Wanted { not_before, .. } => {
                if not_before <= now {
                    wanted.push((known.due, pulse.clone()));
                }
                true
            }
            State::Setting { .. } | State::Unwanted => true,
            State::Set => time < known.due,
        });
        for _ in 0..given_up {
            (self.count)(TaskEvent::GivenUp);
        }
        wanted.sort_unstable();
        for (_, pulse) in wanted {
            if !self.try_to_set(pulse) {
                break;
            }
        }
    }

    /// Takes the alarms of finished Pulses back. One that went off already, or that another process has set, is left: it
    /// costs one push that finds nothing to do.
    pub(super) fn take_back(self: &Arc<Self>, pulses: &[PulseId]) {
        for pulse in pulses {
            let mut known = self.known();
            match known.get_mut(pulse) {
                Some(alarm) if matches!(alarm.state, State::Setting { .. }) => {
                    alarm.state = State::Unwanted;
                }
                Some(alarm) => {
                    let pending = matches!(alarm.state, State::Set) && Timestamp::now() < alarm.due;
                    known.remove(pulse);
                    drop(known);
                    if pending {
                        self.delete(pulse.clone());
                    }
                }
                None => {}
            }
        }
    }

    /// Sets an alarm in a task of its own, and then others that wait; `false` when too many are being set.
    fn try_to_set(self: &Arc<Self>, pulse: PulseId) -> bool {
        let Ok(permit) = Arc::clone(&self.setting).try_acquire_owned() else {
            return false;
        };
        let Some(mut alarm) = self.begin(|_| Some(pulse)) else {
            return true;
        };
        let alarms = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                alarms.set_one(alarm).await;
                match alarms.begin(first_wanted) {
                    Some(next) => alarm = next,
                    None => break,
                }
            }
            drop(permit);
        });
        true
    }

    /// Takes up the alarm that is `chosen`, if it is to be set; which it is, and when it is due.
    fn begin(
        &self,
        chosen: impl FnOnce(&HashMap<PulseId, Known>) -> Option<PulseId>,
    ) -> Option<(PulseId, Timestamp)> {
        let mut known = self.known();
        let pulse = chosen(&known)?;
        let alarm = known.get_mut(&pulse)?;
        let State::Wanted { tries, .. } = alarm.state else {
            return None;
        };
        alarm.state = State::Setting { tries: tries + 1 };
        Some((pulse, alarm.due))
    }

    async fn set_one(self: &Arc<Self>, (pulse, due): (PulseId, Timestamp)) {
        let created = self.queue.create(&Alarm::first(pulse.clone()), due).await;
        (self.count)(match &created {
            Ok(true) => TaskEvent::Created,
            Ok(false) => TaskEvent::Existed,
            Err(error) => {
                self.complain(&self.queue.explained(error).to_string());
                TaskEvent::Failed
            }
        });
        if self.settled(&pulse, created.is_ok()) {
            self.delete(pulse);
        }
    }

    /// Writes down what came of setting an alarm; whether it is to be taken back.
    fn settled(&self, pulse: &PulseId, set: bool) -> bool {
        let mut known = self.known();
        let Some(alarm) = known.get_mut(pulse) else {
            return false;
        };
        match alarm.state {
            State::Unwanted => {
                known.remove(pulse);
                set
            }
            State::Setting { .. } if set => {
                alarm.state = State::Set;
                false
            }
            State::Setting { tries } => {
                let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries - 1));
                let pause = pause.min(LONGEST_PAUSE);
                alarm.state = State::Wanted {
                    tries,
                    not_before: Instant::now() + pause.mul_f64(rand::rng().random_range(0.5..=1.0)),
                };
                false
            }
            State::Wanted { .. } | State::Set => false,
        }
    }

    fn delete(self: &Arc<Self>, pulse: PulseId) {
        let Ok(permit) = Arc::clone(&self.taking_back).try_acquire_owned() else {
            (self.count)(TaskEvent::Left);
            return;
        };
        let alarms = Arc::clone(self);
        tokio::spawn(async move {
            let deleted = alarms.queue.delete(&Alarm::first(pulse)).await;
            drop(permit);
            (alarms.count)(match deleted {
                Ok(()) => TaskEvent::Deleted,
                Err(error) => {
                    let error = alarms.queue.explained(&error);
                    tracing::debug!(%error, "an alarm could not be taken back; it goes off and finds nothing to do");
                    TaskEvent::Left
                }
            });
        });
    }

    /// Says that alarms cannot be set, once in a while.
    fn complain(&self, error: &str) {
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if complained.is_none_or(|at| now - at >= BETWEEN_COMPLAINTS) {
            *complained = Some(now);
            tracing::warn!(
                error,
                "a Pulse's alarm could not be set at Cloud Tasks; the Pulse is in the Inbox, and setting it is tried again"
            );
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PulseId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of those that are to be set now, the one that is due first.
fn first_wanted(known: &HashMap<PulseId, Known>) -> Option<PulseId> {
    let now = Instant::now();
    let wanted = known.iter().filter(
        |(_, alarm)| matches!(alarm.state, State::Wanted { not_before, .. } if not_before <= now),
    );
    let first = wanted.min_by_key(|(_, alarm)| alarm.due);
    first.map(|(pulse, _)| pulse.clone())
}
