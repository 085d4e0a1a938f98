//! How a Rite goes from one standing to the next, for stores that keep it as a whole.

use eywa_weave::ports::rite::{Asked, Decision, Rite, RiteOutcome, Standing, Verdict};
use jiff::Timestamp;

/// What was just asked.
pub(super) fn parked(asked: Asked) -> Rite {
    Rite {
        asked,
        standing: Standing::Pending,
        verdict: None,
        outcome: None,
        settled_at: None,
    }
}

/// The Rite as it stands at `now`: a question that nobody answered in time has lapsed.
pub(super) fn at(mut rite: Rite, now: Timestamp) -> Rite {
    lapse(&mut rite, now);
    rite
}

pub(super) fn decide(rite: &mut Rite, verdict: &Verdict) -> Decision {
    lapse(rite, verdict.at);
    if rite.standing != Standing::Pending {
        return Decision::TooLate(Box::new(rite.clone()));
    }
    rite.standing = if verdict.approved {
        Standing::Approved
    } else {
        Standing::Denied
    };
    rite.verdict = Some(Verdict {
        at: to_millis(verdict.at),
        ..verdict.clone()
    });
    Decision::Counted(Box::new(rite.clone()))
}

pub(super) fn void(rite: &mut Rite, now: Timestamp) {
    lapse(rite, now);
    if !rite.standing.is_over() {
        rite.standing = Standing::Void;
    }
}

/// Whether the action is to be done, by this caller.
pub(super) fn consume(rite: &mut Rite, generation: i64, now: Timestamp) -> bool {
    lapse(rite, now);
    if rite.standing != Standing::Approved {
        return false;
    }
    let same = rite.asked.generation == generation;
    rite.standing = if same {
        Standing::Consumed
    } else {
        Standing::Void
    };
    same
}

pub(super) fn conclude(rite: &mut Rite, outcome: RiteOutcome) {
    if rite.standing == Standing::Consumed {
        rite.outcome.get_or_insert(outcome);
    }
}

pub(super) fn settle(rite: &mut Rite, now: Timestamp) {
    rite.settled_at.get_or_insert(to_millis(now));
}

/// From when on its conversation is to hear what became of it; `None` once it has.
pub(super) fn due_from(rite: &Rite) -> Option<Timestamp> {
    if rite.settled_at.is_some() {
        return None;
    }
    Some(match (&rite.verdict, rite.standing) {
        (Some(verdict), _) => verdict.at,
        // A Pending one lapses by itself; one that was void before anybody decided is due at once.
        (None, Standing::Void) => rite.asked.asked_at,
        (None, _) => rite.asked.expires_at,
    })
}

fn lapse(rite: &mut Rite, now: Timestamp) {
    if rite.standing == Standing::Pending && now >= rite.asked.expires_at {
        rite.standing = Standing::Expired;
    }
}

/// A time as the contract keeps it.
fn to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
