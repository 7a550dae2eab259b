//! Parts of a file that a request asks for (RFC 9110, section 14).

#[derive(Debug, PartialEq)]
pub(super) enum Range {
    /// First and last byte.
    Part(u64, u64),
    /// What is not understood is ignored, as RFC 9110 section 14.2 asks.
    Whole,
    Unsatisfiable,
}

pub(super) fn parse_range(header: &str, total: u64) -> Range {
    let Some(spec) = header.strip_prefix("bytes=") else {
        return Range::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Range::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match last.parse::<u64>() {
            Ok(0) => Range::Unsatisfiable,
            Ok(_) if total == 0 => Range::Unsatisfiable,
            Ok(suffix) => Range::Part(total.saturating_sub(suffix), total - 1),
            Err(_) => Range::Whole,
        };
    }
    let Ok(first) = first.parse::<u64>() else {
        return Range::Whole;
    };
    let last = if last.is_empty() {
        u64::MAX
    } else {
        match last.parse::<u64>() {
            Ok(last) if last >= first => last,
            _ => return Range::Whole,
        }
    };
    if first >= total {
        Range::Unsatisfiable
    } else {
        Range::Part(first, last.min(total - 1))
    }
}
