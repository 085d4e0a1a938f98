//! A cluster, as the caller's kubeconfig allows: its API, and the pods of its Spirits by port-forward.

mod bearer;
mod forward;
pub(crate) mod rites;
pub(crate) mod vigils;

use std::{future::Future, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use eywa_crds::{Spirit, labels};
use k8s_openapi::api::{authentication::v1::SelfSubjectReview, core::v1::Pod};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use secrecy::SecretString;
use tokio::time::timeout;

pub(crate) use self::bearer::Bearer;
use self::forward::Forward;
use crate::{
    name,
    refusal::{NotAllowed, Refused},
};

/// How long one call of the Kubernetes API may take.
const CALL: Duration = Duration::from_secs(30);

/// Which cluster, and where in it: kubectl's own flags.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ClusterFlags {
    /// The namespace in the cluster; the kubeconfig's own otherwise.
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// The kubeconfig's context; its current one otherwise.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// The kubeconfig; otherwise what KUBECONFIG names, or ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl ClusterFlags {
    /// Whether one of them asks for a cluster.
    pub(crate) fn any(&self) -> bool {
        self.namespace.is_some() || self.context.is_some() || self.kubeconfig.is_some()
    }

    /// These, and where they say nothing, those.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            namespace: self.namespace.or(others.namespace),
            context: self.context.or(others.context),
            kubeconfig: self.kubeconfig.or(others.kubeconfig),
        }
    }
}

/// A cluster's namespace, and the caller in it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    bearer: Option<Bearer>,
}

/// What a call needs, for when it is refused.
pub(crate) struct Needs<'a> {
    /// What is being done, such as `take over wa/551 of barista`.
    pub(crate) doing: &'a str,
    /// Such as `patch`.
    pub(crate) verb: &'a str,
    /// Such as `vigils.eywa.dev`.
    pub(crate) resource: &'a str,
}

impl Cluster {
    /// The cluster that the flags and the kubeconfig mean. `token` stands in for the kubeconfig's user.
    pub(crate) async fn of(flags: &ClusterFlags, token: Option<&SecretString>) -> Result<Self> {
        let mut config = config(flags).await?;
        if let Some(token) = token {
            config.auth_info = AuthInfo {
                token: Some(token.clone()),
                ..AuthInfo::default()
            };
        }
        let namespace = flags
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let bearer = Bearer::of(&config)?;
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Self {
            client,
            namespace,
            bearer,
        })
    }

    /// Objects of a kind, in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Asks the Kubernetes API something, in bounded time. A refusal says which permission is missing, and every other
    /// answer of the API that is an error stays a [`kube::Error`] in the chain.
    pub(crate) async fn ask<T>(
        &self,
        needs: &Needs<'_>,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T> {
        match timeout(CALL, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                Err(match user_in(&status.message) {
                    Some(user) => self.refused(needs, Some(user)),
                    // RBAC's refusals name the user; those of admission policies do not.
                    None => Refused::Policy(status.message.clone()),
                }
                .into())
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(anyhow!(
                "the cluster does not know you: it refused the kubeconfig's user, or the --token"
            )),
            Ok(Err(kube::Error::Api(status))) => {
                let message = status.message.clone();
                Err(anyhow::Error::new(kube::Error::Api(status)).context(message))
            }
            Ok(Err(error)) => {
                Err(anyhow::Error::new(error).context("the Kubernetes API cannot be asked"))
            }
            Err(_) => bail!(
                "the Kubernetes API did not answer within {} s",
                CALL.as_secs()
            ),
        }
    }

    /// A refusal.
    pub(crate) fn refused(&self, needs: &Needs<'_>, user: Option<String>) -> Refused {
        Refused::NotAllowed(Box::new(NotAllowed {
            doing: needs.doing.to_owned(),
            permission: format!(
                "{} {} in namespace {}",
                needs.verb, needs.resource, self.namespace
            ),
            namespace: Some(self.namespace.clone()),
            user,
        }))
    }

    /// Who the caller is, by the cluster's word.
    pub(crate) async fn me(&self) -> Result<String> {
        let needs = Needs {
            doing: "ask who you are",
            verb: "create",
            resource: "selfsubjectreviews.authentication.k8s.io",
        };
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let (params, review) = (PostParams::default(), SelfSubjectReview::default());
        let reviewed = self.ask(&needs, reviews.create(&params, &review)).await?;
        reviewed
            .status
            .and_then(|status| status.user_info?.username)
            .context("the cluster does not say who you are")
    }

    /// The Spirits of the namespace that have voices, and so pods of their own.
    pub(crate) async fn spirits(&self) -> Result<Vec<Spirit>> {
        let needs = Needs {
            doing: "look for the Spirits",
            verb: "list",
            resource: "spirits.eywa.dev",
        };
        let listed = self
            .ask(&needs, self.api::<Spirit>().list(&ListParams::default()))
            .await?;
        let voiced = |spirit: &Spirit| !spirit.spec.voices.is_empty();
        Ok(listed.items.into_iter().filter(voiced).collect())
    }

    /// The one Spirit that is meant by a session: the only one with the session's voice.
    pub(crate) async fn spirit_with_voice(&self, session: &str) -> Result<String> {
        let voice = session.split_once('/').map(|(voice, _)| voice);
        let spirits = self.spirits().await?;
        let speaks = |spirit: &&Spirit| {
            voice.is_none_or(|voice| spirit.spec.voices.iter().any(|own| own.name == voice))
        };
        let names: Vec<String> = spirits
            .iter()
            .filter(speaks)
            .map(kube::ResourceExt::name_any)
            .collect();
        crate::attend::only_spirit(names, voice, &format!("namespace {}", self.namespace))
    }

    /// Listens on loopback for connections to a port of a Spirit's pods, whichever is ready, as long as the process lives.
    pub(crate) async fn forward(&self, spirit: &str, port: u16) -> Result<String> {
        Forward::open(self.clone(), spirit.to_owned(), port).await
    }

    /// What the caller shows to a runtime's desk.
    pub(crate) async fn bearer(&self) -> Result<Bearer> {
        let with_a_token = match &self.bearer {
            Some(bearer) => bearer.token().await?.map(|_| bearer.clone()),
            None => None,
        };
        with_a_token.context(
            "your kubeconfig's user has a certificate and no token, and the desk knows people by token. Ask for one \
             and pass it with --token or EYWA_TOKEN: kubectl create token SERVICEACCOUNT",
        )
    }

    /// A pod of a Spirit that is ready.
    async fn ready_pod(&self, spirit: &str) -> Result<String> {
        let needs = Needs {
            doing: &format!("look for the pods of {spirit}"),
            verb: "list",
            resource: "pods",
        };
        let ours = ListParams::default().labels(&labels::runtime_pods_selector(spirit));
        let listed = self.ask(&needs, self.api::<Pod>().list(&ours)).await?;
        let ready = listed.items.iter().find(|pod| is_ready(pod));
        ready.map(kube::ResourceExt::name_any).with_context(|| {
            format!(
                "no pod of {spirit} is ready; see `kubectl -n {} describe spirit {spirit}`",
                self.namespace
            )
        })
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| {
            all.iter()
                .any(|one| one.type_ == "Ready" && one.status == "True")
        })
}

async fn config(flags: &ClusterFlags) -> Result<Config> {
    let kubeconfig = match &flags.kubeconfig {
        Some(file) => Kubeconfig::read_from(file)
            .with_context(|| format!("the kubeconfig {} cannot be read", file.display()))?,
        None => match Kubeconfig::read() {
            Ok(kubeconfig) => kubeconfig,
            // In a pod, its ServiceAccount.
            Err(error) => match Config::incluster() {
                Ok(config) if flags.context.is_none() => return Ok(config),
                _ => return Err(without_a_cluster(&error)),
            },
        },
    };
    let options = KubeConfigOptions {
        context: flags.context.clone(),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .context("the kubeconfig cannot be used")
}

/// There is no cluster to go to. The errors of kube tell their causes themselves.
fn without_a_cluster(error: &dyn std::error::Error) -> anyhow::Error {
    if name::is_plugin() {
        anyhow!("there is no kubeconfig that can be read; set KUBECONFIG: {error}")
    } else {
        anyhow!(
            "no eywa up is running for you, and there is no kubeconfig either: start `eywa up DIR`, or set KUBECONFIG: {error}"
        )
    }
}

/// Who the API server says was refused: its message begins with `… is forbidden: User "…" cannot …`.
fn user_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("User \"")?;
    let (user, _) = rest.split_once("\" cannot")?;
    Some(user.to_owned())
}

/// Whether the object is not there.
pub(crate) fn is_code(error: &anyhow::Error, code: u16) -> bool {
    error.chain().any(|cause| {
        matches!(cause.downcast_ref::<kube::Error>(), Some(kube::Error::Api(status)) if status.code == code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_servers_words_tell_who_was_refused() {
        let message = r#"vigils.eywa.dev "ana" is forbidden: User "bob" cannot patch resource "vigils" in API group "eywa.dev" in the namespace "cafe""#;
        assert_eq!(user_in(message).as_deref(), Some("bob"));
        assert_eq!(user_in("no"), None);
    }
}
