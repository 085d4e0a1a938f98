//! Who refers to what: from a Secret, ConfigMap, Conduit or Spirit to the objects to reconcile when it changes.

use kube::{Resource, runtime::reflector::ObjectRef};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

/// What can be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A core Secret.
    Secret,
    /// A core ConfigMap.
    ConfigMap,
    /// A Conduit.
    Conduit,
    /// A Spirit.
    Spirit,
}

/// One referred-to object: what it is, and its name. Its namespace is that of whoever refers to it.
pub type Reference = (Target, String);

/// References of all objects of kind `K`, both ways.
///
/// A reconcile records its references *before* it reads them, so that a change in between is not missed.
pub struct References<K: Resource<DynamicType = ()>> {
    sides: Mutex<Sides<K>>,
}

struct Sides<K: Resource<DynamicType = ()>> {
    by_referrer: HashMap<ObjectRef<K>, HashSet<Reference>>,
    by_target: HashMap<(String, Reference), HashSet<ObjectRef<K>>>,
}

impl<K: Resource<DynamicType = ()>> Default for References<K> {
    fn default() -> Self {
        Self {
            sides: Mutex::new(Sides {
                by_referrer: HashMap::new(),
                by_target: HashMap::new(),
            }),
        }
    }
}

impl<K: Resource<DynamicType = ()>> References<K> {
    /// Replaces what `referrer` refers to. None: it is gone.
    pub fn record(&self, referrer: &ObjectRef<K>, references: HashSet<Reference>) {
        let namespace = referrer.namespace.clone().unwrap_or_default();
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        let sides = &mut *sides;
        for gone in sides
            .by_referrer
            .remove(referrer)
            .unwrap_or_default()
            .difference(&references)
        {
            let key = (namespace.clone(), gone.clone());
            if let Some(referrers) = sides.by_target.get_mut(&key) {
                referrers.remove(referrer);
                if referrers.is_empty() {
                    sides.by_target.remove(&key);
                }
            }
        }
        for reference in &references {
            sides
                .by_target
                .entry((namespace.clone(), reference.clone()))
                .or_default()
                .insert(referrer.clone());
        }
        if !references.is_empty() {
            sides.by_referrer.insert(referrer.clone(), references);
        }
    }

    /// Those that refer to the object, in no particular order.
    #[must_use]
    pub fn to(&self, target: Target, namespace: &str, name: &str) -> Vec<ObjectRef<K>> {
        let sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), (target, name.to_owned()));
        sides
            .by_target
            .get(&key)
            .map(|referrers| referrers.iter().cloned().collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;

    fn secret(name: &str) -> Reference {
        (Target::Secret, name.to_owned())
    }

    #[test]
    fn a_change_reaches_those_that_refer_to_it_and_no_others() {
        let references = References::<Pod>::default();
        let ana = ObjectRef::<Pod>::new("ana").within("shop");
        let ben = ObjectRef::<Pod>::new("ben").within("shop");
        let far = ObjectRef::<Pod>::new("ana").within("elsewhere");
        references.record(&ana, HashSet::from([secret("a"), secret("both")]));
        references.record(&ben, HashSet::from([secret("both")]));
        references.record(&far, HashSet::from([secret("a")]));
        assert_eq!(
            references.to(Target::Secret, "shop", "a"),
            std::slice::from_ref(&ana)
        );
        assert_eq!(references.to(Target::Secret, "shop", "both").len(), 2);
        assert!(references.to(Target::ConfigMap, "shop", "a").is_empty());
    }

    #[test]
    fn a_reference_that_was_dropped_is_forgotten() {
        let references = References::<Pod>::default();
        let ana = ObjectRef::<Pod>::new("ana").within("shop");
        references.record(&ana, HashSet::from([secret("old"), secret("kept")]));
        references.record(&ana, HashSet::from([secret("kept")]));
        assert!(references.to(Target::Secret, "shop", "old").is_empty());
        assert_eq!(
            references.to(Target::Secret, "shop", "kept"),
            std::slice::from_ref(&ana)
        );
        references.record(&ana, HashSet::new());
        assert!(references.sides.lock().unwrap().by_target.is_empty());
        assert!(references.sides.lock().unwrap().by_referrer.is_empty());
    }
}
