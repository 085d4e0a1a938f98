//! Where state is kept.

use std::sync::Arc;

use eywa_weave::ports::{
    Attachments, Bond, Chronicle, Contacts, Echoes, Imprint, Inbox, Memory, Rites, Vigil,
};

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
    /// Parks calls until a human decides.
    pub rites: Arc<dyn Rites>,
    /// Knows who has each conversation.
    pub vigil: Arc<dyn Vigil>,
    /// Keeps the files that came with messages.
    pub attachments: Arc<dyn Attachments>,
    /// Knows people by all of their ids.
    pub contacts: Arc<dyn Contacts>,
    /// Keeps what is known of people.
    pub imprint: Arc<dyn Imprint>,
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
            attachments::RedisAttachments,
            bond::{RedisBond, RedlockBond},
            chronicle::RedisChronicle,
            contacts::RedisContacts,
            echoes::RedisEchoes,
            imprint::RedisImprint,
            inbox::RedisInbox,
            memory::RedisMemory,
            redis::{Redis, Scope},
            rite::RedisRites,
            vigil::RedisVigil,
        };
        use eywa_crds::runtime_config::{RedisUrls, StoresConfig};
        use secrecy::{ExposeSecret, SecretString};

        let StoresConfig::Redis {
            urls, ca, mongo, ..
        } = &config.stores
        else {
            let reason =
                "embedded stores are for one process, `eywa up`; a runtime pod needs Redis";
            return Err(super::WireError::invalid(&config.front, "stores", reason));
        };
        let urls: SecretString = match urls {
            RedisUrls::Plain(url) => url.as_str().into(),
            RedisUrls::Secret(file) => secrets.get(file)?,
        };
        let ca = ca.as_ref().map(|file| secrets.get(file)).transpose()?;
        let ca = ca.as_ref().map(|ca| ca.expose_secret().as_bytes());
        let scope = Scope::new(&config.namespace, &config.front);
        let wrong = |reason: &dyn std::fmt::Display| {
            super::WireError::invalid(&config.front, "stores.redis.urls", reason)
        };
        let servers = urls
            .expose_secret()
            .split_whitespace()
            .map(|url| Redis::trusting(&url.into(), ca, scope.clone()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|reason| wrong(&reason))?;
        let Some(redis) = servers.first().cloned() else {
            return Err(wrong(&"the Secret holds no URL"));
        };
        let bond: Arc<dyn Bond> = if servers.len() == 1 {
            Arc::new(RedisBond::new(redis.clone()))
        } else {
            Arc::new(RedlockBond::new(servers).map_err(|reason| wrong(&reason))?)
        };
        let stores = Self {
            bond,
            inbox: Arc::new(RedisInbox::new(redis.clone())),
            echoes: Arc::new(RedisEchoes::new(redis.clone())),
            chronicle: Arc::new(RedisChronicle::new(redis.clone())),
            memory: Arc::new(RedisMemory::new(redis.clone())),
            rites: Arc::new(RedisRites::new(redis.clone())),
            attachments: Arc::new(RedisAttachments::new(redis.clone())),
            contacts: Arc::new(RedisContacts::new(redis.clone())),
            imprint: Arc::new(RedisImprint::new(redis.clone())),
            vigil: Arc::new(RedisVigil::new(redis)),
        };
        match mongo {
            Some(mongo) => stores.with_conversations_in(mongo, config, secrets),
            None => Ok(stores),
        }
    }

    /// With conversations and Chronicle in a MongoDB, whose indexes are made as soon as it can be reached.
    #[cfg(feature = "stores-mongodb")]
    fn with_conversations_in(
        self,
        mongo: &eywa_crds::runtime_config::CompiledMongo,
        config: &eywa_crds::runtime_config::RuntimeConfig,
        secrets: &dyn crate::secrets::Secrets,
    ) -> Result<Self, super::WireError> {
        use eywa_adapters::{
            chronicle::MongoChronicle,
            echoes::{self, MongoEchoes},
            mongodb::Mongo,
        };

        let url = secrets.get(&mongo.url)?;
        let kept = mongo.retention.into();
        let mongo = Mongo::new(url, &mongo.database, &config.namespace, &config.front);
        Ok(Self {
            echoes: Arc::new(MongoEchoes::new(mongo.clone()).keeping(echoes::NEWEST, kept)),
            chronicle: Arc::new(MongoChronicle::new(mongo).keeping(kept)),
            ..self
        })
    }

    #[cfg(not(feature = "stores-mongodb"))]
    fn with_conversations_in(
        self,
        _: &eywa_crds::runtime_config::CompiledMongo,
        config: &eywa_crds::runtime_config::RuntimeConfig,
        _: &dyn crate::secrets::Secrets,
    ) -> Result<Self, super::WireError> {
        Err(super::WireError::not_built_in(
            &config.front,
            "stores.mongo",
            "stores-mongodb",
        ))
    }
}
