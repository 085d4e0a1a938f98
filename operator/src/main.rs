//! The operator's process: settings, signals, the admin port, leader election, and the controllers while it leads.

use clap::Parser;
use eywa_operator::{
    admin::{self, Readiness},
    conduit::mcp::McpProbe,
    context::Context,
    controllers,
    events::Events,
    leader::{Elector, Timing},
    metrics::Metrics,
    settings::Settings,
};
use kube::Client;
use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// How long reconciles under way may take to end after a stop. Less than the pod's grace period.
const DRAIN: Duration = Duration::from_secs(10);

/// What is logged unless RUST_LOG says otherwise. The MCP client would log what servers say.
const DEFAULT_LOG: &str = "info,rmcp=off";

fn main() -> ExitCode {
    let settings = Settings::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG)),
        )
        .init();
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        error!("another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    // It waits for the API server nearly always: two threads are plenty.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(settings)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "the operator ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(Duration::from_secs(10));
    let client = Client::try_from(config)?;
    let metrics = Metrics::new()?;
    let readiness = Readiness::default();

    let listener = TcpListener::bind(settings.listen).await?;
    tokio::spawn(admin::serve(
        listener,
        admin::routes(metrics.clone(), readiness.clone()),
    ));

    let (stop, stopped) = watch::channel(false);
    tokio::spawn(stop_on_signal(stop.clone()));

    let context = Context {
        client: client.clone(),
        events: Events::new(client.clone(), &settings.pod_name),
        metrics: metrics.clone(),
        settings: Arc::new(settings.clone()),
    };
    readiness.set(true);
    info!(version = env!("CARGO_PKG_VERSION"), listen = %settings.listen, "started");

    let result = if settings.no_leader_election {
        metrics.set_leader(true);
        controllers::run(context, Arc::new(McpProbe::default()), stopped).await;
        Ok(())
    } else {
        let elector = Elector::new(
            client,
            &settings.pod_namespace,
            &settings.lease_name,
            &settings.pod_name,
            Timing::default(),
        );
        lead(elector, context, &stop, stopped).await
    };
    readiness.set(false);
    result
}

/// Waits to lead, runs the controllers while leading, and lets go of the Lease at a stop.
async fn lead(
    mut elector: Elector,
    context: Context,
    stop: &watch::Sender<bool>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Box<dyn Error>> {
    tokio::select! {
        () = elector.acquire() => {}
        _ = stopped.wait_for(|stop| *stop) => return Ok(()),
    }
    let metrics = context.metrics.clone();
    metrics.set_leader(true);
    let mut controllers = tokio::spawn(controllers::run(
        context,
        Arc::new(McpProbe::default()),
        stopped.clone(),
    ));
    let lost = tokio::select! {
        () = elector.hold() => true,
        _ = stopped.wait_for(|stop| *stop) => false,
        _ = &mut controllers => return Err("the controllers ended by themselves".into()),
    };
    metrics.set_leader(false);
    if lost {
        // Another may write already: leave without finishing anything. The pod is restarted as a standby.
        controllers.abort();
        return Err("the Lease is lost".into());
    }
    stop.send_replace(true);
    if timeout(DRAIN, controllers).await.is_err() {
        warn!("reconciles under way did not end in time");
    }
    if let Err(error) = elector.release().await {
        warn!(%error, "the Lease could not be released and ends by itself");
    }
    Ok(())
}

async fn stop_on_signal(stop: watch::Sender<bool>) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        error!("signals cannot be listened to");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("stopping");
    stop.send_replace(true);
}
