//! `desk`: the desk of all Spirits of a namespace, on this machine.
//!
//! Each Spirit's pods serve a desk for that Spirit. This serves the same page once, and stands in front of all of them: it
//! reaches them by port-forward, shows them the token of the kubeconfig's user, and puts their lists and events together.
//! It listens on loopback alone and lets in whoever has the link that it prints, which works once; so everything that is
//! done through it is done by the kubeconfig's user, and the runtimes decide what that user may.

mod events;
mod listing;
mod pods;
mod relay;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, bail};
use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use clap::Args;
use eywa_runtime::{
    desk::{
        CONNECTIONS,
        access::{Access as _, LocalAccess},
        page,
    },
    http::Problem,
    serve::serve,
};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};
use tokio_util::sync::CancellationToken;

use self::pods::Pods;
use super::{Place, Reach};
use crate::{
    refusal::Misused,
    terminal::{safe, say},
};

/// The most bytes of a request's body.
const LARGEST_BODY: usize = 64 * 1024;

/// Serves the desk.
#[derive(Args)]
pub(crate) struct ServeDesk {
    /// Where to listen; a loopback address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    reach: Reach,
}

/// What every handler has.
#[derive(Clone)]
struct Front {
    pods: Arc<Pods>,
    access: Arc<LocalAccess>,
}

impl ServeDesk {
    pub(super) async fn run(self, before: Reach) -> Result<()> {
        let reach = self.reach.or(before);
        let place = reach.place().await?;
        if matches!(place, Place::Local(_)) && reach.local.is_none() {
            bail!(
                "eywa up serves its own desk; it prints the link when it starts. For a cluster's, add -n NAMESPACE"
            );
        }
        if !self.listen.ip().is_loopback() {
            return Err(Misused(format!(
                "{} is no loopback address, and whoever reached it would act as you",
                self.listen
            ))
            .into());
        }
        let me = match &place {
            Place::Cluster(cluster) => cluster.me().await?,
            Place::Local(desk) => match desk.get(&["me"], &[]).await {
                Ok(me) => me["user"].as_str().unwrap_or("you").to_owned(),
                Err(error) => return Err(place.explain("use the desk", error).await),
            },
        };
        let pods = Arc::new(Pods::new(place, reach.spirit.clone()));
        let spirits = pods.spirits().await?;
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; choose another with --listen",
                self.listen
            )
        })?;
        let url = format!("http://{}", listener.local_addr()?);
        say(&format!(
            "The desk of {} for {}.",
            spirits.join(", "),
            safe::line(&me)
        ))?;
        let link = url.clone();
        let open = self.open;
        let access = LocalAccess::new(me, move |code| {
            let link = format!("{link}/#login={code}");
            // Whoever stopped reading knows an earlier link, or does without.
            let _ = say(&format!("Open {link} (it works once). Ctrl-C stops."));
            if open {
                show(&link);
            }
        });
        access.invite();
        let front = Front {
            pods,
            access: Arc::new(access),
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, routes(front), CONNECTIONS, stop.clone()));
        tokio::signal::ctrl_c().await?;
        stop.cancel();
        // What is being shown goes on for ever; it is not waited for.
        serving.abort();
        Ok(())
    }
}

/// Opens a link in the browser, where there is one.
fn show(link: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    if let Err(error) = Command::new(program).arg(link).spawn() {
        eprintln!("note: {program} cannot be run: {error}");
    }
}

fn routes(front: Front) -> Router {
    let api = Router::new()
        .route("/api/me", get(me))
        .route("/api/conversations", get(listing::conversations))
        .route("/api/rites", get(listing::rites))
        .route("/api/events", get(events::stream))
        .route("/api/{kind}/{spirit}/{*rest}", any(relay::relay))
        .layer(middleware::from_fn_with_state(front.clone(), admitted))
        .route("/api/login", post(login))
        .layer(middleware::from_fn_with_state(front.clone(), known_host))
        .with_state(front);
    Router::new().merge(api).merge(page())
}

#[derive(Deserialize)]
struct Login {
    code: String,
}

async fn login(
    State(front): State<Front>,
    Json(login): Json<Login>,
) -> Result<Json<Value>, Problem> {
    let token = front.access.login(&login.code);
    token
        .map(|token| Json(json!({"token": token})))
        .ok_or_else(|| {
            not_recognised("A code works once. `eywa desk` has printed a link with another.")
        })
}

/// Lets in whoever has a token of this process.
async fn admitted(State(front): State<Front>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let token = header
        .and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "))
        .unwrap_or_default();
    if front.access.person(token).await.is_err() {
        return not_recognised("Open the link that `eywa desk` printed last.").into_response();
    }
    next.run(request).await
}

/// Turns a request away that comes under a name which is not this machine's own (DNS rebinding).
async fn known_host(State(front): State<Front>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if front.access.answers_to(host) {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown-host",
        "This server does not go by that name",
        "The desk of `eywa desk` answers to 127.0.0.1 and localhost alone.",
    )
    .into_response()
}

fn not_recognised(detail: &str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "not-recognised",
        "Who you are is not known",
        detail,
    )
}

/// Who the user is and may do, by the runtimes' word, and every Spirit.
async fn me(State(front): State<Front>) -> Result<Json<Value>, Problem> {
    let answers = front.pods.ask(None, &["me"]).await?;
    let (mut spirits, mut silenced): (Vec<Value>, Vec<Value>) = Default::default();
    let mut merged = Value::Null;
    for (spirit, answer) in answers {
        let of_it = answer["silenced"].as_array().into_iter().flatten();
        silenced.extend(of_it.filter(|one| one["spirit"] == *spirit).cloned());
        spirits.push(spirit.into());
        merged = answer;
    }
    merged["spirits"] = Value::Array(spirits);
    merged["silenced"] = Value::Array(silenced);
    Ok(Json(merged))
}
