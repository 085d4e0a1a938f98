//! Leader election on a Lease, so that one operator writes at a time.
//!
//! Every change of the Lease is an update of the version that was read, so of two that try, the API server lets one
//! through. Whether another's hold has ended is judged by how long the Lease has not changed as seen from here, never
//! by comparing clocks of two machines. The leader gives up well before the others may take over.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

/// How long things take. The leader gives up after `renew_within`, the others take over after `lease`.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a Lease that is not renewed still holds.
    pub lease: Duration,
    /// A leader that could not renew for this long stops leading. Less than `lease`.
    pub renew_within: Duration,
    /// The pause between two looks at the Lease.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew_within: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// One candidate for one Lease.
pub struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    /// The Lease's last seen version, and since when it has been that.
    seen: Option<(String, Instant)>,
}

impl Elector {
    /// A candidate called `identity` (unique among the candidates: a pod's name) for the Lease `namespace/name`.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: &str,
        timing: Timing,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            timing,
            seen: None,
        }
    }

    /// Waits, as long as it takes, until this candidate leads.
    pub async fn acquire(&mut self) {
        info!(
            lease = self.name,
            identity = self.identity,
            "waiting to lead"
        );
        loop {
            match self.attempt().await {
                Ok(true) => {
                    info!(lease = self.name, "leading");
                    return;
                }
                Ok(false) => {}
                Err(error) if is_conflict(&error) => {
                    debug!(lease = self.name, "another was faster");
                }
                Err(error) => warn!(%error, lease = self.name, "cannot read or write the Lease"),
            }
            sleep(self.pause()).await;
        }
    }

    /// Keeps leading. Returns when the Lease is lost: the caller must stop writing at once.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        loop {
            sleep(self.timing.retry).await;
            match self.attempt().await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => {
                    warn!(lease = self.name, "another operator leads");
                    return;
                }
                Err(error) => debug!(%error, lease = self.name, "cannot renew the Lease"),
            }
            if renewed.elapsed() >= self.timing.renew_within {
                warn!(lease = self.name, "the Lease could not be renewed in time");
                return;
            }
        }
    }

    /// Lets another lead at once. Does nothing when this candidate does not lead.
    ///
    /// # Errors
    /// The client's, when the API server cannot be reached; the Lease then ends by itself.
    pub async fn release(self) -> kube::Result<()> {
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else {
            return Ok(());
        };
        if !self.is_mine(&lease) {
            return Ok(());
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.leases
            .replace(&self.name, &PostParams::default(), &lease)
            .await?;
        info!(lease = self.name, "released");
        Ok(())
    }

    /// One look at the Lease, and one write when it is free or ours. `Ok(true)`: this candidate leads now.
    /// `Ok(false)`: another does. A conflict, as any error, leaves that open.
    async fn attempt(&mut self) -> kube::Result<bool> {
        // An answer that comes later than this is worth nothing.
        let limit = self.timing.renew_within / 2;
        match timeout(limit, self.try_lead()).await {
            Ok(result) => result,
            Err(_) => Err(kube::Error::Service("no answer in time".into())),
        }
    }

    async fn try_lead(&mut self) -> kube::Result<bool> {
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..Default::default()
                },
                spec: Some(self.spec(0)),
            };
            self.leases.create(&PostParams::default(), &lease).await?;
            return Ok(true);
        };
        if self.is_mine(&lease) {
            let spec = lease.spec.get_or_insert_default();
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        } else if self.is_free(&lease) {
            let transitions = lease
                .spec
                .as_ref()
                .and_then(|spec| spec.lease_transitions)
                .unwrap_or(0);
            lease.spec = Some(self.spec(transitions.saturating_add(1)));
        } else {
            return Ok(false);
        }
        // The resourceVersion that was read goes along: a Lease that changed meanwhile is a conflict.
        self.leases
            .replace(&self.name, &PostParams::default(), &lease)
            .await?;
        Ok(true)
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        holder(lease) == Some(self.identity.as_str())
    }

    /// Free: nobody holds it, or it has not changed for as long as its holder asked for.
    fn is_free(&mut self, lease: &Lease) -> bool {
        if holder(lease).is_none() {
            return true;
        }
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => Instant::now(),
        };
        self.seen = Some((version, since));
        let asked = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.lease_duration_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(self.timing.lease, Duration::from_secs);
        since.elapsed() > asked
    }

    fn spec(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(
                i32::try_from(self.timing.lease.as_secs()).unwrap_or(i32::MAX),
            ),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..Default::default()
        }
    }

    /// Up to a fifth more than `retry`, so that candidates do not march in step.
    fn pause(&self) -> Duration {
        self.timing.retry.mul_f64(rand::random_range(1.0..1.2))
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn holder(lease: &Lease) -> Option<&str> {
    lease
        .spec
        .as_ref()?
        .holder_identity
        .as_deref()
        .filter(|holder| !holder.is_empty())
}
