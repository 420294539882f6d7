//! Draws the table as an SVG image, with a bar for each row on a logarithmic scale.

use std::fmt::Write;

use crate::rounds::Measured;

const WIDTH: f64 = 860.0;
/// The start and the maximum length of the bars.
const BARS: (f64, f64) = (210.0, 500.0);
const TOP: f64 = 74.0;
const LINE: f64 = 25.0;
const BAR: f64 = 15.0;

/// The colours of the light and the dark theme. The image has a background of its own in both.
const STYLE: &str = "\
    .ground { fill: #ffffff; stroke: #d0d7de }\n\
    text { fill: #1f2328; font: 13px ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif }\n\
    .title { font-size: 16px; font-weight: 600 }\n\
    .small { fill: #59636e; font-size: 11px }\n\
    .value { font-variant-numeric: tabular-nums }\n\
    .grid { stroke: #d8dee4 }\n\
    .service { fill: #0969da } .floor { fill: #8c959f } .peer { fill: #bc4c00 }\n\
    @media (prefers-color-scheme: dark) {\n\
    .ground { fill: #0d1117; stroke: #3d444d }\n\
    text { fill: #f0f6fc }\n\
    .small { fill: #9198a1 }\n\
    .grid { stroke: #2f3742 }\n\
    .service { fill: #4493f8 } .floor { fill: #7d8590 } .peer { fill: #db6d28 }\n\
    }\n";

/// Returns the image.
pub fn picture(rows: &[Measured], machine: &str, versions: &str) -> String {
    let longest = rows.iter().map(|row| row.ns).fold(10.0, f64::max);
    let bottom = TOP + LINE * rows.len() as f64;
    let height = bottom + 58.0;
    let scale = Scale { decades: longest.log10().ceil() - 1.0 };

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"Time to verify one token\">\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
        WIDTH - 1.0,
        height - 1.0,
    );
    text(&mut svg, 20.0, 30.0, "title", "start", "Time to verify one token");
    let how = "median of interleaved rounds, logarithmic scale; in brackets the ratio to its floor";
    text(&mut svg, 20.0, 48.0, "small", "start", how);
    for decade in 0..=scale.decades as i32 {
        let x = scale.x(10f64.powi(decade + 1));
        let (top, end) = (TOP - 8.0, bottom - 2.0);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{end}\"/>"
        );
        let label = time(10f64.powi(decade + 1)).replace(".0", "");
        text(&mut svg, x, bottom + 13.0, "small", "middle", &label);
    }
    for (n, row) in rows.iter().enumerate() {
        let y = TOP + LINE * n as f64;
        let (end, baseline) = (scale.x(row.ns), y + BAR - 3.0);
        let class = class(&row.name);
        text(&mut svg, BARS.0 - 10.0, baseline, "", "end", &row.name);
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>",
            BARS.0,
            end - BARS.0,
        );
        let value = format!("{} ({:.2})", time(row.ns), row.ratio_to_floor);
        text(&mut svg, end + 6.0, baseline, "value", "start", &value);
    }
    text(&mut svg, 20.0, height - 26.0, "small", "start", machine);
    text(&mut svg, 20.0, height - 11.0, "small", "start", versions);
    svg.push_str("</svg>\n");
    svg
}

/// A logarithmic scale that starts at 10 ns.
struct Scale {
    decades: f64,
}

impl Scale {
    fn x(&self, ns: f64) -> f64 {
        BARS.0 + (ns.max(10.0).log10() - 1.0) / self.decades * BARS.1
    }
}

fn class(name: &str) -> &'static str {
    match name.split(' ').next() {
        Some("service") => "service",
        Some("floor" | "sha256") => "floor",
        _ => "peer",
    }
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 999_500.0 => format!("{:.1} ms", ns / 1e6),
        ns if ns >= 9_995.0 => format!("{:.0} µs", ns / 1e3),
        ns if ns >= 999.5 => format!("{:.1} µs", ns / 1e3),
        ns => format!("{ns:.0} ns"),
    }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
