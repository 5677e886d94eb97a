//! Owns the drawing of a chart, by the library's axes and its SVG.
//!
//! The library writes a colour at each shape and knows no classes. The colours here are names: the style sheet finds each
//! shape by the colour that is written at it and gives it the one of the theme.

use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::{DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle};

use super::axis::Axis;
use super::{Chart, runs};

/// Twice as large as it is shown: places are whole numbers.
const SIZE: (u32, u32) = (960, 400);

const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const LIMIT: RGBColor = RGBColor(3, 3, 3);
const MARK: RGBColor = RGBColor(4, 4, 4);
const LINES: [RGBColor; 3] = [RGBColor(17, 17, 17), RGBColor(18, 18, 18), RGBColor(19, 19, 19)];

type Failed = DrawingAreaErrorKind<std::io::Error>;

/// Draws a chart.
///
/// # Errors
/// Where the library cannot; into memory it always can.
pub(super) fn plot(chart: &Chart) -> Result<Markup, Failed> {
    let mut drawn = String::new();
    draw(chart, &mut drawn)?;
    // Its own root has the size in pixels, which no style sheet of ours could change.
    let inner = drawn.split_once('>').map_or("", |(_, inner)| inner);
    let inner = inner.rsplit_once("</svg>").map_or(inner, |(inner, _)| inner).replace(" opacity=\"1\"", "");
    let (width, height) = SIZE;
    Ok(html! {
        svg viewBox={ "0 0 " (width) " " (height) } role="img"
            aria-labelledby={ (chart.id) "-t " (chart.id) "-d" } {
            title id={ (chart.id) "-t" } { (chart.title) }
            desc id={ (chart.id) "-d" } { (chart.description()) }
            (PreEscaped(inner))
        }
    })
}

fn draw(chart: &Chart, into: &mut String) -> Result<(), Failed> {
    let root = SVGBackend::with_string(into, SIZE).into_drawing_area();
    let font = ("sans-serif", 30).into_font().color(&INK);
    let (across, up) = (Axis::moments(chart.stretch), Axis::values(chart.unit, chart.reach()));
    let mut area = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(36)
        .x_label_area_size(48)
        .y_label_area_size(132)
        .build_cartesian_2d(across, up)?;
    let (grid, fine) = (GRID.stroke_width(2), GRID.stroke_width(1));
    area.configure_mesh()
        .disable_x_mesh()
        .bold_line_style(fine)
        .light_line_style(fine)
        .axis_style(grid)
        .label_style(font)
        .draw()?;
    let (top, bottom) = {
        use plotters::coord::ranged1d::Ranged as _;
        let range = area.as_coord_spec().y_spec().range();
        (range.end, range.start)
    };
    let (from, to) = (chart.stretch.from_ms as f64, chart.stretch.to_ms as f64);
    for mark in chart.marks.iter().filter(|mark| (from..=to).contains(&(mark.at_ms as f64))) {
        let at = mark.at_ms as f64;
        area.plotting_area().draw(&PathElement::new([(at, bottom), (at, top)], MARK.stroke_width(4)))?;
    }
    for threshold in chart.thresholds.iter().filter(|one| (bottom..=top).contains(&one.value)) {
        let ends = [(from, threshold.value), (to, threshold.value)];
        area.plotting_area().draw(&PathElement::new(ends, LIMIT.stroke_width(4)))?;
    }
    for (line, colour) in chart.lines.iter().zip(LINES) {
        let style: ShapeStyle = colour.stroke_width(4);
        for run in runs(&line.samples, chart.stretch, chart.gap_ms) {
            let points: Vec<(f64, f64)> = run.iter().map(|(at_ms, value)| (*at_ms as f64, *value)).collect();
            match points[..] {
                // A line of one point would not be seen.
                [one] => area.plotting_area().draw(&Circle::new(one, 4, colour.filled()))?,
                _ => area.plotting_area().draw(&PathElement::new(points, style))?,
            }
        }
    }
    root.present()
}
