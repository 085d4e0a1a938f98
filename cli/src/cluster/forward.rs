//! Connections to a Spirit's pods, by port-forward.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::client::UpgradeConnectionError;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{Cluster, Needs};

/// How many connections there are at once, at most.
const CONNECTIONS: usize = 64;
/// How long opening one may take.
const OPEN: Duration = Duration::from_secs(15);

/// What a port-forward needs.
pub(super) struct Forward {
    cluster: Cluster,
    spirit: String,
    port: u16,
}

/// A connection to a pod. What keeps it open is dropped with it.
struct Carried {
    stream: Box<dyn Duplex>,
    _forwarder: kube::api::Portforwarder,
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Forward {
    /// Listens on loopback and carries each connection to a pod that is ready then, for as long as the process lives: a
    /// pod that is replaced is followed. The first is opened at once, so that what is wrong is told here.
    pub(super) async fn open(cluster: Cluster, spirit: String, port: u16) -> Result<String> {
        let forward = Arc::new(Self {
            cluster,
            spirit,
            port,
        });
        let mut first = Some(forward.connect().await?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        tokio::spawn(async move {
            while let Ok(place) = places.clone().acquire_owned().await
                && let Ok((connection, _)) = listener.accept().await
            {
                let (forward, opened) = (forward.clone(), first.take());
                tokio::spawn(async move {
                    let _place = place;
                    if let Err(error) = forward.carry(connection, opened).await {
                        eprintln!(
                            "error: the port-forward to {} broke: {error:#}",
                            forward.spirit
                        );
                    }
                });
            }
        });
        Ok(url)
    }

    async fn carry(&self, mut connection: TcpStream, opened: Option<Carried>) -> Result<()> {
        let mut carried = match opened {
            Some(opened) => opened,
            None => self.connect().await?,
        };
        // A connection that ends at either side is no fault: whoever used it says what that means.
        let _ = copy_bidirectional(&mut connection, &mut carried.stream).await;
        Ok(())
    }

    async fn connect(&self) -> Result<Carried> {
        let pod = self.cluster.ready_pod(&self.spirit).await?;
        let pods = self.cluster.api::<Pod>();
        let ports = [self.port];
        let opened = timeout(OPEN, pods.portforward(&pod, &ports)).await;
        let mut forwarder = match opened {
            Ok(Ok(forwarder)) => forwarder,
            Ok(Err(kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(
                status,
            )))) if status.as_u16() == 403 => {
                let needs = Needs {
                    doing: &format!("reach the pods of {}", self.spirit),
                    verb: "create",
                    resource: "pods/portforward",
                };
                let me = self.cluster.me().await.ok();
                return Err(self.cluster.refused(&needs, me).into());
            }
            Ok(Err(error)) => {
                return Err(error).with_context(|| format!("the pod {pod} cannot be reached"));
            }
            Err(_) => bail!("the pod {pod} could not be reached within {OPEN:?}"),
        };
        let stream = forwarder
            .take_stream(self.port)
            .context("the port-forward has no stream")?;
        Ok(Carried {
            stream: Box::new(stream),
            _forwarder: forwarder,
        })
    }
}
