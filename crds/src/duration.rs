//! The one way manifests write a length of time: `30s`, `15m`, `1h30m`, `800ms`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration as StdDuration};

use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a duration looks like in a manifest, as the API server checks it.
///
/// It is a subset of what Go's `time.ParseDuration` and CEL's `duration()` read, so rules may compare durations.
pub const DURATION_PATTERN: &str = "^(0|([0-9]{1,6}(ms|s|m|h)){1,4})$";

/// A length of time with a unit, such as `30s`, `15m`, `2h` or `1h30m`. `0` is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(StdDuration);

impl Duration {
    /// A duration of no length.
    pub const ZERO: Self = Self(StdDuration::ZERO);

    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(StdDuration::from_secs(seconds))
    }

    /// A duration of milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(StdDuration::from_millis(millis))
    }

    /// The standard library's form of it.
    #[must_use]
    pub const fn as_std(self) -> StdDuration {
        self.0
    }

    /// Whether it is zero; where a field's docs say so, that means "never".
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for StdDuration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<StdDuration> for Duration {
    /// Keeps whole milliseconds: manifests have no smaller unit.
    fn from(duration: StdDuration) -> Self {
        Self::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A text that is no [`Duration`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write a number and a unit, such as 800ms, 30s, 15m or 1h30m")]
pub struct InvalidDuration(String);

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDuration(text.chars().take(40).collect());
        if text == "0" {
            return Ok(Self::ZERO);
        }
        let mut rest = text;
        let mut millis = 0_u64;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let (unit, tail) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
                .into_iter()
                .find_map(|(name, unit)| tail.strip_prefix(name).map(|tail| (unit, tail)))
                .ok_or_else(invalid)?;
            parts += 1;
            if digits == 0 || digits > 6 || parts > 4 {
                return Err(invalid());
            }
            // Six digits of hours, four times, stay far below u64::MAX milliseconds.
            millis += number.parse::<u64>().map_err(|_| invalid())? * unit;
            rest = tail;
        }
        if parts == 0 {
            return Err(invalid());
        }
        Ok(Self::from_millis(millis))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0");
        }
        for (name, unit) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if millis >= unit {
                write!(f, "{}{name}", millis / unit)?;
                millis %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 30s")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }

            // A bare 0 needs no unit, and YAML reads it as a number.
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
                match number {
                    0 => Ok(Duration::ZERO),
                    _ => Err(E::custom(InvalidDuration(number.to_string()))),
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
                match number {
                    0 => Ok(Duration::ZERO),
                    _ => Err(E::custom(InvalidDuration(number.to_string()))),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION_PATTERN, "maxLength": 32 })
    }
}

/// The schema of a duration where `0` means "never", so that a bare `0`, which YAML reads as a number, is taken too.
pub(crate) fn zero_for_never(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "pattern": DURATION_PATTERN,
        "maxLength": 32,
        "minimum": 0,
        "maximum": 0,
    })
}

/// The rule of a duration that must be longer than nothing.
pub(crate) fn positive() -> Rule {
    Rule::new("duration(self) > duration('0s')").message("must be longer than 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_and_writes_every_unit() {
        for (text, millis) in [
            ("0", 0),
            ("800ms", 800),
            ("30s", 30_000),
            ("15m", 900_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1m0s500ms", 60_500),
        ] {
            let parsed: Duration = text.parse().unwrap();
            assert_eq!(parsed, Duration::from_millis(millis), "{text}");
            assert_eq!(parsed.to_string().parse::<Duration>().unwrap(), parsed);
        }
        assert_eq!(Duration::from_secs(5_400).to_string(), "1h30m");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in [
            "",
            "30",
            "s",
            "-3s",
            "1d",
            "1.5h",
            "30 s",
            "1234567s",
            "1s1s1s1s1s",
        ] {
            let error = text.parse::<Duration>().unwrap_err().to_string();
            assert!(error.contains("30s"), "{text}: {error}");
        }
    }

    #[test]
    fn the_parser_and_the_schemas_pattern_agree() {
        let pattern = regex::Regex::new(DURATION_PATTERN).unwrap();
        for text in [
            "0",
            "00s",
            "1h1h",
            "",
            "1",
            "ms",
            "5ms",
            "5sm",
            "9999999s",
            "1h2m3s4ms",
            "1h2m3s4ms5s",
        ] {
            assert_eq!(
                pattern.is_match(text),
                text.parse::<Duration>().is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_bare_zero_is_a_duration_and_a_bare_number_is_not() {
        assert_eq!(
            serde_json::from_str::<Duration>("0").unwrap(),
            Duration::ZERO
        );
        assert!(serde_json::from_str::<Duration>("30").is_err());
    }
}
