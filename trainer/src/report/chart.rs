//! One chart as SVG that reads on light and dark pages, wide screens and telephones: the legend
//! stands below the axes.

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

use crate::exit_status::{ExitStatus, HasExitStatus};

const WIDTH: u32 = 480;
const AXES_HEIGHT: u32 = 330;
const LEGEND_LINE: u32 = 22;
/// Letters of a legend's line that the width has room for.
const LEGEND_LETTERS: usize = 54;
const FONT: (&str, u32) = ("sans-serif", 16);

/// Colours that people who see few of them can tell apart, and that stand out on white and black
/// (Okabe and Ito, "Color universal design", 2008).
const COLORS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xe6, 0x9f, 0x00),
];

/// Text and axes are black, which the style sheet makes the colour of the page's text.
const INK: RGBColor = BLACK;
const GRID: RGBAColor = RGBAColor(0x80, 0x80, 0x80, 0.3);

/// A chart that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the chart \"{title}\" cannot be drawn: {reason}")]
pub struct ChartError {
    title: String,
    reason: String,
}

impl HasExitStatus for ChartError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Failed
    }
}

/// What is drawn.
pub(crate) struct Chart<'a> {
    pub title: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    pub series: Vec<Series>,
    /// What stands at a place of the x axis.
    pub x_text: &'a dyn Fn(f64) -> String,
}

/// Points of one kind.
pub(crate) struct Series {
    pub label: String,
    /// Decides colour and mark.
    pub look: usize,
    pub line: Line,
    /// Whether marks are outlines.
    pub is_hollow: bool,
    pub points: Vec<Point>,
}

/// Between points.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    None,
    Solid,
    Dashed,
}

/// A place, with an interval of y where there is one.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub x: f64,
    pub y: f64,
    pub interval: Option<(f64, f64)>,
}

type Axes<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type DrawError<'b> = DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>;

impl Chart<'_> {
    /// The chart as SVG.
    ///
    /// # Errors
    /// What the drawing library refuses.
    pub fn draw(&self) -> Result<String, ChartError> {
        let mut svg = String::new();
        self.draw_into(&mut svg).map_err(|error| ChartError {
            title: self.title.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(themed(&svg, self.title))
    }

    fn draw_into<'b>(&self, svg: &'b mut String) -> Result<(), DrawError<'b>> {
        let height = AXES_HEIGHT + LEGEND_LINE * self.series.len() as u32 + 8;
        let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
        let (upper, lower) = root.split_vertically(AXES_HEIGHT);
        let (x, y) = self.ranges();
        let decimals = usize::from(y.1 - y.0 < 8.0);
        let mut axes = ChartBuilder::on(&upper)
            .caption(self.title, ("sans-serif", 18).into_font().color(&INK))
            .margin(8)
            .x_label_area_size(50)
            .y_label_area_size(60)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        axes.configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(FONT.into_font().color(&INK))
            .x_labels(5)
            .x_label_formatter(&|x| (self.x_text)(*x))
            .y_label_formatter(&|y| format!("{y:.decimals$}"))
            .axis_desc_style(FONT.into_font().color(&INK))
            .x_desc(self.x_label)
            .y_desc(self.y_label)
            .draw()?;
        for series in &self.series {
            series.draw(&mut axes)?;
        }
        for (row, series) in self.series.iter().enumerate() {
            series.legend(&lower, row as i32)?;
        }
        root.present()
    }

    /// Of both axes, a little wider than the points.
    fn ranges(&self) -> ((f64, f64), (f64, f64)) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let ys = points().flat_map(|point| {
            let (low, high) = point.interval.unwrap_or((point.y, point.y));
            [low, high, point.y]
        });
        (wider(points().map(|point| point.x)), wider(ys))
    }
}

fn wider(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold(start, |range, value| {
            (range.0.min(value), range.1.max(value))
        });
    if low > high {
        return (0.0, 1.0);
    }
    let margin = match high - low {
        0.0 => (0.05 * high.abs()).max(0.5),
        width => 0.06 * width,
    };
    (low - margin, high + margin)
}

impl Series {
    fn color(&self) -> RGBColor {
        COLORS[self.look % COLORS.len()]
    }

    fn draw<'b>(&self, axes: &mut Axes<'_, 'b>) -> Result<(), DrawError<'b>> {
        let line = self.color().stroke_width(2);
        let places = || self.points.iter().map(|point| (point.x, point.y));
        match self.line {
            Line::None => {}
            Line::Solid => {
                axes.draw_series(LineSeries::new(places(), line))?;
            }
            Line::Dashed => {
                axes.draw_series(DashedLineSeries::new(places(), 6, 4, line))?;
            }
        }
        for point in &self.points {
            if let Some((low, high)) = point.interval {
                let bar =
                    ErrorBar::new_vertical(point.x, low, point.y, high, self.color().filled(), 8);
                axes.draw_series([bar])?;
            }
        }
        let marks = self
            .points
            .iter()
            .map(|point| EmptyElement::at((point.x, point.y)) + self.mark((0, 0)));
        axes.draw_series(marks)?;
        Ok(())
    }

    /// A mark about a place in pixels.
    fn mark<'b>(&self, at: (i32, i32)) -> DynElement<'static, SVGBackend<'b>, (i32, i32)> {
        let style = match self.is_hollow {
            true => self.color().stroke_width(2),
            false => self.color().filled(),
        };
        match self.look / COLORS.len() {
            0 => Circle::new(at, 4, style).into_dyn(),
            // The library's triangle is always filled.
            1 if self.is_hollow => {
                let (x, y) = at;
                let corners = [(x, y - 5), (x + 5, y + 3), (x - 5, y + 3), (x, y - 5)];
                PathElement::new(corners, style).into_dyn()
            }
            1 => TriangleMarker::new(at, 5, style).into_dyn(),
            _ => Rectangle::new([(at.0 - 4, at.1 - 4), (at.0 + 4, at.1 + 4)], style).into_dyn(),
        }
    }

    fn legend<'b>(
        &self,
        area: &DrawingArea<SVGBackend<'b>, Shift>,
        row: i32,
    ) -> Result<(), DrawError<'b>> {
        let y = row * LEGEND_LINE as i32 + 10;
        let line = self.color().stroke_width(2);
        match self.line {
            Line::None => {}
            Line::Solid => area.draw(&PathElement::new([(12, y), (40, y)], line))?,
            Line::Dashed => {
                for from in [12, 23, 34] {
                    area.draw(&PathElement::new([(from, y), (from + 6, y)], line))?;
                }
            }
        }
        area.draw(&self.mark((26, y)))?;
        let mut label: String = self.label.chars().take(LEGEND_LETTERS).collect();
        if label.len() < self.label.len() {
            label.push('…');
        }
        area.draw(&Text::new(label, (50, y - 8), FONT.into_font().color(&INK)))
    }
}

/// Lets the ink follow the page, and gives the picture a name.
fn themed(svg: &str, title: &str) -> String {
    let Some((head, rest)) = svg.split_once('>') else {
        return svg.to_owned();
    };
    let title = super::html::escape(title);
    let rest = rest.replace("\"#000000\"", "\"currentColor\"");
    format!(
        "{head} role=\"img\">\n<title>{title}</title>\n<style>svg{{color:#1c1c1e}}\
         @media(prefers-color-scheme:dark){{svg{{color:#e6e6e6}}}}</style>{rest}"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_chart_has_its_labels_marks_and_ink_that_follows_the_page() {
        let point = |x, y| Point {
            x,
            y,
            interval: Some((y - 1.0, y + 1.0)),
        };
        let series = Series {
            label: "ours < theirs".to_owned(),
            look: 0,
            line: Line::Solid,
            is_hollow: false,
            points: vec![point(1.0, 20.0), point(2.0, 10.0)],
        };
        let chart = Chart {
            title: "WER & size",
            x_label: "parameters",
            y_label: "WER",
            series: vec![series],
            x_text: &|x| format!("{x:.1} M"),
        };
        let svg = chart.draw().unwrap();
        assert_eq!(svg, chart.draw().unwrap());
        for part in [
            "parameters",
            "ours &lt; theirs",
            "<title>WER &amp; size</title>",
            "1.5 M",
        ] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        // Two points, the middles of their intervals, and one in the legend.
        assert_eq!(svg.matches("<circle").count(), 5);
        assert!(svg.contains("currentColor") && !svg.contains("#000000"));
    }

    #[test]
    fn ranges_hold_every_point_also_where_there_is_one() {
        assert_eq!(wider([1.0, 3.0].into_iter()), (0.88, 3.12));
        assert_eq!(wider([2.0].into_iter()), (1.5, 2.5));
        assert_eq!(wider(std::iter::empty()), (0.0, 1.0));
    }
}
