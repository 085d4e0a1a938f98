//! The in-memory adapters.

use std::sync::Arc;

use eywa_adapters::{
    attachments::InMemoryAttachments, bond::InMemoryBond, chronicle::InMemoryChronicle,
    contacts::InMemoryContacts, echoes::InMemoryEchoes, imprint::InMemoryImprint,
    inbox::InMemoryInbox, lore::InMemoryLore, memory::InMemoryMemory, rite::InMemoryRites,
    vigil::InMemoryVigil,
};
use eywa_weave::{
    SessionKey,
    ports::{Memory, memory::Tally},
};

use crate::suites;

mod bond {
    use super::*;
    suites::bond_suite!(async || Arc::new(InMemoryBond::new()));
}

mod attachments {
    use super::*;
    suites::attachments_suite!(async || Arc::new(InMemoryAttachments::new()));
}

mod contacts {
    use super::*;
    suites::contacts_suite!(async || Arc::new(InMemoryContacts::new()));
}

mod chronicle {
    use super::*;
    suites::chronicle_suite!(async || Arc::new(InMemoryChronicle::new()));
}

mod echoes {
    use super::*;
    suites::echoes_suite!(async || Arc::new(InMemoryEchoes::new()));
}

mod imprint {
    use super::*;
    suites::imprint_suite!(async || Arc::new(InMemoryImprint::new()));
}

mod inbox {
    use super::*;
    suites::inbox_suite!(async || Arc::new(InMemoryInbox::new()));
}

mod lore {
    use super::*;
    suites::lore_suite!(async || Arc::new(InMemoryLore::new()));
    suites::lore_making_suite!(async || Arc::new(InMemoryLore::new()));
}

mod memory {
    use super::*;
    suites::memory_suite!(async || Arc::new(InMemoryMemory::new()));

    #[tokio::test(start_paused = true)]
    async fn a_count_ends_with_its_window() {
        let memory = InMemoryMemory::new();
        let session = SessionKey::new("wa", "ana");
        assert_eq!(memory.tally(&session, Tally::Pulses, 3).await.unwrap(), 3);
        tokio::time::advance(Tally::Pulses.window()).await;
        assert_eq!(memory.tally(&session, Tally::Pulses, 0).await.unwrap(), 0);
        assert_eq!(memory.tally(&session, Tally::Pulses, 1).await.unwrap(), 1);
    }
}

mod rite {
    use super::*;
    suites::rite_suite!(async || Arc::new(InMemoryRites::new()));
}

mod vigil {
    use super::*;
    suites::vigil_suite!(async || Arc::new(InMemoryVigil::new()));
}
