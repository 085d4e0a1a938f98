//! Rites: parking a call until a human decides, and resuming exactly that call once they have.
//!
//! A decision enters as a Pulse of its own, which no channel sent and whose id is made from the Rite's: so deduplication,
//! leases, the session's Bond and its line hold for it as for any Pulse, and a crash at any step leaves it in the Inbox.
//! What the Inbox does not cover is a crash between the decision and the Inbox, and a question that lapses: for those,
//! every pod looks at times for Rites whose conversation has not heard of them.

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    Ended, Inner, Stopped, Weave,
    act::{Parking, Toolset, WAITS, bound, call_one},
    answer::Answer,
    record::Tries,
    trace::Trace,
    turns::Holding,
};
use crate::{
    echo::{Echo, EchoBody},
    error::StoreError,
    names::{PulseId, RiteId, SessionKey},
    observe::{Event, Stage},
    ports::{
        Rites, Voice,
        action::Done,
        chronicle::{Deed, DeedKind},
        inbox::{Acceptance, Delivery},
        rite::{Asked, Consumption, Decision, Rite, RiteOutcome, Standing, Verdict},
        vigil::Target,
    },
    pulse::{Content, Outcome, Pulse},
    spirit::Spirit,
    tool::{ToolCall, ToolResult},
};

/// The most Rites that are listed.
const MOST_LISTED: usize = 500;
/// The most Rites of a session that a new one is compared with.
const MOST_COMPARED: usize = 50;
/// The most Rites that are resumed at a time.
const MOST_RESUMED: usize = 32;

/// What came of deciding.
#[derive(Clone, Debug, PartialEq)]
pub enum Decided {
    /// The verdict counts.
    Counted(Box<Rite>),
    /// The same human had said the same before; nothing is new.
    Repeated(Box<Rite>),
    /// Somebody else had decided, or otherwise, or the question had lapsed: the Rite says which.
    TooLate(Box<Rite>),
    /// There is no such Rite, or it was forgotten long after its end.
    Unknown,
}

impl Weave {
    /// The Rites of a session, or of all of them, whatever has become of them: the newest 500, newest first.
    ///
    /// # Errors
    /// When the store cannot be reached or read.
    pub async fn rites(&self, session: Option<&SessionKey>) -> Result<Vec<Rite>, StoreError> {
        match &self.0.rites {
            Some(rites) => rites.list(session, MOST_LISTED, Timestamp::now()).await,
            None => Ok(Vec::new()),
        }
    }

    /// The Rite of this id.
    ///
    /// # Errors
    /// When the store cannot be reached or read.
    pub async fn rite(&self, id: &RiteId) -> Result<Option<Rite>, StoreError> {
        match &self.0.rites {
            Some(rites) => rites.get(id, Timestamp::now()).await,
            None => Ok(None),
        }
    }

    /// A human decides. It counts once, whatever pod hears it and however often; when it counts, the call is made or the
    /// person is told, in a task of its own.
    ///
    /// # Errors
    /// When the store cannot be reached or read. Whether the verdict counts is not known then; giving it again is safe.
    pub async fn decide(&self, id: &RiteId, verdict: Verdict) -> Result<Decided, StoreError> {
        let Some(rites) = &self.0.rites else {
            return Ok(Decided::Unknown);
        };
        Ok(match rites.decide(id, &verdict).await? {
            None => Decided::Unknown,
            Some(Decision::Counted(rite)) => {
                tracing::info!(rite = %id, by = verdict.by, standing = rite.standing.as_str(), "a Rite was decided");
                self.0.rite_changed();
                if let Err(error) = self.resume(&rite.asked).await {
                    tracing::warn!(rite = %id, %error, "a decided Rite is not resumed yet; it will be");
                }
                Decided::Counted(rite)
            }
            Some(Decision::TooLate(rite)) => {
                let same = rite.verdict.as_ref().is_some_and(|counted| {
                    counted.approved == verdict.approved && counted.by == verdict.by
                });
                if same {
                    Decided::Repeated(rite)
                } else {
                    Decided::TooLate(rite)
                }
            }
        })
    }

    /// What a Rite was bound to has changed, or was found to be another: it becomes void, and its conversation hears so.
    /// Gives it as it stands then.
    ///
    /// # Errors
    /// When the store cannot be reached or read.
    pub async fn void(&self, id: &RiteId) -> Result<Option<Rite>, StoreError> {
        let Some(rites) = &self.0.rites else {
            return Ok(None);
        };
        let rite = rites.void(id, Timestamp::now()).await?;
        self.0.rite_changed();
        Ok(rite)
    }

    /// Changes whenever this process has parked a Rite, or something has become of one here. What other processes do is
    /// not seen by it.
    #[must_use]
    pub fn rite_changes(&self) -> watch::Receiver<u64> {
        self.0.rite_changes.subscribe()
    }

    /// Resumes, once, the Rites whose conversation has not heard what became of them; how many there were.
    ///
    /// # Errors
    /// When a store cannot be reached.
    pub async fn resume_due(&self) -> Result<usize, StoreError> {
        let Some(rites) = &self.0.rites else {
            return Ok(0);
        };
        let mut resumed = 0;
        for rite in rites.due(MOST_RESUMED, Timestamp::now()).await? {
            resumed += usize::from(self.resume(&rite.asked).await?);
        }
        Ok(resumed)
    }

    /// Puts what a Rite has come to into the Inbox, and begins to work on it. `false` when it was there before, and when
    /// nothing more may begin here.
    async fn resume(&self, asked: &Asked) -> Result<bool, StoreError> {
        let Some(airborne) = self.airborne() else {
            return Ok(false);
        };
        let pulse = resuming(asked);
        let accepted = self
            .0
            .inbox
            .accept(std::slice::from_ref(&pulse), self.0.lease())
            .await?;
        let new = accepted == [Acceptance::New];
        if new {
            self.take_off(Delivery::first(pulse), airborne);
        }
        Ok(new)
    }
}

/// The Pulse that resumes a Rite: for the same person, to the same address.
fn resuming(asked: &Asked) -> Pulse {
    Pulse {
        id: PulseId::from(format!("rite:{}", asked.id)),
        content: Content::default(),
        received_at: Timestamp::now(),
        resumes: Some(asked.id.clone()),
        ..asked.pulse.clone()
    }
}

impl Inner {
    /// The Rites of a session that wait for a decision, so that the same is not asked twice.
    pub(super) async fn waiting(&self, session: &SessionKey) -> Result<Vec<Rite>, StoreError> {
        let Some(rites) = &self.rites else {
            return Ok(Vec::new());
        };
        let mut listed = rites
            .list(Some(session), MOST_COMPARED, Timestamp::now())
            .await?;
        listed.retain(|rite| !rite.standing.is_over());
        Ok(listed)
    }

    /// Parks calls. Each waits for its own decision.
    pub(super) async fn park(
        &self,
        spirit: &Spirit,
        pulse: &Pulse,
        parkings: Vec<Parking<'_>>,
    ) -> Result<(), Stopped> {
        let Some(rites) = &self.rites else {
            return Ok(());
        };
        for Parking { rule, call, key } in parkings {
            let now = Timestamp::now();
            let asked = Asked {
                id: RiteId::random(),
                session: pulse.session.clone(),
                pulse: pulse.clone(),
                spirit: spirit.name.clone(),
                generation: spirit.generation,
                call,
                key,
                redact: rule.redact.clone(),
                asked_at: now,
                expires_at: now.saturating_add(rule.timeout).unwrap_or(Timestamp::MAX),
            };
            tracing::info!(rite = %asked.id, action = asked.call.name, session = %asked.session, "a call waits for a human's yes");
            let mut tries = Tries::new();
            loop {
                let parked = rites.park(&asked).await;
                if !tries.again(&parked).await {
                    break parked?;
                }
            }
        }
        self.rite_changed();
        Ok(())
    }

    /// Tells the person that what they asked for waits, where the Spirit's rule has words for that.
    pub(super) async fn give_notice(
        &self,
        holding: &Holding,
        answer: &mut Answer<'_>,
        voice: &dyn Voice,
        notice: Option<String>,
        trace: &mut Trace,
    ) -> Result<Ended, Stopped> {
        let waits = Ended::new(Outcome::Rite, "a call waits for a human's yes");
        let Some(notice) = notice else {
            return Ok(waits);
        };
        let ended = self.speak(holding, answer, voice, notice, trace).await?;
        Ok(match ended.outcome {
            Outcome::Answered => waits,
            Outcome::Vigil => ended,
            _ => Ended::new(
                Outcome::Rite,
                format!(
                    "{}; the person was not told: {}",
                    waits.reason, ended.reason
                ),
            ),
        })
    }

    /// Whether a pod that died had parked a call of this turn already: then the turn is over, and what is left is to write
    /// it down. Asking the Oracle again could park another.
    pub(super) async fn parked_before(
        &self,
        answer: &mut Answer<'_>,
    ) -> Result<Option<Ended>, Stopped> {
        let Some(rites) = &self.rites else {
            return Ok(None);
        };
        if answer
            .deliveries
            .iter()
            .all(|delivery| delivery.attempt == 1)
        {
            return Ok(None);
        }
        let session = answer.pulse().session.clone();
        let mut of_turn = rites
            .list(Some(&session), MOST_COMPARED, Timestamp::now())
            .await?;
        let ids: Vec<&PulseId> = answer.deliveries.iter().map(|one| &one.pulse.id).collect();
        of_turn.retain(|rite| ids.contains(&&rite.asked.pulse.id));
        let Some(spirit) = of_turn.first().map(|rite| rite.asked.spirit.clone()) else {
            return Ok(None);
        };
        let calls: Vec<ToolCall> = of_turn.into_iter().map(|rite| rite.asked.call).collect();
        let results = calls
            .iter()
            .map(|call| result(call, WAITS, false))
            .collect();
        let text = String::new();
        answer.add(EchoBody::Agent {
            spirit,
            text,
            calls,
        });
        answer.add(EchoBody::Tools { results });
        Ok(Some(Ended::new(
            Outcome::Rite,
            "a call had been parked before a crash",
        )))
    }

    /// Does what the Rites that this turn resumes have come to, and writes that into the conversation at once: whatever
    /// happens to the turn from there on, nothing is done twice.
    pub(super) async fn settle_rites(
        &self,
        holding: &Holding,
        answer: &mut Answer<'_>,
        trace: &mut Trace,
    ) -> Result<(), Stopped> {
        let Some(rites) = &self.rites else {
            return Ok(());
        };
        for delivery in answer.deliveries {
            let Some(id) = &delivery.pulse.resumes else {
                continue;
            };
            let Some(Consumption { granted, rite }) =
                self.take_decision(rites.as_ref(), id).await?
            else {
                continue;
            };
            let (outcome, result) = match (rite.standing, granted) {
                (Standing::Pending | Standing::Approved, _) => continue,
                (Standing::Consumed, true) => {
                    let (outcome, result) = self.call_approved(&rite.asked, trace).await;
                    (Some(outcome), result)
                }
                (Standing::Consumed, false) => (
                    Some(rite.outcome.unwrap_or(RiteOutcome::Failed)),
                    result(&rite.asked.call, lost(rite.outcome), true),
                ),
                (Standing::Denied | Standing::Expired | Standing::Void, _) => {
                    (None, result(&rite.asked.call, NOT_MADE, true))
                }
            };
            answer.account(account(&rite, outcome));
            let verdict = rite.verdict.as_ref();
            let echo = Echo {
                id: format!("rite-{id}"),
                at: Timestamp::now(),
                pulse: Some(rite.asked.pulse.id.clone()),
                body: EchoBody::Rite {
                    rite: id.clone(),
                    standing: rite.standing,
                    by: verdict
                        .map(|verdict| verdict.by.clone())
                        .unwrap_or_default(),
                    comment: verdict
                        .map(|verdict| verdict.comment.clone())
                        .unwrap_or_default(),
                    result,
                },
            };
            let deed = deed(&rite);
            let mut tries = Tries::new();
            loop {
                let written = tokio::try_join!(
                    self.echoes.append(
                        &delivery.pulse.session,
                        Some(holding.guard.fence),
                        std::slice::from_ref(&echo)
                    ),
                    async {
                        match outcome {
                            Some(outcome) => rites.conclude(id, outcome).await,
                            None => Ok(()),
                        }
                    },
                    async {
                        match &deed {
                            Some(deed) => self.chronicle.did(deed).await,
                            None => Ok(()),
                        }
                    },
                );
                if !tries.again(&written).await {
                    match written {
                        Err(StoreError::Fenced { .. }) => return Err(Stopped::BondLost),
                        written => written?,
                    };
                    break;
                }
            }
            rites.settle(id, Timestamp::now()).await?;
            self.rite_changed();
            answer.settled(rite.asked.spirit, echo);
        }
        Ok(())
    }

    /// A resumption that was given up: its Rite is not offered again.
    pub(super) async fn give_up_rite(&self, id: &RiteId) -> Result<(), StoreError> {
        let Some(rites) = &self.rites else {
            return Ok(());
        };
        rites.conclude(id, RiteOutcome::Failed).await?;
        rites.settle(id, Timestamp::now()).await?;
        self.rite_changed();
        Ok(())
    }

    async fn take_decision(
        &self,
        rites: &dyn Rites,
        id: &RiteId,
    ) -> Result<Option<Consumption>, StoreError> {
        let now = Timestamp::now();
        let Some(rite) = rites.get(id, now).await? else {
            tracing::warn!(rite = %id, "a Rite that is to be resumed is not known any more");
            return Ok(None);
        };
        match self.spirits.get(&rite.asked.spirit) {
            Some(spirit) => rites.consume(id, spirit.generation, now).await,
            // It is no longer routed to, or gone.
            None => Ok(rites.void(id, now).await?.map(|rite| Consumption {
                granted: false,
                rite,
            })),
        }
    }

    /// Makes the call that was approved, as it was asked for and under the id that it had then.
    async fn call_approved(&self, asked: &Asked, trace: &mut Trace) -> (RiteOutcome, ToolResult) {
        let Some(spirit) = self.spirits.get(&asked.spirit) else {
            return (RiteOutcome::Failed, result(&asked.call, NOT_MADE, true));
        };
        let began = Instant::now();
        let deadline = began + spirit.limits.pulse_timeout;
        let limit = spirit.limits.action_timeout;
        let calling = async {
            let tools = Toolset::of(spirit, deadline).await;
            call_one(&tools, &asked.pulse, &asked.call, &asked.key, limit).await
        };
        // What it asks of the session besides, the turn that asked for it no longer needs.
        let (
            outcome,
            Done {
                said: mut content, ..
            },
        ) = timeout_at(deadline, calling).await.unwrap_or_else(|_| {
            let limit = spirit.limits.pulse_timeout;
            let late =
                format!("No answer within {limit:?}; it is not known whether it took effect.");
            ("timeout", late.into())
        });
        bound(&mut content);
        trace.stage(Stage::Action, &asked.call.name, outcome, began);
        self.observer.observe(Event::Action {
            spirit: &spirit.name,
            action: &asked.call.name,
            outcome,
            took: began.elapsed(),
        });
        let failed = outcome != "succeeded";
        let went = if failed {
            RiteOutcome::Failed
        } else {
            RiteOutcome::Succeeded
        };
        (went, result(&asked.call, content, failed))
    }

    /// Tells those who follow the Rites of this process.
    pub(super) fn rite_changed(&self) {
        self.rite_changes.send_modify(|changes| *changes += 1);
    }
}

const NOT_MADE: &str = "The call was not made.";

/// What is said of a call that a pod began and did not live to tell of.
fn lost(outcome: Option<RiteOutcome>) -> &'static str {
    match outcome {
        Some(RiteOutcome::Succeeded) => {
            "The call was made and succeeded; what it answered was lost in a crash."
        }
        Some(RiteOutcome::Failed) => {
            "The call was made and failed; what it answered was lost in a crash."
        }
        None => {
            "The call was begun before a crash; it is not known whether it took effect, and it is not made again."
        }
    }
}

fn result(call: &ToolCall, content: impl Into<String>, failed: bool) -> ToolResult {
    ToolResult {
        call: call.id.clone(),
        name: call.name.clone(),
        content: content.into(),
        failed,
    }
}

/// For the Chronicle: that a human decided.
fn deed(rite: &Rite) -> Option<Deed> {
    let verdict = rite.verdict.as_ref()?;
    let decision = if verdict.approved {
        Standing::Approved
    } else {
        Standing::Denied
    };
    Some(Deed {
        id: format!("rite-{}", rite.asked.id),
        about: Target::Session(rite.asked.session.clone()),
        at: verdict.at,
        by: verdict.by.clone(),
        what: DeedKind::Decided {
            rite: rite.asked.id.to_string(),
            decision: decision.as_str().to_owned(),
        },
    })
}

/// For the Chronicle: what became of a Rite, and who decided.
fn account(rite: &Rite, outcome: Option<RiteOutcome>) -> String {
    let by = match rite.verdict.as_ref().map(|verdict| verdict.by.as_str()) {
        None | Some("") => "someone",
        Some(by) => by,
    };
    let became = match (rite.standing, outcome) {
        (Standing::Consumed, Some(RiteOutcome::Succeeded)) => {
            format!("approved by {by}; it was made and succeeded")
        }
        (Standing::Consumed, _) => format!("approved by {by}; it was made and failed"),
        (Standing::Denied, _) => format!("denied by {by}"),
        (Standing::Expired, _) => "nobody decided in time".to_owned(),
        (Standing::Void, _) if rite.verdict.is_some() => {
            format!("approved by {by}; void, since the Spirit has changed")
        }
        _ => "void, since what it was bound to has changed".to_owned(),
    };
    format!(
        "{} (Rite {}): {became}",
        rite.asked.call.name, rite.asked.id
    )
}
