//! Figures as people read them.

/// A number with so many decimals, halves away from zero. All of the page's figures are written by it:
/// the library's `{:.1}`, exact for every number, would be a thirtieth of the module.
pub fn fixed(value: f64, decimals: usize) -> String {
    let scale = 10_u64.pow(decimals as u32);
    let scaled = (value.abs() * scale as f64).round() as u64;
    let sign = if value < 0.0 && scaled > 0 { "-" } else { "" };
    let (whole, rest) = (scaled / scale, scaled % scale);
    match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:0decimals$}"),
    }
}

/// `820 kB`, `4.7 MB`: decimal units, as browsers and file managers show downloads.
pub fn bytes(bytes: f64) -> String {
    if bytes < 1_000.0 {
        format!("{} B", fixed(bytes, 0))
    } else if bytes < 1_000_000.0 {
        format!("{} kB", fixed(bytes / 1e3, 0))
    } else if bytes < 99_950_000.0 {
        format!("{} MB", fixed(bytes / 1e6, 1))
    } else if bytes < 1e9 {
        format!("{} MB", fixed(bytes / 1e6, 0))
    } else {
        format!("{} GB", fixed(bytes / 1e9, 1))
    }
}

/// `370 k`, `3.4 M` parameters.
pub fn parameters(count: u64) -> String {
    let count = count as f64;
    if count < 1e3 {
        fixed(count, 0)
    } else if count < 999_500.0 {
        format!("{} k", fixed(count / 1e3, 0))
    } else {
        format!("{} M", fixed(count / 1e6, 1))
    }
}

/// `85 ms`, `1.24 s`.
pub fn milliseconds(ms: f64) -> String {
    if ms < 10.0 {
        format!("{} ms", fixed(ms, 1))
    } else if ms < 999.5 {
        format!("{} ms", fixed(ms, 0))
    } else if ms < 99_950.0 {
        format!("{} s", fixed(ms / 1e3, 2))
    } else {
        format!("{} s", fixed(ms / 1e3, 0))
    }
}

/// `0:07`, `1:02:03`.
pub fn clock(secs: f64) -> String {
    let whole = secs.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `about 20 s`, `about 3 min`: a guess, told no finer than it is worth.
pub fn time_left(secs: f64) -> String {
    let tens = (secs.max(0.0) / 10.0).ceil().max(1.0) * 10.0;
    if tens < 95.0 {
        format!("about {} s", fixed(tens, 0))
    } else {
        format!("about {} min", fixed(secs / 60.0, 0))
    }
}

/// `27×`, `0.4×`.
pub fn times(factor: f64) -> String {
    if factor < 9.95 {
        format!("{}×", fixed(factor, 1))
    } else {
        format!("{}×", fixed(factor, 0))
    }
}

/// `12.5 %` of a fraction.
pub fn percent(fraction: f64) -> String {
    format!("{} %", fixed(fraction * 100.0, 1))
}

/// Middle value; the mean of the two middle ones for an even count. `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let order = order(values);
    let middle = order.len() / 2;
    match order.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[order[middle]]),
        _ => Some((values[order[middle - 1]] + values[order[middle]]) / 2.0),
    }
}

/// Places of the values, that of the least first; equal ones stay in their order. For the few values
/// that the page sorts: the library's sort would be a fiftieth of the module.
pub fn order(values: &[f64]) -> Vec<usize> {
    let mut order = Vec::with_capacity(values.len());
    for (place, value) in values.iter().enumerate() {
        let is_before = |&other: &usize| values[other].total_cmp(value).is_le();
        order.insert(order.partition_point(is_before), place);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_as_many_decimals_as_asked_for() {
        for (value, decimals, text) in [
            (0.0, 0, "0"),
            (0.5, 0, "1"),
            (12.0, 1, "12.0"),
            (1.25, 1, "1.3"),
            (0.049, 1, "0.0"),
            (999.996, 2, "1000.00"),
            (7.0625, 3, "7.063"),
            (-0.04, 1, "0.0"),
            (-2.345, 1, "-2.3"),
        ] {
            assert_eq!(fixed(value, decimals), text);
        }
    }

    #[test]
    fn places_are_those_of_rising_values_and_equal_ones_keep_theirs() {
        assert_eq!(order(&[3.0, 1.0, 2.0, 1.0]), [1, 3, 2, 0]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn figures_keep_two_or_three_digits() {
        assert_eq!(bytes(999.0), "999 B");
        assert_eq!(bytes(1_000.0), "1 kB");
        assert_eq!(bytes(4_650_000.0), "4.7 MB");
        assert_eq!(bytes(123_400_000.0), "123 MB");
        assert_eq!(bytes(2.5e9), "2.5 GB");
        assert_eq!(parameters(950), "950");
        assert_eq!(parameters(370_600), "371 k");
        assert_eq!(parameters(3_370_752), "3.4 M");
        assert_eq!(milliseconds(4.26), "4.3 ms");
        assert_eq!(milliseconds(85.4), "85 ms");
        assert_eq!(milliseconds(1_240.0), "1.24 s");
        assert_eq!(
            (times(0.44), times(26.7)),
            ("0.4×".to_owned(), "27×".to_owned())
        );
        assert_eq!(percent(0.1249), "12.5 %");
        assert_eq!(clock(7.4), "0:07");
        assert_eq!(clock(3_723.0), "1:02:03");
    }

    #[test]
    fn a_time_that_is_left_is_told_in_tens_of_seconds_then_in_minutes() {
        assert_eq!(time_left(0.0), "about 10 s");
        assert_eq!(time_left(10.0), "about 10 s");
        assert_eq!(time_left(10.1), "about 20 s");
        assert_eq!(time_left(89.0), "about 90 s");
        assert_eq!(time_left(91.0), "about 2 min");
        assert_eq!(time_left(3_500.0), "about 58 min");
    }

    #[test]
    fn the_median_ignores_the_order_of_its_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
