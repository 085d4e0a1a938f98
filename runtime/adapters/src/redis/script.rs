//! Scripts that run in Redis: each one is one atomic step.

use std::sync::LazyLock;

use redis::Cmd;

/// A script, hashed when it is first used.
pub(crate) type LazyScript = LazyLock<Script>;

/// A script, and the hash that Redis knows it by.
pub(crate) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    pub(crate) fn new(source: &'static str) -> Self {
        Self {
            source,
            hash: redis::Script::new(source).get_hash().to_owned(),
        }
    }

    /// A call of it with these keys. The caller adds the arguments.
    pub(crate) fn with(&self, keys: &[&str]) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(keys.len()).arg(keys);
        call
    }

    /// Tells Redis of it.
    pub(crate) fn load(&self) -> Cmd {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.source);
        load
    }
}

/// The script of this file of `redis/scripts`.
macro_rules! script {
    ($file:literal) => {
        $crate::redis::LazyScript::new(|| {
            $crate::redis::Script::new(include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/redis/scripts/",
                $file
            )))
        })
    };
}
pub(crate) use script;
