//! The coffee shop behind the barista example: a menu, orders, and the people who come back.
//!
//! It is the outside world of the example, and as real as it needs to be: an MCP server at `/mcp` for the Conduit, and a
//! small HTTP API for the Action and the Scout. It forgets everything when it stops.
//!
//! | request | what |
//! |---|---|
//! | `POST /mcp` | MCP over Streamable HTTP, with the tools `menu_list` and `order_status` |
//! | `GET /people/{id}` | how often somebody ordered, and their usual |
//! | `POST /people/{id}/orders` | an order: `{drink, size, quantity}`; the same `Idempotency-Key` orders once |

mod api;
mod menu;
mod orders;
mod tools;

use std::{io, sync::Arc};

use axum::Router;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{orders::Orders, tools::ShopTools};

/// Serves the shop until `stop` is cancelled.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let loopback = listener.local_addr()?.ip().is_loopback();
    let shop = router(Arc::new(Orders::default()), loopback, stop.clone());
    axum::serve(listener, shop)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

fn router(orders: Arc<Orders>, loopback: bool, stop: CancellationToken) -> Router {
    // Without sessions a restart of the shop is nothing that a client would notice.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_cancellation_token(stop);
    // On this machine a browser could be tricked into calling it, so the host is checked. In a cluster it goes by a name
    // that depends on the namespace, and no browser is near.
    let config = if loopback {
        config
    } else {
        config.disable_allowed_hosts()
    };
    let tools = Arc::clone(&orders);
    let mcp = StreamableHttpService::new(
        move || Ok(ShopTools::new(Arc::clone(&tools))),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    api::routes(orders).nest_service("/mcp", mcp)
}
