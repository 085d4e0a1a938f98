//! Reaching a Spirit in a cluster: its signing key from its Secret, its pods by port-forward, as the caller's kubeconfig
//! allows.

use anyhow::{Context as _, Result, anyhow};
use eywa_crds::Spirit;
use k8s_openapi::api::core::v1::Secret;

use super::talk::Talk;
use crate::cluster::{Cluster, ClusterFlags, Needs};

/// A runtime pod's webhooks.
const PORT: u16 = 8080;

/// Finds a Spirit's http voice and its pods.
pub(super) async fn find(spirit: &str, flags: &ClusterFlags, user: &str) -> Result<Talk> {
    let cluster = Cluster::of(flags, None).await?;
    let namespace = &cluster.namespace;
    let doing = format!("talk to {spirit}");
    let get = |resource| Needs {
        doing: &doing,
        verb: "get",
        resource,
    };
    let found = cluster
        .ask(
            &get("spirits.eywa.dev"),
            cluster.api::<Spirit>().get(spirit),
        )
        .await
        .with_context(|| format!("the Spirit {namespace}/{spirit} cannot be read"))?;
    let mut voices = found.spec.voices.iter();
    let (voice, http) = voices.find_map(|voice| Some((&voice.name, voice.http.as_ref()?))).with_context(|| {
        format!("the Spirit {namespace}/{spirit} has no http voice; eywa chat needs one (spec.voices[].http)")
    })?;
    let (secret, key) = (&http.secret_ref.name, &http.secret_ref.key);
    let held = cluster
        .ask(&get("secrets"), cluster.api::<Secret>().get(secret))
        .await
        .with_context(|| {
            format!(
                "the Secret {namespace}/{secret} cannot be read; it holds the voice's signing key"
            )
        })?;
    let bytes = held.data.as_ref().and_then(|data| data.get(key));
    let bytes =
        bytes.with_context(|| format!("the Secret {namespace}/{secret} has no key {key:?}"))?;
    let signing =
        std::str::from_utf8(&bytes.0).map_err(|_| anyhow!("the signing key is not text"))?;
    let url = cluster.forward(spirit, PORT).await?;
    Talk::new(&url, spirit, voice, signing, user)
}
