//! The admin port: `/livez`, `/readyz`, `/metrics`.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tracing::warn;

use crate::{
    metrics::Metrics,
    readiness::{self, Stage},
    roster::Roster,
};

/// Connections of probes and scrapers at a time.
pub const CONNECTIONS: usize = 64;

#[derive(Clone)]
struct Admin {
    stage: Stage,
    roster: Roster,
    metrics: Metrics,
}

/// The routes of the admin port.
pub fn routes(stage: Stage, roster: Roster, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(Admin {
            stage,
            roster,
            metrics,
        })
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, String) {
    match readiness::check(&admin.stage, &admin.roster).await {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn scrape(State(admin): State<Admin>) -> Response {
    for (spirit, depth) in admin.roster.depths().await {
        admin.metrics.inbox(&spirit, depth);
    }
    match admin.metrics.render() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => {
            warn!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
