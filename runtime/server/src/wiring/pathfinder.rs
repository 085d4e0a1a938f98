//! The Pathfinder: the front Spirit's ways, and those of the Spirits that it routes to.

use std::sync::Arc;

use eywa_adapters::pathfinder::{Chooser, RoutesPathfinder, Ways};
use eywa_crds::runtime_config::{
    CompiledOracle, CompiledPathfinder, CompiledSpirit, RuntimeConfig,
};
use eywa_weave::SpiritName;

use super::{Shared, WireError};
use crate::secrets::Secrets;

/// The Pathfinder of these Spirits, if the front one has routes.
pub(super) fn wire(
    config: &RuntimeConfig,
    front: &CompiledSpirit,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Option<RoutesPathfinder>, WireError> {
    let Some(settings) = &front.pathfinder else {
        return Ok(None);
    };
    let with_ways = config.spirits.values().filter_map(|spirit| {
        let pathfinder = spirit.pathfinder.as_ref()?;
        Some(
            ways(spirit, pathfinder, secrets, shared)
                .map(|ways| (SpiritName::from(spirit.name.as_str()), ways)),
        )
    });
    let with_ways = with_ways.collect::<Result<Vec<_>, _>>()?;
    let front = SpiritName::from(front.name.as_str());
    Ok(Some(RoutesPathfinder::new(
        front,
        with_ways,
        settings.sticky,
    )))
}

fn ways(
    spirit: &CompiledSpirit,
    pathfinder: &CompiledPathfinder,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Ways, WireError> {
    let routes = pathfinder
        .routes
        .iter()
        .map(|route| (route.spirit.as_str().into(), route.when.as_deref()));
    let ways = Ways::new(routes)
        .map_err(|reason| WireError::invalid(&spirit.name, "pathfinder.routes", reason))?;
    let Some(oracle) = &pathfinder.oracle else {
        return Ok(ways);
    };
    let chooser = chooser(spirit, pathfinder, oracle, secrets, shared)?;
    Ok(ways.choosing(chooser, pathfinder.reconsider))
}

#[cfg(feature = "pathfinder-oracle")]
fn chooser(
    spirit: &CompiledSpirit,
    pathfinder: &CompiledPathfinder,
    oracle: &CompiledOracle,
    secrets: &dyn Secrets,
    shared: &Shared,
) -> Result<Arc<dyn Chooser>, WireError> {
    use eywa_adapters::pathfinder::OracleChooser;

    let asking = super::oracles::asking(spirit, oracle, secrets, shared)?;
    let described = pathfinder.routes.iter().filter_map(|route| {
        let description = route.description.clone()?;
        Some((route.spirit.as_str().into(), description))
    });
    Ok(Arc::new(OracleChooser::new(asking, described)))
}

#[cfg(not(feature = "pathfinder-oracle"))]
fn chooser(
    spirit: &CompiledSpirit,
    _: &CompiledPathfinder,
    _: &CompiledOracle,
    _: &dyn Secrets,
    _: &Shared,
) -> Result<Arc<dyn Chooser>, WireError> {
    Err(WireError::not_built_in(
        &spirit.name,
        "pathfinder.oracle",
        "pathfinder-oracle",
    ))
}
