//! Where a command acts: on a cluster, or on an `eywa up`; and on which conversation.

use std::fmt;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use eywa_crds::vigil::VigilSpec;
use futures::future::join_all;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::{
    cluster::{Bearer, Cluster, ClusterFlags},
    completing,
    desk_api::{self, Desk, DeskError},
    discovery, name,
    refusal::{Misused, NotAllowed, Refused},
    terminal::{Output, safe},
};

/// Which Spirits, as whom, and how results are printed.
#[derive(Args, Clone, Default)]
pub(crate) struct Reach {
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    /// The Spirit, where it is not plain from the rest.
    #[arg(long, add = ArgValueCompleter::new(completing::spirits))]
    pub(crate) spirit: Option<String>,
    /// An eywa up's desk, such as http://127.0.0.1:8081. The one that runs for you is found by itself.
    #[arg(long, value_name = "URL")]
    pub(crate) local: Option<Url>,
    /// Who you are, as a bearer token; the kubeconfig's user otherwise.
    #[arg(long, env = "EYWA_TOKEN", hide_env_values = true, value_parser = secret)]
    pub(crate) token: Option<SecretString>,
    /// How to print results.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

impl Reach {
    /// These, and where they say nothing, what stood before the command's name.
    pub(crate) fn or(self, before: Self) -> Self {
        Self {
            cluster: self.cluster.or(before.cluster),
            spirit: self.spirit.or(before.spirit),
            local: self.local.or(before.local),
            token: self.token.or(before.token),
            output: self.output.or(before.output),
        }
    }

    /// How to print results.
    pub(crate) fn output(&self) -> Output {
        self.output.unwrap_or_default()
    }

    /// The `eywa up` that runs for this person, unless something asks for a cluster.
    pub(crate) async fn place(&self) -> Result<Place> {
        if let Some(url) = &self.local {
            let token = self.token.clone().or_else(|| known_token(url));
            let token = token.ok_or_else(|| {
                Misused(format!(
                    "no token is known for {url}; pass --token, or leave --local out to find your own eywa up"
                ))
            })?;
            return Ok(Place::Local(Desk::new(url.clone(), Bearer::Fixed(token))));
        }
        if !self.cluster.any()
            && !name::is_plugin()
            && let Some(running) = discovery::find()
        {
            let reach = running.desk.context(
                "the eywa up that runs has no desk; it is of another release. For a cluster, add -n NAMESPACE",
            )?;
            let url =
                Url::parse(&reach.url).context("the eywa up that runs says no URL of its desk")?;
            let token = self.token.clone().unwrap_or_else(|| reach.token.into());
            return Ok(Place::Local(Desk::new(url, Bearer::Fixed(token))));
        }
        let cluster = Cluster::of(&self.cluster, self.token.as_ref()).await?;
        Ok(Place::Cluster(Box::new(cluster)))
    }
}

/// The token of one's own `eywa up`, if that is at this URL.
fn known_token(url: &Url) -> Option<SecretString> {
    let reach = discovery::find()?.desk?;
    (Url::parse(&reach.url).ok()?.origin() == url.origin()).then(|| reach.token.into())
}

/// Where a command acts.
#[derive(Clone)]
pub(crate) enum Place {
    /// On an `eywa up`.
    Local(Desk),
    /// In a namespace of a cluster.
    Cluster(Box<Cluster>),
}

/// A conversation, or all of a Spirit's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) spirit: String,
    /// `voice/sender`, or `*`.
    pub(crate) session: String,
}

impl Subject {
    /// Whether it is all of the Spirit's conversations.
    pub(crate) fn is_every_session(&self) -> bool {
        self.session == VigilSpec::EVERY_SESSION
    }

    /// The path of the desk's API for it.
    pub(crate) fn path<'a>(&'a self, verb: &'a str) -> Vec<&'a str> {
        if self.is_every_session() {
            vec!["spirits", &self.spirit, verb]
        } else {
            vec!["conversations", &self.spirit, &self.session, verb]
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_every_session() {
            write!(f, "every conversation of {}", safe::line(&self.spirit))
        } else {
            write!(
                f,
                "{} of {}",
                safe::line(&self.session),
                safe::line(&self.spirit)
            )
        }
    }
}

/// Whether this names a conversation, rather than a Vigil.
fn is_session(named: &str) -> bool {
    named == VigilSpec::EVERY_SESSION || named.contains('/')
}

impl Place {
    /// Which conversation is meant by a session, or by a Vigil's name.
    pub(crate) async fn subject(&self, named: &str, spirit: Option<&str>) -> Result<Subject> {
        if !is_session(named) {
            let Self::Cluster(cluster) = self else {
                return Err(Misused(format!(
                    "{named:?} is not a session: write it as voice/sender, such as web/you. eywa up has no Vigils by name"
                ))
                .into());
            };
            let vigil = cluster.vigil(named).await?;
            let (of, session) = (vigil.spec.spirit_ref.name, vigil.spec.session);
            if let Some(spirit) = spirit.filter(|spirit| *spirit != of) {
                return Err(Misused(format!("the Vigil {named} is {of}'s, not {spirit}'s")).into());
            }
            return Ok(Subject {
                spirit: of,
                session,
            });
        }
        let spirit = match (spirit, self) {
            (Some(spirit), _) => spirit.to_owned(),
            (None, Self::Cluster(cluster)) => cluster.spirit_with_voice(named).await?,
            (None, Self::Local(desk)) => local_spirit(desk, named).await?,
        };
        Ok(Subject {
            spirit,
            session: named.to_owned(),
        })
    }

    /// The desk of a Spirit.
    pub(crate) async fn desk(&self, spirit: &str) -> Result<Desk> {
        match self {
            Self::Local(desk) => Ok(desk.clone()),
            Self::Cluster(cluster) => {
                let bearer = cluster.bearer().await?;
                let url = cluster.forward(spirit, desk_api::PORT).await?;
                Ok(Desk::new(Url::parse(&url)?, bearer))
            }
        }
    }

    /// The desks of a Spirit, or of all: one of an `eywa up`, one for each Spirit of a namespace. Those that cannot be
    /// reached are told of and left out.
    ///
    /// # Errors
    /// When none can be reached.
    pub(crate) async fn desks(&self, spirit: Option<&str>) -> Result<Vec<(Option<String>, Desk)>> {
        let cluster = match self {
            Self::Local(desk) => return Ok(vec![(None, desk.clone())]),
            Self::Cluster(cluster) => cluster,
        };
        if let Some(spirit) = spirit {
            return Ok(vec![(Some(spirit.to_owned()), self.desk(spirit).await?)]);
        }
        cluster.bearer().await?;
        let spirits = cluster.spirits().await?;
        let names: Vec<String> = spirits.iter().map(kube::ResourceExt::name_any).collect();
        let opened = join_all(names.iter().map(|name| self.desk(name))).await;
        let (mut desks, mut failed) = (Vec::new(), Vec::new());
        for (name, opened) in names.into_iter().zip(opened) {
            match opened {
                Ok(desk) => desks.push((Some(name), desk)),
                Err(error) => failed.push((name, error)),
            }
        }
        if desks.is_empty()
            && let Some((_, error)) = failed.pop()
        {
            return Err(error);
        }
        for (name, error) in failed {
            eprintln!("note: {name} is left out: {error:#}");
        }
        Ok(desks)
    }

    /// What a desk's no means for the person.
    pub(crate) async fn explain(&self, doing: &str, error: DeskError) -> anyhow::Error {
        match error {
            DeskError::Forbidden(permission) => {
                let (namespace, user) = match self {
                    Self::Cluster(cluster) => {
                        (Some(cluster.namespace.clone()), cluster.me().await.ok())
                    }
                    Self::Local(_) => (None, None),
                };
                Refused::NotAllowed(Box::new(NotAllowed {
                    doing: doing.to_owned(),
                    permission,
                    namespace,
                    user,
                }))
                .into()
            }
            DeskError::Unknown(detail) => {
                let who = match self {
                    Self::Local(_) => "its token is not this eywa up's",
                    Self::Cluster(_) => {
                        "the cluster does not vouch for the kubeconfig user's token, or the --token"
                    }
                };
                anyhow!(
                    "the desk does not know you: {who} ({})",
                    safe::line(&detail)
                )
            }
            DeskError::NotFound(detail) => anyhow!("{}", safe::line(&detail)),
            DeskError::Conflict { detail, .. } | DeskError::Unfit(detail) => {
                anyhow!("{}", safe::line(&detail))
            }
            DeskError::Failed { status, detail } => {
                anyhow!("the desk answered {status}: {}", safe::line(&detail))
            }
            other => other.into(),
        }
    }

    /// `for a cluster …` or nothing: how empty results are told.
    pub(crate) fn nothing_found(&self) -> String {
        match self {
            Self::Local(_) => "No resources found.".to_owned(),
            Self::Cluster(cluster) => {
                format!("No resources found in {} namespace.", cluster.namespace)
            }
        }
    }
}

/// The Spirit of an `eywa up` that is meant: its only one, or the only one that has this conversation.
async fn local_spirit(desk: &Desk, session: &str) -> Result<String> {
    let me = desk.get(&["me"], &[]).await?;
    let spirits: Vec<String> = serde_json::from_value(me["spirits"].clone()).unwrap_or_default();
    if spirits.len() == 1 || session == VigilSpec::EVERY_SESSION {
        return only_spirit(spirits, None, "this eywa up");
    }
    let found = desk
        .get(&["conversations"], &[("q", session), ("limit", "200")])
        .await?;
    let having: Vec<String> = found["conversations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["session"] == session)
        .filter_map(|one: &Value| one["spirit"].as_str().map(ToOwned::to_owned))
        .collect();
    if having.is_empty() {
        bail!(
            "no Spirit of this eywa up has had the conversation {}; say which is meant with --spirit: {}",
            safe::line(session),
            spirits.join(", ")
        );
    }
    only_spirit(having, None, "this eywa up")
}

/// The only one of these Spirits.
///
/// # Errors
/// When there is none, or more than one.
pub(crate) fn only_spirit(
    mut names: Vec<String>,
    voice: Option<&str>,
    place: &str,
) -> Result<String> {
    let with = voice.map_or_else(String::new, |voice| {
        format!(" with a voice {:?}", safe::line(voice))
    });
    match names.len() {
        1 => Ok(names.swap_remove(0)),
        0 => bail!("there is no Spirit{with} in {place}"),
        _ => Err(Misused(format!(
            "there are several Spirits{with} in {place}; say which is meant with --spirit: {}",
            names.join(", ")
        ))
        .into()),
    }
}
