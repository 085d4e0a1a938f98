//! Where conversations are kept: one file in one folder, for all Spirits. Bonds are in memory, since there is one process.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use eywa_adapters::{
    attachments::RedbAttachments, bond::InMemoryBond, chronicle::RedbChronicle,
    contacts::RedbContacts, echoes::RedbEchoes, inbox::RedbInbox, memory::RedbMemory, redb::Redb,
    rite::RedbRites, vigil::RedbVigil,
};
use eywa_runtime::wiring::Stores;

/// The open file.
pub(super) struct Kept(Redb);

impl Kept {
    /// Opens the file in this folder, which is made if there is none.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        Ok(Self(Redb::open(folder, "")?))
    }

    /// The stores of one Spirit.
    pub(super) fn stores(&self, spirit: &str) -> Stores {
        let redb = self.0.of(spirit);
        Stores {
            bond: Arc::new(InMemoryBond::new()),
            inbox: Arc::new(RedbInbox::new(redb.clone())),
            echoes: Arc::new(RedbEchoes::new(redb.clone())),
            chronicle: Arc::new(RedbChronicle::new(redb.clone())),
            memory: Arc::new(RedbMemory::new(redb.clone())),
            rites: Arc::new(RedbRites::new(redb.clone())),
            attachments: Arc::new(RedbAttachments::new(redb.clone())),
            contacts: Arc::new(RedbContacts::new(redb.clone())),
            vigil: Arc::new(RedbVigil::new(redb)),
        }
    }
}
