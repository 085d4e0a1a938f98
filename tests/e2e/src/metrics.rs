//! Reading the text format of metrics.

/// The sum of all samples of this name that carry all of these labels; zero where there is none.
pub fn sum(exposition: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = exposition.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| sample(line, name, labels)).sum()
}

fn sample(line: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (set, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let carries = |(key, value): &(&str, &str)| {
        let pair = format!("{key}=\"{value}\"");
        set.match_indices(&pair)
            .any(|(at, _)| at == 0 || set[..at].ends_with(','))
    };
    labels
        .iter()
        .all(carries)
        .then(|| value.trim().parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"1\",c=\"x\"} 2\na_total{b=\"2\",c=\"x\"} 3\na_total_more 9\nplain 4\n";

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        assert_eq!(sum(TEXT, "a_total", &[]), 5.0);
        assert_eq!(sum(TEXT, "a_total", &[("b", "2"), ("c", "x")]), 3.0);
        assert_eq!(sum(TEXT, "a_total", &[("b", "3")]), 0.0);
        assert_eq!(sum(TEXT, "plain", &[]), 4.0);
    }
}
