//! The HTTP API: people, and their orders.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};

use crate::orders::{Order, Orders, Person, Wish};

pub(crate) fn routes(orders: Arc<Orders>) -> Router {
    Router::new()
        .route("/people/{id}", get(person))
        .route("/people/{id}/orders", post(place))
        .with_state(orders)
}

async fn person(State(orders): State<Arc<Orders>>, Path(id): Path<String>) -> Json<Person> {
    Json(orders.person(&id))
}

async fn place(
    State(orders): State<Arc<Orders>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Result<(StatusCode, Json<Order>), (StatusCode, String)> {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    match orders.place(&id, key, &wish) {
        Ok(order) => Ok((StatusCode::CREATED, Json(order))),
        Err(wrong) => Err((StatusCode::UNPROCESSABLE_ENTITY, wrong)),
    }
}
