//! A scatter plot as SVG text: error rate against what it costs.

use std::fmt::Write;

use crate::figures;

#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub name: String,
    /// Positive: the axis is logarithmic.
    pub x: f64,
    /// A fraction.
    pub y: f64,
    /// Taken from a card; drawn as a ring, where what was measured here is a dot.
    pub is_published: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Axis<'a> {
    pub label: &'a str,
    pub format: fn(f64) -> String,
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 54.0;

/// Draws `points`, whose `y` is an error rate. Colours and fonts come from the page's style sheet
/// (classes `grid`, `tick`, `axis`, `dot`, `ring`, `name`). The text form of the same figures is in the
/// `desc` element, so that a screen reader has them too.
pub fn scatter(title: &str, x_axis: Axis<'_>, points: &[Point]) -> String {
    let (x_low, x_high) = log_range(points.iter().map(|point| point.x));
    let y_high = nice_ceiling(points.iter().map(|point| point.y).fold(0.0, f64::max));
    let x_of = |value: f64| {
        LEFT + (value.ln() - x_low.ln()) / (x_high.ln() - x_low.ln()) * (WIDTH - LEFT - RIGHT)
    };
    let y_of = |value: f64| HEIGHT - BOTTOM - value / y_high * (HEIGHT - TOP - BOTTOM);

    let description: Vec<String> = points
        .iter()
        .map(|point| {
            format!(
                "{}: {} at {}",
                point.name,
                figures::percent(point.y),
                (x_axis.format)(point.x)
            )
        })
        .collect();
    let tenths = |value: f64| figures::fixed(value, 1);
    let mut svg = format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{}</title><desc>{}</desc>"#,
        escape(title),
        escape(&description.join("; "))
    );
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for step in 0..=4 {
        let value = y_high * f64::from(step) / 4.0;
        let (y, text_y) = (tenths(y_of(value)), tenths(y_of(value) + 4.0));
        let (text_x, share) = (tenths(LEFT - 8.0), figures::fixed(value * 100.0, 0));
        push(
            &mut svg,
            format_args!(
                r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/><text class="tick" x="{text_x}" y="{text_y}" text-anchor="end">{share} %</text>"#
            ),
        );
    }
    for value in log_ticks(x_low, x_high) {
        let x = tenths(x_of(value));
        push(
            &mut svg,
            format_args!(
                r#"<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/><text class="tick" x="{x}" y="{}" text-anchor="middle">{}</text>"#,
                tenths(bottom + 18.0),
                escape(&(x_axis.format)(value))
            ),
        );
    }
    push(
        &mut svg,
        format_args!(
            r#"<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text><text class="axis" transform="translate(14 {}) rotate(-90)" text-anchor="middle">word error rate</text>"#,
            tenths((LEFT + right) / 2.0),
            tenths(HEIGHT - 10.0),
            escape(x_axis.label),
            tenths((TOP + bottom) / 2.0)
        ),
    );
    let dots: Vec<(f64, f64)> = points
        .iter()
        .map(|point| (x_of(point.x), y_of(point.y)))
        .collect();
    for ((point, &(x, y)), label_y) in points.iter().zip(&dots).zip(label_heights(&dots)) {
        // A label right of its dot would leave the picture when the dot is near the edge.
        let (label_x, anchor) = if x > WIDTH * 0.62 {
            (x - 12.0, "end")
        } else {
            (x + 12.0, "start")
        };
        let (x, y, label_x) = (tenths(x), tenths(y), tenths(label_x));
        push(
            &mut svg,
            format_args!(
                r#"<circle class="{}" cx="{x}" cy="{y}" r="6"/><text class="name" x="{label_x}" y="{}" text-anchor="{anchor}">{}</text>"#,
                if point.is_published { "ring" } else { "dot" },
                tenths(label_y + 4.0),
                escape(&point.name)
            ),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Writing into a string cannot fail.
fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = svg.write_fmt(text);
}

/// Heights of the labels of dots at `(x, y)`: a label goes below those that it would cover.
fn label_heights(dots: &[(f64, f64)]) -> Vec<f64> {
    const LINE: f64 = 16.0;
    // Names of models are up to some twenty letters long.
    const LABEL: f64 = 150.0;
    let mut heights: Vec<f64> = dots.iter().map(|dot| dot.1).collect();
    let order = figures::order(&heights);
    for (position, &here) in order.iter().enumerate() {
        for &above in &order[..position] {
            let is_near = (dots[here].0 - dots[above].0).abs() < LABEL;
            if is_near && heights[here] < heights[above] + LINE {
                heights[here] = heights[above] + LINE;
            }
        }
    }
    let overhang = heights.iter().copied().fold(0.0, f64::max) - (HEIGHT - BOTTOM - 6.0);
    if overhang > 0.0 {
        heights.iter_mut().for_each(|height| *height -= overhang);
    }
    heights
}

/// A range with room on both sides, at least a factor of four wide.
fn log_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| *value > 0.0 && value.is_finite())
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return (1.0, 10.0);
    }
    let middle = (low * high).sqrt();
    let half = (high / low).sqrt().max(1.6) * 1.25;
    (middle / half, middle * half)
}

/// 1, 2 and 5 times powers of ten within the range.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let mut ticks = Vec::new();
    // By the logarithm that places the dots: the page would have to bring another one.
    let power_of_ten = |value: f64| value.ln() / std::f64::consts::LN_10;
    let (first, last) = (
        power_of_ten(low).floor() as i32,
        power_of_ten(high).ceil() as i32,
    );
    // Values beyond these have ticks at none.
    for power in first.max(-9)..=last.min(18) {
        for digit in [1.0, 2.0, 5.0] {
            let value = digit * 10f64.powi(power);
            if (low..=high).contains(&value) {
                ticks.push(value);
            }
        }
    }
    ticks
}

/// The top of the error axis: a round fraction that four steps divide well.
fn nice_ceiling(value: f64) -> f64 {
    [0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8, 1.0]
        .into_iter()
        .find(|top| value <= *top * 0.98)
        .unwrap_or_else(|| (value * 1.25).ceil())
}

/// Text for element content or a quoted attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(&str, f64, f64)]) -> Vec<Point> {
        values
            .iter()
            .map(|&(name, x, y)| Point {
                name: name.to_owned(),
                x,
                y,
                is_published: false,
            })
            .collect()
    }

    const AXIS: Axis<'_> = Axis {
        label: "size",
        format: figures::bytes,
    };

    fn attribute(svg: &str, element: &str, name: &str) -> Vec<f64> {
        svg.split(&format!("<{element} "))
            .skip(1)
            .filter_map(|rest| rest.split_once(&format!("{name}=\"")))
            .filter_map(|(_, rest)| rest.split('"').next()?.parse().ok())
            .collect()
    }

    #[test]
    fn a_larger_and_better_model_stands_to_the_right_and_lower() {
        let svg = scatter("t", AXIS, &points(&[("a", 1e5, 0.2), ("b", 4e6, 0.05)]));
        let (x, y) = (
            attribute(&svg, "circle", "cx"),
            attribute(&svg, "circle", "cy"),
        );
        assert!(x[0] < x[1] && y[0] < y[1]);
    }

    #[test]
    fn every_dot_stays_inside_the_picture() {
        for values in [
            vec![("one", 3e5, 0.0)],
            vec![("same", 3e5, 1.0), ("same", 3e5, 1.0)],
            vec![("tiny", 1.0, 0.01), ("huge", 1e9, 3.0)],
            vec![],
        ] {
            let svg = scatter("t", AXIS, &points(&values));
            for x in attribute(&svg, "circle", "cx") {
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{x}");
            }
            for y in attribute(&svg, "circle", "cy") {
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{y}");
            }
        }
    }

    #[test]
    fn names_of_close_dots_do_not_cover_each_other() {
        let mut heights = label_heights(&[(100.0, 50.0), (110.0, 51.0), (120.0, 52.0)]);
        heights.sort_by(f64::total_cmp);
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= 16.0));
    }

    #[test]
    fn names_of_dots_far_apart_stay_beside_their_dots() {
        assert_eq!(label_heights(&[(100.0, 50.0), (400.0, 51.0)]), [50.0, 51.0]);
    }

    #[test]
    fn a_name_cannot_add_elements() {
        let svg = scatter("t", AXIS, &points(&[("<script>", 1e5, 0.1)]));
        assert!(!svg.contains("<script>"));
    }
}
