//! Reaching a Spirit in a cluster: its signing key from its Secret, its pods by port-forward, as the caller's kubeconfig
//! allows.

use anyhow::{Context as _, Result, anyhow, bail};
use eywa_crds::Spirit;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use super::talk::Talk;

/// A runtime pod's webhooks.
const PORT: u16 = 8080;

/// Finds a Spirit's http voice and a pod of it that is ready.
pub(super) async fn find(spirit: &str, namespace: Option<&str>, user: &str) -> Result<Talk> {
    let kubeconfig = Kubeconfig::read().context(
        "no eywa up is running for you, and there is no kubeconfig either: start `eywa up DIR`, or set KUBECONFIG",
    )?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
    let client = Client::try_from(config)?;

    let found = Api::<Spirit>::namespaced(client.clone(), &namespace)
        .get(spirit)
        .await
        .with_context(|| format!("the Spirit {namespace}/{spirit} cannot be read"))?;
    let mut voices = found.spec.voices.iter();
    let (voice, http) = voices.find_map(|voice| Some((&voice.name, voice.http.as_ref()?))).with_context(|| {
        format!("the Spirit {namespace}/{spirit} has no http voice; eywa chat needs one (spec.voices[].http)")
    })?;
    let (secret, key) = (&http.secret_ref.name, &http.secret_ref.key);
    let held = Api::<Secret>::namespaced(client.clone(), &namespace)
        .get(secret)
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

    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let ours = ListParams::default().labels(&format!("eywa.dev/spirit={spirit}"));
    let listed = pods
        .list(&ours)
        .await
        .with_context(|| format!("the pods of {namespace} cannot be listed"))?;
    let Some(pod) = listed.items.iter().find(|pod| is_ready(pod)) else {
        bail!("no pod of {spirit} is ready; see `kubectl -n {namespace} describe spirit {spirit}`");
    };
    let url = forward(pods.clone(), pod.name_any()).await?;
    Talk::new(&url, spirit, voice, signing, user)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| {
        all.iter()
            .any(|one| one.type_ == "Ready" && one.status == "True")
    })
}

/// Listens on loopback and carries each connection to the pod, for as long as the process lives.
async fn forward(pods: Api<Pod>, pod: String) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (pods, pod) = (pods.clone(), pod.clone());
            tokio::spawn(async move {
                if let Err(error) = carry(&pods, &pod, connection).await {
                    eprintln!("error: the port-forward to {pod} broke: {error:#}");
                }
            });
        }
    });
    Ok(url)
}

async fn carry(pods: &Api<Pod>, pod: &str, mut connection: TcpStream) -> Result<()> {
    let mut forwarded = pods.portforward(pod, &[PORT]).await?;
    let mut stream = forwarded
        .take_stream(PORT)
        .context("the port-forward has no stream")?;
    copy_bidirectional(&mut connection, &mut stream).await?;
    Ok(())
}
