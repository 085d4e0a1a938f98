//! Taking over and giving back by the Vigil object, as `kubectl patch` would.
//!
//! Who may is RBAC's to say, so no token for the desk is needed, and an order given while no runtime pod is ready stands
//! until one is. Each edit names the version that it was decided on: of two people who take the same conversation at once,
//! the second is told who has it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use eywa_crds::{
    Vigil, labels,
    vigil::{FOLLOWED, KEPT_BY, KEPT_BY_RUNTIME, VigilPhase, VigilSpec, VigilStatus, object_name},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Cluster, Needs, is_code};
use crate::{attend::Subject, name, refusal::Refused};

/// How often an edit is decided anew because somebody else made one meanwhile.
const ATTEMPTS: usize = 5;
/// Between two looks at what became of an order.
const BETWEEN: Duration = Duration::from_millis(250);
/// The name under which the edits are recorded.
const FIELD_MANAGER: &str = "kubectl-eywa";
const RESOURCE: &str = "vigils.eywa.dev";

/// What an order adds to who and what.
pub(crate) struct Order<'a> {
    pub(crate) reason: Option<&'a str>,
    pub(crate) release_after: Option<&'a str>,
    /// How long to wait until it is carried out.
    pub(crate) within: Duration,
}

/// What came of an order.
pub(crate) enum Done {
    /// It was carried out; the object says so.
    Carried(Box<Vigil>),
    /// There was nothing to do.
    Already(Option<Box<Vigil>>),
}

impl Cluster {
    /// A Vigil by its name.
    pub(crate) async fn vigil(&self, vigil: &str) -> Result<Vigil> {
        let needs = Needs {
            doing: &format!("look at the Vigil {vigil}"),
            verb: "get",
            resource: RESOURCE,
        };
        self.ask(&needs, self.api::<Vigil>().get(vigil)).await
    }

    /// The Vigils of the namespace, or of one Spirit.
    pub(crate) async fn vigils(&self, spirit: Option<&str>) -> Result<Vec<Vigil>> {
        let needs = Needs {
            doing: "look for the Vigils",
            verb: "list",
            resource: RESOURCE,
        };
        let params = match spirit {
            Some(spirit) => ListParams::default().fields(&format!("spec.spiritRef.name={spirit}")),
            None => ListParams::default(),
        };
        let listed = self.ask(&needs, self.api::<Vigil>().list(&params)).await?;
        Ok(listed.items)
    }

    /// Takes a conversation over, and waits until the agent is silent in it.
    ///
    /// # Errors
    /// [`Refused`] when the caller may not, or another person has it.
    pub(crate) async fn take_over(&self, subject: &Subject, order: &Order<'_>) -> Result<Done> {
        let me = self.me().await?;
        for _ in 0..ATTEMPTS {
            let ordered = match self.vigil_about(subject).await? {
                None => self.create(subject, &me, order).await?,
                Some(found) => {
                    let (phase, holder) = (phase(&found), holder(&found));
                    if matches!(phase, VigilPhase::Active | VigilPhase::TakingOver) {
                        if holder != me {
                            return Err(held_by(subject, &found).into());
                        }
                        if phase == VigilPhase::Active {
                            return Ok(Done::Already(Some(Box::new(found))));
                        }
                        Some(found)
                    } else if found.spec.takeover && is_outstanding(&found) {
                        // Somebody's order has been given and is not carried out yet.
                        if found.spec.by.as_deref() != Some(&*me) {
                            return Err(held_by(subject, &found).into());
                        }
                        Some(found)
                    } else {
                        self.edit(&found, true, &me, order).await?
                    }
                }
            };
            if let Some(ordered) = ordered {
                return self.until_taken(subject, &ordered, &me, order.within).await;
            }
        }
        bail!("{subject} was edited by others each time before it could be taken over; try again")
    }

    /// Gives a conversation back, and waits until the agent has it. In another's place only with `force`; a whole Spirit
    /// may be given back by everybody who may silence it.
    ///
    /// # Errors
    /// [`Refused`] when the caller may not, or another person has it.
    pub(crate) async fn give_back(
        &self,
        subject: &Subject,
        force: bool,
        order: &Order<'_>,
    ) -> Result<Done> {
        let me = self.me().await?;
        for _ in 0..ATTEMPTS {
            let Some(found) = self.vigil_about(subject).await? else {
                return Ok(Done::Already(None));
            };
            let taken = matches!(phase(&found), VigilPhase::Active | VigilPhase::TakingOver);
            let ordered = found.spec.takeover && is_outstanding(&found);
            if !taken && !ordered {
                return Ok(Done::Already(Some(Box::new(found))));
            }
            let holder = holder(&found);
            if !force && !subject.is_every_session() && !holder.is_empty() && holder != me {
                return Err(Refused::NotYours {
                    spirit: subject.spirit.clone(),
                    session: subject.session.clone(),
                    by: holder,
                }
                .into());
            }
            if let Some(ordered) = self.edit(&found, false, &me, order).await? {
                return self.until_given_back(subject, &ordered, order.within).await;
            }
        }
        bail!("{subject} was edited by others each time before it could be given back; try again")
    }

    /// The Vigil about exactly this conversation. Of two, the older counts.
    async fn vigil_about(&self, subject: &Subject) -> Result<Option<Vigil>> {
        let vigils = self.vigils(Some(&subject.spirit)).await?;
        let about = vigils.into_iter().filter(|vigil| {
            vigil.spec.session == subject.session && vigil.metadata.deletion_timestamp.is_none()
        });
        Ok(about.min_by_key(|vigil| {
            let created = vigil.creation_timestamp().map(|created| created.0);
            (created, vigil.name_any())
        }))
    }

    /// None when somebody else made it first.
    async fn create(
        &self,
        subject: &Subject,
        me: &str,
        order: &Order<'_>,
    ) -> Result<Option<Vigil>> {
        let spec = json!({
            "spiritRef": {"name": subject.spirit},
            "session": subject.session,
            "takeover": true,
            "by": me,
            "reason": order.reason,
            "releaseAfter": order.release_after,
        });
        let spec: VigilSpec = serde_json::from_value(spec).context("this makes no Vigil")?;
        let vigil = Vigil {
            metadata: ObjectMeta {
                name: Some(object_name(&subject.spirit, &subject.session)),
                // As one that the runtime makes: it follows what is done at the desk, and is tidied away after its end.
                labels: Some(
                    [
                        (KEPT_BY, KEPT_BY_RUNTIME),
                        (labels::SPIRIT, &*subject.spirit),
                    ]
                    .map(|(label, value)| (label.to_owned(), value.to_owned()))
                    .into(),
                ),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        };
        let doing = format!("take over {subject}");
        let needs = Needs {
            doing: &doing,
            verb: "create",
            resource: RESOURCE,
        };
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        unless_outrun(
            self.ask(&needs, self.api::<Vigil>().create(&params, &vigil))
                .await,
        )
    }

    /// Gives the order by an edit of this very version. None when there is a newer one.
    ///
    /// An order is carried out once, and only an edit makes it a new one: where the spec says already what is wanted (it
    /// was given back for lack of activity, or taken at the desk), the opposite is said first, which changes nothing in
    /// the state that it is said in.
    async fn edit(
        &self,
        found: &Vigil,
        takeover: bool,
        me: &str,
        order: &Order<'_>,
    ) -> Result<Option<Vigil>> {
        let mut found = found.clone();
        if found.spec.takeover == takeover {
            match self.patch(&found, !takeover, me, order).await? {
                Some(edited) => found = edited,
                None => return Ok(None),
            }
        }
        self.patch(&found, takeover, me, order).await
    }

    async fn patch(
        &self,
        found: &Vigil,
        takeover: bool,
        me: &str,
        order: &Order<'_>,
    ) -> Result<Option<Vigil>> {
        let mut spec = json!({"takeover": takeover, "by": me, "reason": order.reason});
        if let Some(release_after) = order.release_after {
            spec["releaseAfter"] = release_after.into();
        }
        let edit = json!({"metadata": {"resourceVersion": found.resource_version()}, "spec": spec});
        let name = found.name_any();
        let deed = if takeover { "take over" } else { "give back" };
        let doing = format!(
            "{deed} {} of {}",
            found.spec.session, found.spec.spirit_ref.name
        );
        let needs = Needs {
            doing: &doing,
            verb: "patch",
            resource: RESOURCE,
        };
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api: Api<Vigil> = self.api();
        unless_outrun(
            self.ask(&needs, api.patch(&name, &params, &Patch::Merge(&edit)))
                .await,
        )
    }

    async fn until_taken(
        &self,
        subject: &Subject,
        ordered: &Vigil,
        me: &str,
        within: Duration,
    ) -> Result<Done> {
        self.until(subject, ordered, "taken over", within, |vigil| {
            if phase(vigil) != VigilPhase::Active {
                return Ok(false);
            }
            if holder(vigil) == me {
                Ok(true)
            } else {
                Err(held_by(subject, vigil).into())
            }
        })
        .await
    }

    async fn until_given_back(
        &self,
        subject: &Subject,
        ordered: &Vigil,
        within: Duration,
    ) -> Result<Done> {
        self.until(subject, ordered, "given back", within, |vigil| {
            Ok(!is_outstanding(vigil)
                && !matches!(phase(vigil), VigilPhase::Active | VigilPhase::TakingOver))
        })
        .await
    }

    async fn until(
        &self,
        subject: &Subject,
        ordered: &Vigil,
        what: &str,
        within: Duration,
        is_done: impl Fn(&Vigil) -> Result<bool>,
    ) -> Result<Done> {
        let (name, deadline) = (ordered.name_any(), Instant::now() + within);
        loop {
            let vigil = self.vigil(&name).await?;
            if is_done(&vigil)? {
                return Ok(Done::Carried(Box::new(vigil)));
            }
            if let Some(other) = superseded(&vigil) {
                bail!("the Vigil {name} stands behind an older one about the same: {other}");
            }
            if Instant::now() >= deadline {
                bail!(
                    "{subject} was not {what} within {} s; its phase is {}. The order stands, and a runtime pod carries \
                     it out as soon as it can; see `kubectl -n {} get pods -l {}`",
                    within.as_secs(),
                    phase(&vigil).as_str(),
                    self.namespace,
                    labels::runtime_pods_selector(&subject.spirit),
                );
            }
            sleep(BETWEEN).await;
        }
    }
}

/// Where the Vigil is.
pub(crate) fn phase(vigil: &Vigil) -> VigilPhase {
    let status = vigil.status.as_ref();
    status.and_then(|status| status.phase).unwrap_or_default()
}

/// Who has it, or is about to; empty when nobody says.
fn holder(vigil: &Vigil) -> String {
    let status = vigil.status.as_ref();
    let holds = matches!(phase(vigil), VigilPhase::Active | VigilPhase::TakingOver);
    let by = status
        .and_then(|status| status.by.clone())
        .filter(|_| holds);
    by.or_else(|| vigil.spec.by.clone()).unwrap_or_default()
}

/// Whether no pod has acted on what the object says now. What a pod wrote itself orders nothing.
fn is_outstanding(vigil: &Vigil) -> bool {
    let annotations = vigil.metadata.annotations.as_ref();
    let followed = annotations.and_then(|annotations| annotations.get(FOLLOWED)?.parse().ok());
    if followed.is_some() && followed == vigil.metadata.generation {
        return false;
    }
    let observed = |status: &VigilStatus| status.observed_generation;
    vigil.status.as_ref().and_then(observed) != vigil.metadata.generation
}

/// What the runtime says of a Vigil that stands behind another one.
fn superseded(vigil: &Vigil) -> Option<&str> {
    let conditions = &vigil.status.as_ref()?.conditions;
    let ready = conditions
        .iter()
        .find(|condition| condition.type_ == "Ready" && condition.reason == "Superseded")?;
    Some(&ready.message)
}

fn held_by(subject: &Subject, vigil: &Vigil) -> Refused {
    let status = vigil.status.as_ref();
    let since = status.and_then(|status| status.since.as_ref());
    let by = holder(vigil);
    Refused::HeldBy {
        spirit: subject.spirit.clone(),
        session: subject.session.clone(),
        by: if by.is_empty() {
            "somebody".to_owned()
        } else {
            by
        },
        since: since.map_or_else(String::new, |since| format!(" since {}", since.0)),
        command: name::command(),
    }
}

/// None when the API server says that somebody else was there first.
fn unless_outrun(answer: Result<Vigil>) -> Result<Option<Vigil>> {
    match answer {
        Ok(vigil) => Ok(Some(vigil)),
        Err(error) if is_code(&error, 409) => Ok(None),
        Err(error) => Err(error),
    }
}
