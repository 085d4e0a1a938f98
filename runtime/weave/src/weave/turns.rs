//! Taking the Bond, in the way the Spirit wants its sessions locked, and taking turns under it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Ended, Inner, Stopped, answer::Answer, record::Recorded, trace::Trace};
use crate::{
    error::StoreError,
    names::PulseId,
    observe::{BondOutcome, Event, Stage},
    ports::{
        bond::{BondGuard, LONGEST_LINE, Turn},
        inbox::Delivery,
        memory::Tally,
    },
    pulse::Outcome,
    spirit::WhenBusy,
};

/// A Pulse that was begun this often without an end is given up: whatever it does to a pod, it does it every time.
const MOST_ATTEMPTS: u32 = 20;

/// What came of asking for a session.
pub(super) enum Entered {
    /// The Bond is ours.
    Ours(Holding),
    /// The Pulse stands in the session's line; whoever has the Bond will take it.
    Waiting,
    /// There is to be no turn: the session is busy, a human has it, or the person has sent too much.
    Ended(Ended),
}

/// A Bond that is ours.
pub(super) struct Holding {
    pub(super) guard: BondGuard,
    since: Instant,
    /// Whose turn it is.
    tickets: Vec<PulseId>,
    /// The Vigil was read with the Bond, and no human has the conversation.
    pub(super) watched: bool,
    /// What was known with the Bond already, of the Pulse that asked for it: there is to be no turn for it.
    known: Option<Ended>,
}

impl Inner {
    /// Asks for the session: the Bond, and the Vigil beside it, in one trip.
    pub(super) async fn enter(
        &self,
        delivery: &Delivery,
        trace: &mut Trace,
    ) -> Result<Entered, Stopped> {
        let began = Instant::now();
        let give_up = began + 2 * self.settings.ttl;
        let mut pause = Duration::from_millis(100);
        loop {
            let (turn, watch, limited) = tokio::join!(
                self.ask_for_bond(delivery),
                self.vigil.watch(&delivery.pulse.session),
                self.count_pulse(delivery),
            );
            let turn = self.observed(turn)?;
            let resumes = delivery.pulse.resumes.is_some();
            let mut unwatched = false;
            let known = match (watch, limited) {
                // What a human has said yes to is done whoever has the conversation; only nothing is said.
                (Ok(watch), _) if watch.phase.is_human() && resumes => {
                    unwatched = true;
                    Ok(None)
                }
                (Ok(watch), limited) => {
                    match self
                        .has_human(&watch, std::iter::once(&delivery.pulse))
                        .await
                    {
                        Ok(true) => Ok(Some(Ended::human())),
                        Ok(false) => limited,
                        Err(error) => Err(error),
                    }
                }
                (Err(error), _) => Err(error),
            };
            let ours = matches!(turn, Turn::Yours { .. });
            trace.stage(
                Stage::Bond,
                "",
                if ours { "acquired" } else { "held" },
                began,
            );
            match (turn, known) {
                (Turn::Yours { guard, tickets }, known) => {
                    let watched = !unwatched && matches!(known, Ok(None));
                    let holding = Holding {
                        guard,
                        since: began,
                        tickets,
                        watched,
                        known: None,
                    };
                    return match known {
                        Ok(known) => Ok(Entered::Ours(Holding { known, ..holding })),
                        Err(error) => {
                            self.let_go(&holding).await;
                            Err(error.into())
                        }
                    };
                }
                (_, Err(error)) => return Err(error.into()),
                (_, Ok(Some(ended))) => return Ok(Entered::Ended(ended)),
                (Turn::Waiting, Ok(None)) => {
                    // A net for when the holder dies: then the lease ends, and the Pulse asks again.
                    self.inbox
                        .renew(&delivery.pulse.id, delivery.attempt, 3 * self.settings.ttl)
                        .await?;
                    return Ok(Entered::Waiting);
                }
                (Turn::Full, Ok(None)) if delivery.attempt == 1 && !resumes => {
                    return Ok(Entered::Ended(Ended::new(
                        Outcome::Busy,
                        "another Weave has the session",
                    )));
                }
                // Never busy with itself: the Bond may be that of the pod which died with this Pulse. Nor is a decision
                // ever lost to a busy session.
                (Turn::Full, Ok(None)) => {
                    if Instant::now() >= give_up {
                        return Err(Stopped::StillHeld);
                    }
                    if !self
                        .inbox
                        .renew(&delivery.pulse.id, delivery.attempt, self.lease())
                        .await?
                    {
                        return Err(Stopped::BondLost);
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    /// Takes this turn, and those that were waiting for it to end, until nobody waits; then lets go.
    pub(super) async fn take_turns(
        &self,
        mut holding: Holding,
        asked: Delivery,
        trace: Trace,
    ) -> Result<(), Stopped> {
        let mut asked = Some((asked, trace));
        while !holding.tickets.is_empty() {
            let tickets = std::mem::take(&mut holding.tickets);
            let taken = match asked.take_if(|(asked, _)| tickets == [asked.pulse.id.clone()]) {
                Some((asked, trace)) => match holding.known.take() {
                    Some(ended) => self
                        .end_without_turn(&asked, ended, trace)
                        .await
                        .map(|()| None),
                    None => self.hold(&holding, vec![asked], trace).await,
                },
                None => match self.inbox.claim(&tickets, self.lease()).await {
                    Ok(deliveries) => self.hold(&holding, deliveries, self.trace()).await,
                    Err(error) => Err(error.into()),
                },
            };
            let recorded = match taken {
                Ok(recorded) => recorded,
                Err(stopped) => {
                    // Whoever comes next need not wait for the TTL. Those in the line ask again by themselves.
                    if !matches!(stopped, Stopped::BondLost) {
                        self.let_go(&holding).await;
                    }
                    return Err(stopped);
                }
            };
            let ids = recorded
                .as_ref()
                .map(|recorded| recorded.ids.as_slice())
                .unwrap_or_default();
            let (finished, next) = tokio::join!(
                self.inbox.finish(ids),
                self.bond.release_or_next(
                    &holding.guard,
                    self.settings.ttl,
                    self.settings.when_busy.at_once()
                ),
            );
            if let Err(error) = finished {
                tracing::warn!(%error, "a Pulse that has ended could not be taken out of the Inbox");
            }
            if let Some(recorded) = recorded {
                self.tell(recorded);
            }
            holding.tickets = next?;
            holding.watched = false;
        }
        self.observer.observe(Event::BondReleased {
            spirit: &self.name,
            held: holding.since.elapsed(),
        });
        Ok(())
    }

    /// Runs one turn under the Bond. Stops when the Bond is lost.
    async fn hold(
        &self,
        holding: &Holding,
        mut deliveries: Vec<Delivery>,
        mut trace: Trace,
    ) -> Result<Option<Recorded>, Stopped> {
        for worn in deliveries.extract_if(.., |delivery| delivery.attempt > MOST_ATTEMPTS) {
            let why =
                format!("given up after {MOST_ATTEMPTS} attempts, none of which came to an end");
            self.end_without_turn(&worn, Ended::new(Outcome::Failed, why), self.trace())
                .await?;
            if let Some(rite) = &worn.pulse.resumes {
                self.give_up_rite(rite).await?;
            }
        }
        if let WhenBusy::Merge { quiet, cap } = self.settings.when_busy
            && !deliveries.is_empty()
        {
            let leased = leases(&deliveries);
            let gathering = self.gather(holding, &mut deliveries, quiet, cap, &mut trace);
            self.while_held(holding, &leased, gathering).await??;
        }
        // What was decided comes first, so that what people wrote has the last word, and the reply.
        deliveries.sort_by_key(|delivery| delivery.pulse.resumes.is_none());
        let Some(answer) = Answer::to(&deliveries, &self.name) else {
            return Ok(None);
        };
        self.while_held(
            holding,
            &leases(&deliveries),
            self.turn(holding, answer, trace),
        )
        .await?
        .map(Some)
    }

    /// Waits for the person to be quiet, and takes up what they send meanwhile.
    async fn gather(
        &self,
        holding: &Holding,
        deliveries: &mut Vec<Delivery>,
        quiet: Duration,
        cap: Duration,
        trace: &mut Trace,
    ) -> Result<(), Stopped> {
        let began = Instant::now();
        while began.elapsed() < cap && deliveries.len() < LONGEST_LINE {
            sleep(quiet.min(cap.saturating_sub(began.elapsed()))).await;
            let more = self
                .bond
                .line(&holding.guard, LONGEST_LINE - deliveries.len())
                .await?;
            if more.is_empty() {
                break;
            }
            deliveries.extend(self.inbox.claim(&more, self.lease()).await?);
        }
        trace.stage(Stage::Gather, "", "", began);
        Ok(())
    }

    async fn ask_for_bond(&self, delivery: &Delivery) -> Result<Turn, StoreError> {
        let (session, ttl, id) = (
            &delivery.pulse.session,
            self.settings.ttl,
            &delivery.pulse.id,
        );
        match self.settings.when_busy {
            WhenBusy::Discard => Ok(match self.bond.acquire(session, ttl).await? {
                Some(guard) => Turn::Yours {
                    guard,
                    tickets: vec![id.clone()],
                },
                None => Turn::Full,
            }),
            busy @ (WhenBusy::Queue | WhenBusy::Merge { .. }) => {
                self.bond
                    .acquire_or_wait(session, ttl, id, busy.at_once())
                    .await
            }
        }
    }

    fn observed(&self, turn: Result<Turn, StoreError>) -> Result<Turn, StoreError> {
        let outcome = match &turn {
            Ok(Turn::Yours { .. }) => BondOutcome::Acquired,
            Ok(Turn::Waiting | Turn::Full) => BondOutcome::Held,
            Err(_) => BondOutcome::Error,
        };
        self.observer.observe(Event::Bond {
            spirit: &self.name,
            outcome,
        });
        turn
    }

    /// Counts the Pulse against the person's limit, the first time it is taken; says why when it is one too many.
    async fn count_pulse(&self, delivery: &Delivery) -> Result<Option<Ended>, StoreError> {
        let limit = self
            .front
            .limits
            .pulses_per_minute
            .filter(|_| delivery.attempt == 1 && delivery.pulse.resumes.is_none());
        let Some(limit) = limit else { return Ok(None) };
        let sent = self
            .memory
            .tally(&delivery.pulse.session, Tally::Pulses, 1)
            .await?;
        let why =
            || format!("more than {limit} Pulses in a minute (limits.pulsesPerUserPerMinute)");
        Ok((sent > limit).then(|| Ended::new(Outcome::Limited, why())))
    }

    /// Lets go, whoever waits. A Bond that cannot be released ends with its TTL.
    async fn let_go(&self, holding: &Holding) {
        if let Err(error) = self.bond.release(&holding.guard).await {
            tracing::warn!(%error, "a Bond could not be released; it ends with its TTL");
        }
        self.observer.observe(Event::BondReleased {
            spirit: &self.name,
            held: holding.since.elapsed(),
        });
    }

    /// How long a Pulse is ours without a heartbeat: a little longer than the Bond, so that whoever takes it over finds
    /// the Bond free.
    pub(super) fn lease(&self) -> Duration {
        self.settings.ttl + Duration::from_millis(500)
    }
}

fn leases(deliveries: &[Delivery]) -> Vec<(PulseId, u32)> {
    deliveries
        .iter()
        .map(|delivery| (delivery.pulse.id.clone(), delivery.attempt))
        .collect()
}

impl WhenBusy {
    /// How many of those in the line one turn takes.
    fn at_once(self) -> usize {
        match self {
            Self::Merge { .. } => LONGEST_LINE,
            Self::Discard | Self::Queue => 1,
        }
    }
}
