//! The names things go by. Each is its own type, so that a sender is never passed where a Spirit is meant.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(name: T) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name! {
    /// A Spirit's name: its object's name, unique in its namespace.
    SpiritName
}

name! {
    /// A voice's name, unique within its Spirit.
    VoiceName
}

name! {
    /// Who sent a Pulse, as the channel identifies people. Unique within a voice.
    UserId
}

name! {
    /// Identifies a Pulse within its Spirit: `voice/id`, where the id is the one that the channel gave the message. A
    /// channel that delivers a message again gives it the same id, and that is what deduplication stands on.
    PulseId
}

name! {
    /// Identifies a Rite within its Spirit.
    RiteId
}

impl RiteId {
    /// An id that nobody has yet. Lower-case letters and digits, so that an object can be named after it.
    #[must_use]
    pub fn random() -> Self {
        let mut id = uuid::Uuid::new_v4().simple().to_string();
        id.truncate(12);
        Self(id.into())
    }
}

impl PulseId {
    /// The id of the message that `voice`'s channel calls `channel_id`.
    #[must_use]
    pub fn new(voice: &VoiceName, channel_id: &str) -> Self {
        Self(format!("{voice}/{channel_id}").into())
    }
}

/// One person's conversation on one voice: the unit that a Bond locks and a Vigil takes over. Written `voice/sender`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// The voice that the conversation is on.
    pub voice: VoiceName,
    /// The person at the other end.
    pub user: UserId,
}

impl SessionKey {
    /// The session of `user` on `voice`.
    pub fn new(voice: impl Into<VoiceName>, user: impl Into<UserId>) -> Self {
        Self {
            voice: voice.into(),
            user: user.into(),
        }
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.voice, self.user)
    }
}

/// A session is written `voice/sender`, such as `wa/5511999990000`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a session: write it as voice/sender, such as wa/5511999990000")]
pub struct NotASession(String);

impl FromStr for SessionKey {
    type Err = NotASession;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((voice, user)) if !voice.is_empty() && !user.is_empty() => {
                Ok(Self::new(voice, user))
            }
            _ => Err(NotASession(text.to_owned())),
        }
    }
}

impl Serialize for SessionKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_reads_back_as_it_was_written() {
        let session: SessionKey = "wa/5511999990000".parse().unwrap();
        assert_eq!(session, SessionKey::new("wa", "5511999990000"));
        assert_eq!(session.to_string(), "wa/5511999990000");
    }

    #[test]
    fn a_sender_may_contain_a_slash_but_a_voice_may_not() {
        let session: SessionKey = "web/team/7".parse().unwrap();
        assert_eq!(
            (session.voice.as_str(), session.user.as_str()),
            ("web", "team/7")
        );
    }

    #[test]
    fn half_a_session_is_refused_with_the_form_it_should_have() {
        for half in ["", "wa", "wa/", "/551"] {
            let refused = half.parse::<SessionKey>().unwrap_err().to_string();
            assert!(refused.contains("voice/sender"), "{refused}");
        }
    }
}
