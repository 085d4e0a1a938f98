//! What a person sees in the terminal.

mod age;
mod output;
pub(crate) mod safe;
mod table;

use std::io::Write as _;

use anyhow::Result;

pub(crate) use self::{age::age, output::Output, table::Table};

/// Prints a text and a line's end.
///
/// # Errors
/// When nobody reads any more, which ends a command quietly; see [`nobody_reads`].
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// Whether a command ended because its reader did, as in `… | head`.
pub(crate) fn nobody_reads(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// How long an optional time is ago, in kubectl's words; `<none>` without one.
pub(crate) fn ago(then: Option<jiff::Timestamp>) -> String {
    then.map_or_else(
        none,
        |then| age(jiff::Timestamp::now().duration_since(then)),
    )
}

/// How long it is until then, in kubectl's words; `<none>` without one.
pub(crate) fn until(then: Option<jiff::Timestamp>) -> String {
    then.map_or_else(none, |then| {
        let left = then.duration_since(jiff::Timestamp::now());
        if left.is_negative() {
            format!("{} ago", age(-left))
        } else {
            age(left)
        }
    })
}

/// What kubectl shows where there is nothing.
pub(crate) fn none() -> String {
    "<none>".to_owned()
}

/// A text, or `<none>`.
pub(crate) fn or_none(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty())
        .map_or_else(none, safe::line)
}
