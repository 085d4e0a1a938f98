//! What the controllers of all kinds share: bounded concurrency and time, retries, counts, and an orderly stop.

use crate::{
    error::Error,
    metrics::{Census, Metrics},
    retry::Retries,
};
use futures::{Stream, StreamExt, future::ready};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{
        controller::{self, Config, Controller},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::{debug, info, warn};

/// A reconcile that takes longer is given up and tried again.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(60);

/// Events that come in a burst, as those of an applied manifest do, cause one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Where a controller looks: one namespace, or all.
#[derive(Clone)]
pub struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    /// One scope a watched namespace, or one for all when none is listed.
    #[must_use]
    pub fn all(client: &Client, namespaces: &[String]) -> Vec<Self> {
        if namespaces.is_empty() {
            return vec![Self {
                client: client.clone(),
                namespace: None,
            }];
        }
        let scope = |namespace: &String| Self {
            client: client.clone(),
            namespace: Some(namespace.clone()),
        };
        namespaces.iter().map(scope).collect()
    }

    /// The objects of kind `K` in it.
    #[must_use]
    pub fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

/// The configuration of each controller.
#[must_use]
pub fn config(concurrency: u16) -> Config {
    Config::default()
        .debounce(DEBOUNCE)
        .concurrency(concurrency)
}

/// Counts how many objects of a store are `ready`, for `eywa_objects`.
pub fn census<K>(store: Store<K>, ready: impl Fn(&K) -> bool + Send + 'static) -> Census
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    Box::new(move || {
        let objects = store.state();
        let count = objects.iter().filter(|object| ready(object)).count();
        (count, objects.len() - count)
    })
}

/// A signal that the operator stops; also when its sender is gone.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// One reconcile: in bounded time, counted, and its failures in a row remembered.
///
/// # Errors
/// The reconcile's own, or [`Error::Timeout`].
pub async fn timed<K>(
    kind: &'static str,
    object: &Arc<K>,
    metrics: &Metrics,
    retries: &Retries<ObjectRef<K>>,
    reconcile: impl Future<Output = Result<controller::Action, Error>>,
) -> Result<controller::Action, Error>
where
    K: Resource<DynamicType = ()>,
{
    let start = Instant::now();
    let result = timeout(RECONCILE_TIMEOUT, reconcile)
        .await
        .unwrap_or(Err(Error::Timeout(RECONCILE_TIMEOUT)));
    let outcome = result.as_ref().map_or_else(Error::label, |_| "ok");
    metrics.reconciled(kind, outcome, start.elapsed().as_secs_f64());
    if result.is_ok() {
        retries.succeeded(&ObjectRef::from_obj(object.as_ref()));
    }
    result
}

/// When to try again after `error`.
pub fn retry<K>(object: &K, error: &Error, retries: &Retries<ObjectRef<K>>) -> controller::Action
where
    K: Resource<DynamicType = ()>,
{
    let wait = retries.after_failure(ObjectRef::from_obj(object));
    warn!(
        kind = %K::kind(&()),
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any(),
        %error,
        retry_in_seconds = wait.as_secs(),
        "reconcile failed"
    );
    controller::Action::requeue(wait)
}

/// Runs a controller's stream to its end, logging what it says. `gone` is told of objects that are no more.
pub async fn drain<K>(
    kind: &'static str,
    stream: impl Stream<
        Item = Result<(ObjectRef<K>, controller::Action), controller::Error<Error, watcher::Error>>,
    >,
    gone: impl Fn(&ObjectRef<K>),
) where
    K: Resource<DynamicType = ()>,
{
    stream
        .for_each(|result| {
            match result {
                Ok((object, _)) => debug!(kind, %object, "reconciled"),
                // Logged by `retry`, with more to say.
                Err(controller::Error::ReconcilerFailed(..)) => {}
                // Its children's deletion asks for it once more.
                Err(controller::Error::ObjectNotFound(object)) => {
                    debug!(kind, %object, "gone");
                    gone(&object.into_kind_unchecked(()));
                }
                Err(error) => warn!(kind, %error, "watch failed; it is retried"),
            }
            ready(())
        })
        .await;
    info!(kind, "controller stopped");
}

/// A controller of `K` in `scope`, with what all controllers have.
pub fn of<K>(scope: &Scope, concurrency: u16, stop: watch::Receiver<bool>) -> Controller<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    Controller::new(scope.api::<K>(), watcher::Config::default())
        .with_config(config(concurrency))
        .graceful_shutdown_on(stopped(stop))
}
