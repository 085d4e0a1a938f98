//! Where conversations are kept.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use eywa_adapters::{
    bond::InMemoryBond, chronicle::InMemoryChronicle, echoes::InMemoryEchoes, inbox::InMemoryInbox,
    memory::InMemoryMemory, vigil::InMemoryVigil,
};
use eywa_runtime::wiring::Stores;

pub(super) struct Kept;

impl Kept {
    pub(super) fn open(_data: &Path) -> Result<Self> {
        Ok(Self)
    }
    pub(super) fn stores(&self, _namespace: &str, _spirit: &str) -> Result<Stores> {
        Ok(Stores {
            bond: Arc::new(InMemoryBond::new()),
            inbox: Arc::new(InMemoryInbox::new()),
            echoes: Arc::new(InMemoryEchoes::new()),
            chronicle: Arc::new(InMemoryChronicle::new()),
            memory: Arc::new(InMemoryMemory::new()),
            vigil: Arc::new(InMemoryVigil::new()),
        })
    }
}
