//! The coffee shop behind the barista example, listening on `HOST` (every address) and `PORT` (8000).

use std::{env, error::Error, net::IpAddr};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let host: IpAddr = env::var("HOST").as_deref().unwrap_or("0.0.0.0").parse()?;
    let port: u16 = env::var("PORT").as_deref().unwrap_or("8000").parse()?;
    let listener = TcpListener::bind((host, port)).await?;
    println!("the shop is open on http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    tokio::spawn(stop_when_told(stop.clone()));
    barista_shop::serve(listener, stop).await?;
    Ok(())
}

/// Cancels `stop` on SIGTERM, which Kubernetes sends, and on Ctrl-C.
async fn stop_when_told(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            stop.cancel();
        }
        Err(error) => eprintln!("the shop cannot listen for SIGTERM: {error}"),
    }
}
