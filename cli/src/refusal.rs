//! Why a command ends without having done what it was asked: made for its exit code, and for the person to act on.

use std::process::ExitCode;

use crate::terminal::safe;

/// The command was used wrongly, as far as only running it could tell.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misused(pub(crate) String);

/// Somebody, or the state of things, says no. Trying again the same way does not help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The caller lacks a permission.
    #[error(transparent)]
    NotAllowed(Box<NotAllowed>),
    /// The caller has the permission, and a policy of the cluster says no.
    #[error("the cluster's policy refuses it: {}", safe::line(.0))]
    Policy(String),
    /// Another person has the conversation.
    #[error(
        "{} has {session} of {spirit}{since}; they can give it back with: {command} release --spirit {spirit} '{session}'",
        safe::line(by)
    )]
    HeldBy {
        spirit: String,
        session: String,
        by: String,
        /// Since when, as ` since …`; empty where it is not known.
        since: String,
        command: &'static str,
    },
    /// A conversation cannot be given back in another's place without a word.
    #[error(
        "{} has {session} of {spirit}, not you; add --force to give it back in their place",
        safe::line(by)
    )]
    NotYours {
        spirit: String,
        session: String,
        by: String,
    },
    /// The human's words may be said only in a conversation that the human has.
    #[error(
        "you do not have {session} of {spirit}: {} To take it over: {command} takeover --spirit {spirit} '{session}'",
        safe::line(why)
    )]
    NotTaken {
        spirit: String,
        session: String,
        why: String,
        command: &'static str,
    },
    /// A Rite is decided once.
    #[error("the Rite {name} cannot be decided: {why}")]
    Decided { name: String, why: String },
    /// The channel does not take the message.
    #[error("the channel did not take it: {}", safe::line(.0))]
    Channel(String),
}

/// A permission is missing.
#[derive(Debug)]
pub(crate) struct NotAllowed {
    /// What was to be done, such as `take over wa/551 of barista`.
    pub(crate) doing: String,
    /// Such as `patch vigils.eywa.dev in namespace cafe`.
    pub(crate) permission: String,
    /// The namespace, where it is known.
    pub(crate) namespace: Option<String>,
    /// Who the caller is to the cluster, where it is known.
    pub(crate) user: Option<String>,
}

impl std::error::Error for NotAllowed {}

impl std::fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (doing, permission) = (safe::line(&self.doing), safe::line(&self.permission));
        match &self.user {
            Some(user) => write!(f, "you ({}) may not {doing}", safe::line(user))?,
            None => write!(f, "you may not {doing}")?,
        }
        write!(f, "\n  missing permission: {permission}")?;
        let Some(role) = role(&self.permission) else {
            return Ok(());
        };
        write!(f, "\n  granted by the chart's ClusterRole: {role}")?;
        if let (Some(user), Some(namespace)) = (&self.user, &self.namespace) {
            write!(
                f,
                "\n  an admin can give it to you with: {}",
                grant(role, user, namespace)
            )?;
        }
        Ok(())
    }
}

/// The least of the chart's roles that grants this permission.
fn role(permission: &str) -> Option<&'static str> {
    let (verb, rest) = permission.split_once(' ')?;
    let resource = rest.split(' ').next().unwrap_or_default();
    let reads = matches!(verb, "get" | "list" | "watch");
    match resource.split('.').next().unwrap_or_default() {
        "pods/portforward" => Some("eywa-viewer"),
        "vigils" | "rites" | "spirits" | "conduits" | "pods" if reads => Some("eywa-viewer"),
        "vigils" | "rites" => Some("eywa-attendant"),
        "spirits" | "conduits" => Some("eywa-author"),
        _ => None,
    }
}

/// The command by which an admin grants a role.
fn grant(role: &str, user: &str, namespace: &str) -> String {
    let account = user
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'));
    let short: String = account
        .map_or(user, |(_, name)| name)
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let subject = match account {
        Some((of, name)) => format!("--serviceaccount={of}:{name}"),
        None => format!("--user={}", quoted(user)),
    };
    format!(
        "kubectl -n {namespace} create rolebinding {role}-{} --clusterrole={role} {subject}",
        short.trim_matches('-')
    )
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let word = safe::line(word);
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What the process says by its end: 0 done, 1 failed, 2 used wrongly, 3 refused.
pub(crate) fn exit(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(<dyn std::error::Error>::is::<Refused>) {
        ExitCode::from(3)
    } else if error.chain().any(<dyn std::error::Error>::is::<Misused>) {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(permission: &str, user: &str) -> String {
        NotAllowed {
            doing: "take over wa/551 of barista".to_owned(),
            permission: permission.to_owned(),
            namespace: Some("cafe".to_owned()),
            user: Some(user.to_owned()),
        }
        .to_string()
    }

    #[test]
    fn a_refusal_names_the_permission_the_role_and_the_command_that_grants_it() {
        let told = refusal(
            "patch vigils.eywa.dev in namespace cafe",
            "bob@cafe.example",
        );
        assert_eq!(
            told,
            "you (bob@cafe.example) may not take over wa/551 of barista\n  \
             missing permission: patch vigils.eywa.dev in namespace cafe\n  \
             granted by the chart's ClusterRole: eywa-attendant\n  \
             an admin can give it to you with: kubectl -n cafe create rolebinding \
             eywa-attendant-bob-cafe-example --clusterrole=eywa-attendant --user=bob@cafe.example"
        );
    }

    #[test]
    fn reading_needs_the_viewers_role_and_a_service_account_is_bound_as_one() {
        let told = refusal(
            "list vigils.eywa.dev in namespace cafe",
            "system:serviceaccount:cafe:night-shift",
        );
        assert!(
            told.contains("--clusterrole=eywa-viewer --serviceaccount=cafe:night-shift"),
            "{told}"
        );
    }

    #[test]
    fn a_name_with_quotes_is_one_word_in_the_command() {
        let told = refusal("patch rites.eywa.dev in namespace cafe", "o'neil $(reboot)");
        assert!(told.ends_with(r"--user='o'\''neil $(reboot)'"), "{told}");
    }
}
