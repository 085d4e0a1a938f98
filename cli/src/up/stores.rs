//! Where conversations are kept: one file in one folder, for all Spirits. Bonds are in memory, since there is one process.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use eywa_adapters::{
    attachments::RedbAttachments, bond::InMemoryBond, chronicle::RedbChronicle,
    contacts::RedbContacts, echoes::RedbEchoes, imprint::RedbImprint, inbox::RedbInbox,
    lore::RedbLore, memory::RedbMemory, redb::Redb, rite::RedbRites, vigil::RedbVigil,
};
use eywa_runtime::wiring::{Stores, lore::EmbeddedLore};

/// The open file.
pub(super) struct Kept(Redb);

impl Kept {
    /// Opens the file in this folder, which is made if there is none.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        Ok(Self(Redb::open(folder, "")?))
    }

    /// The Lore of all Spirits.
    pub(super) fn lore(&self) -> EmbeddedLore {
        embedded_lore(self.0.clone())
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
            imprint: Arc::new(RedbImprint::new(redb.clone())),
            vigil: Arc::new(RedbVigil::new(redb)),
        }
    }
}

/// Documents that are kept in the same file, for each Spirit and each length of vectors apart.
pub(crate) fn embedded_lore(redb: Redb) -> EmbeddedLore {
    Arc::new(move |spirit, dimensions| {
        Arc::new(RedbLore::new(redb.of(spirit), dimensions.to_string()))
    })
}
