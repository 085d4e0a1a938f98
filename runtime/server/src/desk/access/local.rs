//! On one's own machine: whoever can read the terminal may do everything.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rand::Rng as _;
use subtle::ConstantTimeEq as _;

use super::{Access, Denied, Mode, Person, Right};

/// How long a token is good for.
const LIVES: Duration = Duration::from_secs(24 * 60 * 60);
/// How many tokens there are at a time: the oldest goes first.
const MOST_TOKENS: usize = 32;

/// One-time codes, and the tokens that they are exchanged for. Kept in memory: they end with the process.
pub struct LocalAccess {
    name: String,
    secrets: Mutex<Secrets>,
    /// Told a code: that somebody may open its link.
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

struct Secrets {
    code: String,
    tokens: Vec<(String, Instant)>,
}

impl LocalAccess {
    /// Everything is done in the name of `name`. Codes are given to `tell`: one by [`invite`](Self::invite), and another
    /// whenever one was used.
    pub fn new(name: impl Into<String>, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            secrets: Mutex::new(Secrets {
                code: secret(),
                tokens: Vec::new(),
            }),
            tell: Box::new(tell),
        }
    }

    /// Tells the code that is valid now.
    pub fn invite(&self) {
        let code = self.lock().code.clone();
        (self.tell)(&code);
    }

    /// A token for a program of the same person.
    pub fn token(&self) -> String {
        self.lock().mint()
    }

    fn lock(&self) -> MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets {
    fn mint(&mut self) -> String {
        self.tokens.retain(|(_, made)| made.elapsed() < LIVES);
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.remove(0);
        }
        let token = secret();
        self.tokens.push((token.clone(), Instant::now()));
        token
    }
}

/// 128 bits that nobody can guess, as hexadecimal digits.
fn secret() -> String {
    let mut bytes = [0_u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[async_trait]
impl Access for LocalAccess {
    fn mode(&self) -> Mode {
        Mode::Local
    }

    async fn person(&self, token: &str) -> Result<Person, Denied> {
        // Every one is compared, so that the time tells nothing.
        let known = self.lock().tokens.iter().fold(false, |known, (one, made)| {
            known | (same(one, token) & (made.elapsed() < LIVES))
        });
        if known {
            Ok(Person {
                name: self.name.clone(),
                ..Person::default()
            })
        } else {
            Err(Denied::Unknown)
        }
    }

    async fn may(&self, _: &Person, _: Right) -> Result<bool, Denied> {
        Ok(true)
    }

    fn permission(&self, _: Right) -> String {
        "use this desk".to_owned()
    }

    fn login(&self, code: &str) -> Option<String> {
        let (token, next) = {
            let mut secrets = self.lock();
            if !same(&secrets.code, code) {
                return None;
            }
            secrets.code = secret();
            (secrets.mint(), secrets.code.clone())
        };
        (self.tell)(&next);
        Some(token)
    }

    fn answers_to(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
            _ => host,
        };
        ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn access() -> (LocalAccess, Arc<Mutex<Vec<String>>>) {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let codes = Arc::clone(&told);
        let access = LocalAccess::new("ana", move |code| {
            codes.lock().unwrap().push(code.to_owned());
        });
        access.invite();
        (access, told)
    }

    #[tokio::test]
    async fn a_code_works_once_and_its_token_until_the_end() {
        let (access, told) = access();
        let code = told.lock().unwrap()[0].clone();
        let token = access.login(&code).unwrap();
        assert_eq!(access.login(&code), None);
        for _ in 0..2 {
            assert_eq!(access.person(&token).await.unwrap().name, "ana");
        }
        assert_eq!(access.person(&code).await, Err(Denied::Unknown));
        assert_eq!(access.person("").await, Err(Denied::Unknown));
        let next = told.lock().unwrap()[1].clone();
        assert!(next != code && access.login(&next).is_some());
    }

    #[tokio::test]
    async fn there_are_only_so_many_tokens() {
        let (access, _) = access();
        let first = access.token();
        for _ in 0..MOST_TOKENS {
            access.token();
        }
        assert_eq!(access.person(&first).await, Err(Denied::Unknown));
        assert_eq!(access.lock().tokens.len(), MOST_TOKENS);
    }

    #[test]
    fn only_names_of_the_loopback_are_answered_to() {
        let (access, _) = access();
        for own in [
            "127.0.0.1:8081",
            "localhost:9",
            "LOCALHOST",
            "[::1]:8081",
            "[::1]",
        ] {
            assert!(access.answers_to(own), "{own}");
        }
        for other in [
            "evil.example:8081",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "",
            "localhost.evil",
        ] {
            assert!(!access.answers_to(other), "{other}");
        }
    }
}
