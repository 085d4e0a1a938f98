//! Deciding Rites by their objects, as `kubectl patch` would. A decision is made once; the API server keeps that.

use std::time::Duration;

use anyhow::{Result, bail};
use eywa_crds::{
    Rite,
    rite::{Decision, RitePhase},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Cluster, Needs, is_code};
use crate::{refusal::Refused, terminal::safe};

const ATTEMPTS: usize = 5;
const BETWEEN: Duration = Duration::from_millis(250);
const RESOURCE: &str = "rites.eywa.dev";

/// What came of a decision.
pub(crate) struct Decided {
    pub(crate) rite: Rite,
    /// Whether a runtime pod has taken note of it.
    pub(crate) noted: bool,
}

impl Cluster {
    /// The Rites of the namespace, or of one Spirit.
    pub(crate) async fn rites(&self, spirit: Option<&str>) -> Result<Vec<Rite>> {
        let needs = Needs {
            doing: "look for the Rites",
            verb: "list",
            resource: RESOURCE,
        };
        let params = match spirit {
            Some(spirit) => ListParams::default().fields(&format!("spec.spiritRef.name={spirit}")),
            None => ListParams::default(),
        };
        let listed = self.ask(&needs, self.api::<Rite>().list(&params)).await?;
        Ok(listed.items)
    }

    /// Decides, and waits until a runtime pod has taken note.
    ///
    /// # Errors
    /// [`Refused`] when the caller may not, or it is decided or over.
    pub(crate) async fn decide(
        &self,
        name: &str,
        decision: Decision,
        comment: Option<&str>,
        within: Duration,
    ) -> Result<Decided> {
        let me = self.me().await?;
        for _ in 0..ATTEMPTS {
            let found = self.rite(name).await?;
            if found.spec.decision == decision && found.spec.by.as_deref() == Some(&*me) {
                return self.noted(&found, within).await;
            }
            if let Some(why) = why_not(&found) {
                return Err(Refused::Decided {
                    name: name.to_owned(),
                    why,
                }
                .into());
            }
            let edit = json!({
                "metadata": {"resourceVersion": found.resource_version()},
                "spec": {"decision": decision, "by": me, "comment": comment},
            });
            let doing = format!(
                "decide {} of {}",
                found.spec.action, found.spec.spirit_ref.name
            );
            let needs = Needs {
                doing: &doing,
                verb: "patch",
                resource: RESOURCE,
            };
            let (api, params): (Api<Rite>, _) = (self.api(), PatchParams::default());
            let patch = Patch::Merge(&edit);
            match self.ask(&needs, api.patch(name, &params, &patch)).await {
                Ok(decided) => return self.noted(&decided, within).await,
                // Somebody was there first: perhaps with a decision.
                Err(error) if is_code(&error, 409) => {}
                Err(error) => return Err(error),
            }
        }
        bail!(
            "the Rite {name} was edited by others each time before it could be decided; try again"
        )
    }

    async fn rite(&self, name: &str) -> Result<Rite> {
        let needs = Needs {
            doing: &format!("look at the Rite {name}"),
            verb: "get",
            resource: RESOURCE,
        };
        self.ask(&needs, self.api::<Rite>().get(name)).await
    }

    async fn noted(&self, decided: &Rite, within: Duration) -> Result<Decided> {
        let (name, deadline) = (decided.name_any(), Instant::now() + within);
        loop {
            let rite = self.rite(&name).await?;
            let noted = phase(&rite) != RitePhase::Pending;
            if noted || Instant::now() >= deadline {
                return Ok(Decided { rite, noted });
            }
            sleep(BETWEEN).await;
        }
    }
}

/// Where the Rite is.
pub(crate) fn phase(rite: &Rite) -> RitePhase {
    let status = rite.status.as_ref();
    status.and_then(|status| status.phase).unwrap_or_default()
}

/// Why it cannot be decided any more.
fn why_not(rite: &Rite) -> Option<String> {
    let decided = match rite.spec.decision {
        Decision::Undecided => None,
        Decision::Approved => Some("approved"),
        Decision::Denied => Some("denied"),
    };
    if let Some(decided) = decided {
        let by = rite
            .spec
            .by
            .as_deref()
            .map_or_else(String::new, |by| format!(" by {}", safe::line(by)));
        return Some(format!("it was {decided}{by} already"));
    }
    match phase(rite) {
        RitePhase::Pending => None,
        RitePhase::Expired => Some("it has expired; nobody decided in time".to_owned()),
        RitePhase::Void => Some(
            "it is void: what it was bound to, the Spirit or the action, has changed".to_owned(),
        ),
        RitePhase::Approved | RitePhase::Consumed => Some("it was approved already".to_owned()),
        RitePhase::Denied => Some("it was denied already".to_owned()),
    }
}
