//! One Spirit that is served: its Weave, its voices, and the tasks that belong to it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use eywa_crds::Rite as RiteObject;
use eywa_weave::{
    SpiritName, VoiceName, Weave,
    ports::{Inbox, Voice, inbox::Depth},
};
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    rites::Ledger,
    vigils::{Change, Rota},
};

/// The longest that an Inbox may take to say how full it is.
const DEPTH_WITHIN: Duration = Duration::from_millis(800);
/// For how long what it said is taken for true.
const DEPTH_HOLDS: Duration = Duration::from_secs(1);

/// One Spirit that is served, and those it routes to. See [`wire`](crate::wiring::wire).
pub struct Serving {
    pub(crate) weave: Weave,
    pub(crate) voices: BTreeMap<VoiceName, Arc<dyn Voice>>,
    #[cfg(feature = "voice-http")]
    pub(crate) http_voices: Vec<(VoiceName, Arc<eywa_adapters::voice::HttpVoice>)>,
    #[cfg(feature = "voice-http")]
    pub(crate) pulse_timeout: Duration,
    pub(crate) inbox: Arc<dyn Inbox>,
    /// Who may say that a Pulse is due, where somebody may.
    #[cfg(feature = "inbox-tasks")]
    pub(crate) pushes: Option<Arc<eywa_adapters::inbox::TaskPushes>>,
    /// What the desk reads.
    #[cfg(feature = "desk")]
    pub(crate) stores: crate::wiring::Stores,
    pub(crate) known_depth: Mutex<Option<(Instant, Option<Depth>)>>,
    pub(crate) stop: CancellationToken,
}

impl Serving {
    /// The Spirit's name.
    pub fn name(&self) -> &SpiritName {
        self.weave.name()
    }

    /// The Spirit's Weave.
    pub fn weave(&self) -> &Weave {
        &self.weave
    }

    /// The names of the Spirit's voices.
    pub fn voices(&self) -> impl Iterator<Item = &VoiceName> {
        self.voices.keys()
    }

    /// Starts to take over Pulses that were left in the Inbox, and to draw facts about people from what is finished, until
    /// [`Serving::retire`].
    pub fn tend(&self) {
        let (weave, stop) = (self.weave.clone(), self.stop.clone());
        tokio::spawn(async move { stop.run_until_cancelled(weave.tend()).await });
        let (weave, stop) = (self.weave.clone(), self.stop.clone());
        tokio::spawn(async move { stop.run_until_cancelled(weave.remember()).await });
    }

    /// Starts to keep the Spirit's Vigils, until [`Serving::retire`] or until `changes` ends.
    pub fn keep_vigils(&self, rota: Rota, changes: mpsc::Receiver<Change>) {
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(rota.run(changes)).await });
    }

    /// Starts to keep the Spirit's Rites, until [`Serving::retire`] or until `changes` ends.
    pub fn keep_rites(&self, ledger: Ledger, changes: mpsc::Receiver<Change<RiteObject>>) {
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(ledger.run(changes)).await });
    }

    /// Starts to say in the Spirit's status whether its channels accept its credentials, until [`Serving::retire`].
    #[cfg(feature = "vigil-kubernetes")]
    pub fn report_credentials(
        &self,
        credentials: crate::credentials::Credentials,
        client: kube::Client,
        namespace: &str,
    ) {
        let stop = self.stop.clone();
        let status =
            crate::credentials::kubernetes::ClusterStatus::new(client, namespace, self.name());
        tokio::spawn(async move { stop.run_until_cancelled(status.report(credentials)).await });
    }

    /// Takes no new Pulses and waits for those in work, `grace` at most; what is left stays in the Inbox. Ends the tasks.
    pub async fn retire(&self, grace: Duration) {
        self.weave.drain(grace).await;
        self.stop.cancel();
    }

    /// How full the Inbox is, or was a second ago; `None` when it does not answer.
    pub async fn depth(&self) -> Option<Depth> {
        // Held while asking, so that many who want to know ask once.
        let mut known = self.known_depth.lock().await;
        if let Some((at, depth)) = *known
            && at.elapsed() < DEPTH_HOLDS
        {
            return depth;
        }
        let depth = timeout(DEPTH_WITHIN, self.inbox.depth())
            .await
            .ok()
            .and_then(Result::ok);
        *known = Some((Instant::now(), depth));
        depth
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
