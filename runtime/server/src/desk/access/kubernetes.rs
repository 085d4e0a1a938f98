//! In a cluster Kubernetes says who somebody is, by a TokenReview, and what they may, by SubjectAccessReviews.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest as _, Sha256};
use tokio::{sync::Semaphore, time::timeout};
use tracing::warn;

use super::{Access, Denied, Mode, Person, Right};

/// For how long an answer is taken for true: a right that is taken away is gone by then.
const HOLDS: Duration = Duration::from_secs(10);
/// How many answers of a kind are known at a time.
const MOST_KNOWN: usize = 1024;
/// How many questions are asked at a time: one who makes tokens up must not make the API server work for it.
const AT_A_TIME: usize = 16;
/// The longest that the API server may take, and that a question may wait to be asked.
const WITHIN: Duration = Duration::from_secs(5);

/// What the API server of a cluster says.
pub struct ClusterAccess {
    client: Client,
    namespace: String,
    /// By the hash of the token: tokens are not kept.
    people: Known<[u8; 32], Option<Person>>,
    rights: Known<(String, Option<String>, Vec<String>, Right), bool>,
    asking: Semaphore,
}

impl ClusterAccess {
    /// For the Spirits of `namespace`.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            people: Known::default(),
            rights: Known::default(),
            asking: Semaphore::new(AT_A_TIME),
        }
    }

    /// Asks for a review. Whatever goes wrong, nobody is let in.
    async fn ask<K>(&self, review: &K, what: &str) -> Result<K, Denied>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned
            + serde::Serialize,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let asked = timeout(WITHIN, async {
            let _place = self.asking.acquire().await;
            api.create(&PostParams::default(), review).await
        });
        let refused = match asked.await {
            Ok(Ok(reviewed)) => return Ok(reviewed),
            Ok(Err(kube::Error::Api(refusal))) if [401, 403].contains(&refusal.code) => {
                warn!(%refusal, what, "the runtime may not ask the API server who somebody is");
                format!(
                    "The runtime's ServiceAccount may not create {what}: the ClusterRoleBinding to the chart's ClusterRole for desks does not name its namespace (see desk.namespaces)."
                )
            }
            Ok(Err(error)) => {
                warn!(%error, what, "the API server cannot be asked who somebody is");
                "The Kubernetes API cannot be reached, so nobody can be let in. Who has a conversation stays as it is."
                    .to_owned()
            }
            Err(_) => {
                "The Kubernetes API does not answer in time, so nobody can be let in. Who has a conversation stays as it is."
                    .to_owned()
            }
        };
        Err(Denied::Unavailable(refused))
    }
}

/// The verb and the resource that a right is granted by.
fn rule(right: Right) -> (&'static str, &'static str) {
    match right {
        Right::Read => ("get", "vigils"),
        Right::TakeOver => ("update", "vigils"),
        Right::Decide => ("update", "rites"),
    }
}

#[async_trait]
impl Access for ClusterAccess {
    fn mode(&self) -> Mode {
        Mode::Cluster
    }

    async fn person(&self, token: &str) -> Result<Person, Denied> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let person = match self.people.get(&hash) {
            Some(known) => known,
            None => {
                let review = TokenReview {
                    spec: TokenReviewSpec {
                        token: Some(token.to_owned()),
                        ..Default::default()
                    },
                    ..Default::default()
                };
                let reviewed = self.ask(&review, "tokenreviews").await?;
                let person = reviewed.status.and_then(recognised);
                self.people.put(hash, person.clone());
                person
            }
        };
        person.ok_or(Denied::Unknown)
    }

    async fn may(&self, person: &Person, right: Right) -> Result<bool, Denied> {
        let key = (
            person.name.clone(),
            person.uid.clone(),
            person.groups.clone(),
            right,
        );
        if let Some(known) = self.rights.get(&key) {
            return Ok(known);
        }
        let (verb, resource) = rule(right);
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(person.name.clone()),
                uid: person.uid.clone(),
                groups: Some(person.groups.clone()),
                extra: Some(person.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(eywa_crds::GROUP.to_owned()),
                    resource: Some(resource.to_owned()),
                    verb: Some(verb.to_owned()),
                    namespace: Some(self.namespace.clone()),
                    ..Default::default()
                }),
                ..Default::default()
            },
            ..Default::default()
        };
        let reviewed = self.ask(&review, "subjectaccessreviews").await?;
        let allowed = reviewed
            .status
            .is_some_and(|status| status.allowed && status.denied != Some(true));
        self.rights.put(key, allowed);
        Ok(allowed)
    }

    fn permission(&self, right: Right) -> String {
        let (verb, resource) = rule(right);
        format!(
            "{verb} {resource}.{} in namespace {}",
            eywa_crds::GROUP,
            self.namespace
        )
    }
}

fn recognised(status: k8s_openapi::api::authentication::v1::TokenReviewStatus) -> Option<Person> {
    let user = status.user.filter(|_| status.authenticated == Some(true))?;
    Some(Person {
        name: user.username.filter(|name| !name.is_empty())?,
        uid: user.uid,
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    })
}

/// Answers of the last seconds, so many at most.
struct Known<K, V>(Mutex<HashMap<K, (V, Instant)>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Known<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, since) = known.get(key)?;
        (since.elapsed() < HOLDS).then(|| answer.clone())
    }

    fn put(&self, key: K, answer: V) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, (_, since)| since.elapsed() < HOLDS);
        }
        // One who floods the desk with made-up tokens makes everybody's answers asked for again, and no more than that.
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key, (answer, Instant::now()));
    }
}
