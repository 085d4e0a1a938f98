//! Ages as kubectl writes them: two units while the first is small, one after that.

use jiff::SignedDuration;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A unit: its seconds, and its name.
type Unit = (i64, &'static str);

/// Up to which age (in seconds) which unit is shown, and whether the next smaller one is, too.
const SCALE: [(i64, Unit, Option<Unit>); 9] = [
    (2 * MINUTE, (1, "s"), None),
    (10 * MINUTE, (MINUTE, "m"), Some((1, "s"))),
    (3 * HOUR, (MINUTE, "m"), None),
    (8 * HOUR, (HOUR, "h"), Some((MINUTE, "m"))),
    (2 * DAY, (HOUR, "h"), None),
    (8 * DAY, (DAY, "d"), Some((HOUR, "h"))),
    (2 * YEAR, (DAY, "d"), None),
    (8 * YEAR, (YEAR, "y"), Some((DAY, "d"))),
    (i64::MAX, (YEAR, "y"), None),
];

/// This age in a few characters, such as `5m12s`. A clock that is a little behind is forgiven.
pub(crate) fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let mut scale = SCALE.iter();
    let Some((_, (unit, name), finer)) = scale.find(|(below, ..)| seconds < *below) else {
        return "<invalid>".to_owned();
    };
    let (whole, rest) = (seconds / unit, seconds % unit);
    match finer.map(|(finer, name)| (rest / finer, name)) {
        Some((rest, finer)) if rest > 0 => format!("{whole}{name}{rest}{finer}"),
        _ => format!("{whole}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectls() {
        let cases = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (9 * 60 + 59, "9m59s"),
            (10 * 60 + 7, "10m"),
            (179 * 60, "179m"),
            (3 * 3600, "3h"),
            (7 * 3600 + 59 * 60, "7h59m"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (7 * 86400 + 3 * 3600, "7d3h"),
            (8 * 86400 + 3 * 3600, "8d"),
            (3 * 365 * 86400 + 86400, "3y1d"),
            (9 * 365 * 86400 + 86400, "9y"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(
                age(SignedDuration::from_secs(seconds)),
                wanted,
                "{seconds} s"
            );
        }
    }
}
