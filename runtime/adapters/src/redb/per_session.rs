//! What is known of a session for as long as the process lives.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use eywa_weave::{SessionKey, StoreError, ports::bond::Fence};

/// When there are more sessions than this, those that nobody has touched for [`IDLE`] are forgotten.
const MANY: usize = 10_000;

/// Far longer than any Weave runs, so that nobody is left whom the number of its Bond would have to stop.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// A value for each session of each Spirit.
pub(crate) struct PerSession<T>(Mutex<Sessions<T>>);

type Sessions<T> = HashMap<(Arc<str>, SessionKey), (T, Instant)>;

impl<T> Default for PerSession<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> PerSession<T> {
    /// Does something with a session's value.
    pub(crate) fn with<R>(
        &self,
        spirit: &Arc<str>,
        session: &SessionKey,
        act: impl FnOnce(&mut T) -> R,
    ) -> R {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if sessions.len() > MANY {
            sessions.retain(|_, (_, touched)| now.duration_since(*touched) < IDLE);
        }
        let (value, touched) = sessions
            .entry((spirit.clone(), session.clone()))
            .or_insert_with(|| (T::default(), now));
        *touched = now;
        act(value)
    }

    /// Whether something holds of any session of a Spirit.
    pub(crate) fn any(&self, spirit: &str, holds: impl Fn(&T) -> bool) -> bool {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions
            .iter()
            .any(|((of, _), (value, _))| **of == *spirit && holds(value))
    }
}

/// The newest Bond that has written.
#[derive(Debug, Default)]
pub(crate) struct Newest(Fence);

impl Newest {
    /// Lets a Bond through unless a newer one has been.
    pub(crate) fn pass(&mut self, offered: Fence) -> Result<(), StoreError> {
        if offered < self.0 {
            return Err(StoreError::Fenced {
                offered,
                newest: self.0,
            });
        }
        self.0 = offered;
        Ok(())
    }
}
