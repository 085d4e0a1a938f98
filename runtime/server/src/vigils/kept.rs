//! Objects that the runtime makes, and what is said of those that change.

use std::collections::BTreeMap;

use eywa_crds::{
    Vigil, labels,
    reference::SpiritRef,
    vigil::{FOLLOWED, KEPT_BY, KEPT_BY_RUNTIME, VigilPhase, VigilSpec, VigilStatus, object_name},
};
use eywa_weave::{
    SpiritName,
    ports::vigil::{Target, Watch},
};

use super::{
    order::Order,
    rota::Announcement,
    status::{HELD_BY_ANOTHER, READY},
};

/// The object for a conversation that a human has, or is asked to take, and that nobody has made one for.
pub(super) fn kept_object(spirit: &SpiritName, target: &Target, watch: &Watch) -> Vigil {
    let session = target.to_string();
    let mut vigil = Vigil::new(
        &object_name(spirit.as_str(), &session),
        VigilSpec {
            spirit_ref: SpiritRef {
                name: spirit.to_string(),
            },
            session,
            takeover: watch.phase.is_human(),
            by: holder(watch),
            reason: None,
            release_after: None,
        },
    );
    let label = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let labels = [
        (KEPT_BY, KEPT_BY_RUNTIME),
        (labels::SPIRIT, spirit.as_str()),
    ];
    vigil.metadata.labels = Some(labels.map(label).into());
    vigil.metadata.annotations = Some(BTreeMap::from([label((FOLLOWED, "1"))]));
    vigil
}

/// The object as it is when its spec says who has the conversation. That is its next generation, and it orders nothing.
pub(super) fn following(vigil: &Vigil, order: &Order, watch: &Watch) -> Vigil {
    let mut followed = vigil.clone();
    followed.spec.takeover = watch.phase.is_human();
    if watch.phase.is_human() {
        followed.spec.by = holder(watch);
    }
    followed
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(FOLLOWED.to_owned(), (order.generation + 1).to_string());
    followed
}

fn holder(watch: &Watch) -> Option<String> {
    Some(watch.by.clone()).filter(|by| watch.phase.is_human() && !by.is_empty())
}

/// What is to be said when a status goes from one to another.
pub(super) fn announcements(
    before: Option<&VigilStatus>,
    after: &VigilStatus,
) -> Vec<Announcement> {
    let mut news = Vec::new();
    let mut say = |warning, reason, note| {
        news.push(Announcement {
            warning,
            reason,
            note,
        });
    };
    let by = after.by.as_deref().unwrap_or("a human");
    if before.and_then(|before| before.phase) != after.phase {
        match after.phase {
            Some(VigilPhase::Requested) => {
                let why = after
                    .request_reason
                    .as_deref()
                    .unwrap_or("it does not say why");
                say(
                    true,
                    "Requested",
                    format!("a human is asked to take the conversation: {why}"),
                );
            }
            Some(VigilPhase::Active) => {
                say(
                    false,
                    "TakenOver",
                    format!("{by} has the conversation; the Spirit is silent"),
                );
            }
            Some(VigilPhase::Released) => {
                let who = after.released_by.as_deref().unwrap_or("a human");
                say(
                    false,
                    "Released",
                    format!("the Spirit answers again; given back by: {who}"),
                );
            }
            _ => {}
        }
    }
    let refused = |status: Option<&VigilStatus>| {
        status.is_some_and(|status| {
            status
                .conditions
                .iter()
                .any(|condition| condition.type_ == READY && condition.reason == HELD_BY_ANOTHER)
        })
    };
    if refused(Some(after)) && !refused(before) {
        let note = format!("{by} has the conversation already; it does not change hands");
        say(true, HELD_BY_ANOTHER, note);
    }
    news
}
