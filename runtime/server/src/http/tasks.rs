//! `POST /tasks/{spirit}`: Cloud Tasks says that a Pulse is due.
//!
//! The request proves itself by an identity token of Google's. The Pulse is then taken over, unless somebody has it, and the
//! response is sent when it has come to its end: should this pod die meanwhile, Cloud Tasks gets no answer, and asks the next.
//!
//! | status | when | what Cloud Tasks does |
//! |---|---|---|
//! | 204 | the Pulse has ended, now or before; or somebody has it, and its next alarm is set | removes the task |
//! | 400 | the body is no alarm | tries again, until the queue's `maxAttempts` |
//! | 401, 403 | the token is missing, not Google's, or another's | the same |
//! | 404 | the Spirit is not here, or has no such queue | the same |
//! | 503 | too much is in work, the pod is stopping, or the stores, the queue or Google's keys cannot be reached | tries again after `Retry-After`, or later |

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Request, State},
};
use eywa_adapters::{
    google::NotGoogle,
    inbox::{Alarm, TaskPushes},
};
use eywa_weave::weave::Woken;
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Problem, body};
use crate::{roster::Roster, serving::Serving};

/// The most bytes of an alarm: one Pulse's id, and little else.
const LONGEST_ALARM: usize = 16 * 1024;
/// When a push is to be tried again whose work goes on here.
const STILL_IN_WORK: Duration = Duration::from_secs(30);

/// Takes a push.
pub(super) async fn take(
    State(roster): State<Roster>,
    Path(spirit): Path<String>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let serving = roster.get(&spirit).ok_or_else(Problem::unknown_address)?;
    let pushes = serving
        .pushes
        .clone()
        .ok_or_else(Problem::unknown_address)?;
    let (parts, body) = request.into_parts();
    admit(&serving, &pushes, &parts.headers).await?;
    let body = body::read(&parts.headers, body, LONGEST_ALARM).await?;
    let alarm = Alarm::read(&body.bytes).ok_or_else(Problem::no_alarm)?;
    let within = pushes.within();
    // In a task of its own: whoever hangs up must not leave a Pulse that is leased and not worked on.
    let attending = tokio::spawn(attend(serving, pushes, alarm));
    match timeout(within, attending).await {
        Ok(Ok(attended)) => attended,
        Ok(Err(_)) | Err(_) => Err(Problem::not_yet(STILL_IN_WORK)),
    }
}

async fn admit(serving: &Serving, pushes: &TaskPushes, headers: &HeaderMap) -> Result<(), Problem> {
    let authorization = headers.get(AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let Err(refused) = pushes.check(authorization).await else {
        return Ok(());
    };
    match &refused {
        // Anybody can cause these, as often as they like.
        NotGoogle::Missing | NotGoogle::Forged(_) => {
            debug!(spirit = %serving.name(), reason = %refused, "a push was turned away");
        }
        NotGoogle::Another(_) | NotGoogle::NoKeys { .. } => {
            warn!(spirit = %serving.name(), reason = %refused, "a push was turned away");
        }
    }
    Err(refused.into())
}

async fn attend(
    serving: Arc<Serving>,
    pushes: Arc<TaskPushes>,
    alarm: Alarm,
) -> Result<StatusCode, Problem> {
    match serving.weave.wake(&alarm.pulse).await? {
        Woken::Over => Ok(StatusCode::NO_CONTENT),
        // Not 503, which would slow the whole queue down: that somebody has the Pulse is as it should be.
        Woken::Later(after) => match pushes.again(&alarm, after).await {
            Ok(()) => Ok(StatusCode::NO_CONTENT),
            Err(error) => {
                warn!(spirit = %serving.name(), pulse = %alarm.pulse, %error, "a Pulse's next alarm could not be set");
                Err(Problem::not_yet(after))
            }
        },
    }
}

impl From<NotGoogle> for Problem {
    fn from(refused: NotGoogle) -> Self {
        let detail = refused.to_string();
        match refused {
            NotGoogle::Missing | NotGoogle::Forged(_) => Self::new(
                StatusCode::UNAUTHORIZED,
                "bad-token",
                "The caller has not shown that it is Google",
                detail,
            ),
            NotGoogle::Another(_) => Self::new(
                StatusCode::FORBIDDEN,
                "wrong-token",
                "The caller is not the Spirit's queue",
                format!(
                    "{detail}. Compare the token with the Spirit's stores.google.tasks: its serviceAccount, and its audience or url."
                ),
            ),
            // What the network said is for the log: it may hold addresses.
            NotGoogle::NoKeys { retry_after, .. } => Self::unavailable(
                "no-keys",
                "Google's keys cannot be fetched",
                "Who calls cannot be known without them, so nobody is let in: send it again in a while.",
            )
            .after(retry_after),
        }
    }
}

impl Problem {
    fn no_alarm() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "no-alarm",
            "The body is no alarm",
            "Only tasks that the Spirit itself has made may be pushed to this address.",
        )
    }

    fn not_yet(after: Duration) -> Self {
        Self::unavailable(
            "not-yet",
            "The Pulse is still in work",
            "Somebody has it: ask again in a while, in case that they do not come to an end.",
        )
        .after(after)
    }
}
