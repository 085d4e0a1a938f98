//! When a Conduit is probed, and what was found the last time.

use super::probe::{Failure, Findings};
use crate::retry::jittered;
use eywa_crds::Conduit;
use kube::runtime::reflector::ObjectRef;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The pause after a probe that went well.
const STEADY: Duration = Duration::from_secs(120);
/// The pause after the first of failures in a row; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// The longest pause between failures.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// The last probe of each Conduit. In memory only: after a restart all are probed anew.
#[derive(Default)]
pub struct Schedule {
    probes: Mutex<HashMap<ObjectRef<Conduit>, Probed>>,
}

/// One probe, and when the next is due.
#[derive(Clone)]
pub struct Probed {
    /// A hash of everything that the probe depended on.
    pub fingerprint: String,
    /// What was found, or what went wrong.
    pub result: Result<Findings, Failure>,
    due: Instant,
    failures: u32,
}

impl Probed {
    /// How long until the next probe.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }
}

impl Schedule {
    /// What was found with this fingerprint, unless it is time to look again.
    #[must_use]
    pub fn standing(&self, conduit: &ObjectRef<Conduit>, fingerprint: &str) -> Option<Probed> {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes
            .get(conduit)
            .filter(|probed| probed.fingerprint == fingerprint && !probed.wait().is_zero())
            .cloned()
    }

    /// Notes what was found just now.
    pub fn note(
        &self,
        conduit: &ObjectRef<Conduit>,
        fingerprint: String,
        result: Result<Findings, Failure>,
    ) -> Probed {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = probes
            .get(conduit)
            .filter(|before| before.fingerprint == fingerprint);
        let failures = match &result {
            Ok(_) => 0,
            Err(_) => before.map_or(0, |before| before.failures).saturating_add(1),
        };
        let pause = match failures {
            0 => STEADY,
            _ => FIRST_RETRY
                .saturating_mul(2_u32.saturating_pow(failures - 1))
                .min(LAST_RETRY),
        };
        let probed = Probed {
            fingerprint,
            result,
            due: Instant::now() + jittered(pause),
            failures,
        };
        probes.insert(conduit.clone(), probed.clone());
        probed
    }

    /// The Conduit is gone, or what was found does not stand any more.
    pub fn forget(&self, conduit: &ObjectRef<Conduit>) {
        self.probes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(conduit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Failure {
        Failure {
            reason: "Unreachable",
            message: "down".to_owned(),
        }
    }

    fn tools() -> ObjectRef<Conduit> {
        ObjectRef::new("tools").within("shop")
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_stands_until_it_is_due_or_something_changed() {
        let schedule = Schedule::default();
        assert!(schedule.standing(&tools(), "a").is_none());
        schedule.note(&tools(), "a".into(), Ok(Findings::default()));
        assert!(schedule.standing(&tools(), "a").is_some());
        assert!(
            schedule.standing(&tools(), "b").is_none(),
            "another URL or key is another server"
        );
        tokio::time::advance(STEADY).await;
        assert!(schedule.standing(&tools(), "a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_looked_into_soon_and_then_less_often() {
        let schedule = Schedule::default();
        let waits: Vec<_> = (0..12)
            .map(|_| schedule.note(&tools(), "a".into(), Err(down())).wait())
            .collect();
        assert!(waits[0] <= FIRST_RETRY);
        assert!(waits.iter().all(|wait| *wait <= LAST_RETRY));
        assert!(waits[11] >= LAST_RETRY / 2);
        schedule.note(&tools(), "a".into(), Ok(Findings::default()));
        assert!(schedule.note(&tools(), "a".into(), Err(down())).wait() <= FIRST_RETRY);
    }
}
