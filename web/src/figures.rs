//! Figures as people read them.

/// `820 kB`, `4.7 MB`: decimal units, as browsers and file managers show downloads.
pub fn bytes(bytes: f64) -> String {
    if bytes < 1_000.0 {
        format!("{bytes:.0} B")
    } else if bytes < 1_000_000.0 {
        format!("{:.0} kB", bytes / 1e3)
    } else if bytes < 99_950_000.0 {
        format!("{:.1} MB", bytes / 1e6)
    } else if bytes < 1e9 {
        format!("{:.0} MB", bytes / 1e6)
    } else {
        format!("{:.1} GB", bytes / 1e9)
    }
}

/// `370 k`, `3.4 M` parameters.
pub fn parameters(count: u64) -> String {
    let count = count as f64;
    if count < 1e3 {
        format!("{count:.0}")
    } else if count < 999_500.0 {
        format!("{:.0} k", count / 1e3)
    } else {
        format!("{:.1} M", count / 1e6)
    }
}

/// `85 ms`, `1.24 s`.
pub fn milliseconds(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 99_950.0 {
        format!("{:.2} s", ms / 1e3)
    } else {
        format!("{:.0} s", ms / 1e3)
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
        format!("about {tens:.0} s")
    } else {
        format!("about {:.0} min", secs / 60.0)
    }
}

/// `27×`, `0.4×`.
pub fn times(factor: f64) -> String {
    if factor < 9.95 {
        format!("{factor:.1}×")
    } else {
        format!("{factor:.0}×")
    }
}

/// `12.5 %` of a fraction.
pub fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// Middle value; the mean of the two middle ones for an even count. `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
