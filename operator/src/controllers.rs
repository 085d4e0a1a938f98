//! All controllers, side by side.

use crate::{
    conduit::{self, probe::Probe},
    context::Context,
    controller::Scope,
    spirit, vigil,
};
use futures::future::join_all;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs the controllers of every kind in every watched namespace until `stop`, and then until the reconciles under way
/// have ended.
pub async fn run(ctx: Context, probe: Arc<dyn Probe>, stop: watch::Receiver<bool>) {
    let scopes = Scope::all(&ctx.client, &ctx.settings.watch_namespaces);
    let each = scopes.iter().map(|scope| {
        let (ctx, probe, stop) = (ctx.clone(), Arc::clone(&probe), stop.clone());
        async move {
            tokio::join!(
                conduit::run(ctx.clone(), probe, scope, stop.clone()),
                spirit::run(ctx.clone(), scope, stop.clone()),
                vigil::run(ctx, scope, stop),
            )
        }
    });
    join_all(each).await;
}
