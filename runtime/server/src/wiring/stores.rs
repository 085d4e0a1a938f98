//! Where state is kept.

use std::sync::Arc;

use eywa_weave::ports::{Bond, Chronicle, Echoes, Inbox, Memory, Vigil};

/// The stores of one front Spirit. Each keeps that Spirit's state alone.
#[derive(Clone)]
pub struct Stores {
    /// Locks sessions.
    pub bond: Arc<dyn Bond>,
    /// Keeps accepted Pulses.
    pub inbox: Arc<dyn Inbox>,
    /// Keeps conversations.
    pub echoes: Arc<dyn Echoes>,
    /// Keeps what was done.
    pub chronicle: Arc<dyn Chronicle>,
    /// Keeps what a session remembers.
    pub memory: Arc<dyn Memory>,
    /// Knows who has each conversation.
    pub vigil: Arc<dyn Vigil>,
}

#[cfg(feature = "stores-redis")]
impl Stores {
    /// All in one Redis, on one connection, which is opened by the first request.
    ///
    /// # Errors
    /// When the URL cannot be used, or its Secret is missing.
    pub fn redis(
        config: &eywa_crds::runtime_config::RuntimeConfig,
        secrets: &dyn crate::secrets::Secrets,
    ) -> Result<Self, super::WireError> {
        use eywa_adapters::{
            bond::RedisBond,
            chronicle::RedisChronicle,
            echoes::RedisEchoes,
            inbox::RedisInbox,
            memory::RedisMemory,
            redis::{Redis, Scope},
            vigil::RedisVigil,
        };
        use eywa_crds::runtime_config::{RedisUrls, StoresConfig};

        let url = match &config.stores {
            StoresConfig::Redis {
                urls: RedisUrls::Plain(url),
            } => url.as_str().into(),
            StoresConfig::Redis {
                urls: RedisUrls::Secret(file),
            } => secrets.get(file)?,
            StoresConfig::Embedded => {
                let reason =
                    "embedded stores are for one process, `eywa up`; a runtime pod needs Redis";
                return Err(super::WireError::invalid(&config.front, "stores", reason));
            }
        };
        let redis =
            Redis::new(&url, Scope::new(&config.namespace, &config.front)).map_err(|reason| {
                super::WireError::invalid(&config.front, "stores.redis.urls", reason)
            })?;
        Ok(Self {
            bond: Arc::new(RedisBond::new(redis.clone())),
            inbox: Arc::new(RedisInbox::new(redis.clone())),
            echoes: Arc::new(RedisEchoes::new(redis.clone())),
            chronicle: Arc::new(RedisChronicle::new(redis.clone())),
            memory: Arc::new(RedisMemory::new(redis.clone())),
            vigil: Arc::new(RedisVigil::new(redis)),
        })
    }
}
