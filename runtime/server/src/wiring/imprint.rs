//! What a Spirit remembers of people.

use std::sync::Arc;

use eywa_crds::runtime_config::CompiledSpirit;
use eywa_weave::{
    imprint::Remembering,
    ports::{Imprint, imprint::Keeping},
    spirit::Scouting,
};

use super::{Shared, WireError, oracles};
use crate::secrets::Secrets;

/// How facts are drawn for the front Spirit, and the Scout that shows them; nothing, where it remembers nobody.
pub(super) fn wire(
    front: &CompiledSpirit,
    secrets: &dyn Secrets,
    imprint: &Arc<dyn Imprint>,
    shared: &Shared,
) -> Result<Option<(Remembering, Scouting)>, WireError> {
    let Some(config) = front.imprint.as_ref().filter(|imprint| !imprint.off) else {
        return Ok(None);
    };
    let own = config.oracle.iter();
    let oracles = own.map(|oracle| oracles::asking(front, oracle, secrets, shared));
    let remembering = Remembering {
        after: config.after.as_std(),
        keeping: Keeping {
            most: usize::try_from(config.max_facts).unwrap_or(usize::MAX),
            max_age: config.max_age.as_std(),
        },
        oracles: oracles.collect::<Result<_, _>>()?,
    };
    let scouting = scouting(front, imprint, remembering.keeping)?;
    Ok(Some((remembering, scouting)))
}

#[cfg(feature = "scout-imprint")]
fn scouting(
    _: &CompiledSpirit,
    imprint: &Arc<dyn Imprint>,
    keeping: Keeping,
) -> Result<Scouting, WireError> {
    use std::time::Duration;

    use eywa_adapters::scout::ImprintScout;

    /// One read of a store that is near: when it takes longer, something is wrong with it.
    const TIMEOUT: Duration = Duration::from_secs(1);

    Ok(Scouting {
        scout: Arc::new(ImprintScout::new(Arc::clone(imprint), keeping.max_age)),
        timeout: TIMEOUT,
        when: None,
    })
}

#[cfg(not(feature = "scout-imprint"))]
fn scouting(
    front: &CompiledSpirit,
    _: &Arc<dyn Imprint>,
    _: Keeping,
) -> Result<Scouting, WireError> {
    Err(WireError::not_built_in(
        &front.name,
        "the Imprint",
        "scout-imprint",
    ))
}
