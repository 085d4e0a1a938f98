//! Serving HTTP with everything bounded: connections, the time for headers, and the time to say goodbye.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// A client that has not sent a request's head by then is cut off; so is a connection that idles. Longer than the 60 s for
/// which proxies keep idle connections, so that it is they who close them, and no request meets a closing one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(65);
/// The most bytes of a request's head.
const HEAD_BUFFER: usize = 16 * 1024;
/// How long clients get to take their last answers when the server stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves `routes` on `listener` until `stop`, at most `connections` at a time; more wait to be accepted. Then accepts no
/// more and lets those in work finish, for a moment.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    connections: usize,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(connections));
    let leaving = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: they come back.
                warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BUFFER);
        let service = TowerToHyperService::new(routes.clone());
        let connection = server
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = leaving.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(GOODBYE, leaving.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Answers are small and wanted at once.
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}
