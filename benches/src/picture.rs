//! Growth with the number of orders, as an SVG.

use std::fmt::Write as _;

use crate::figure::Spread;

/// Height and width of a panel, and its distance from the edges.
const PANEL: [f64; 2] = [220.0, 300.0];
const EDGE: [f64; 2] = [50.0, 60.0];
const COLOURS: [&str; 3] = ["#1b6ca8", "#d1495b", "#5b8e3e"];

/// One line of a panel: its name, and its value at each number of orders.
type Curve<'a> = (&'a str, Vec<(f64, f64)>);

/// Left: memory in KiB by life, for all sizes. Right: seconds of CPU per poll in rounds, for all but the first.
pub fn draw(sizes: &[u64], memory: &[[f64; 3]], cpu: &[Vec<f64>]) -> String {
    let at = |index: usize| sizes[index] as f64;
    let life = |life: usize| {
        memory.iter().enumerate().map(|(size, lives)| (at(size), lives[life] / 1024.0)).collect()
    };
    let memory = [("fresh", life(0)), ("restarted", life(1)), ("reloaded", life(2))];
    let middle = |rounds: &Vec<f64>| Spread::of(rounds.clone()).middle * 1e6;
    let cpu = [(
        "state in memory",
        cpu.iter().enumerate().map(|(size, rounds)| (at(size + 1), middle(rounds))).collect(),
    )];
    let [height, width] = [PANEL[0] + 2.0 * EDGE[0], 2.0 * (PANEL[1] + EDGE[1]) + 30.0];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>Memory and CPU of a poll by the number of orders</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    panel(&mut svg, EDGE[1], "memory, MiB", &memory);
    panel(&mut svg, 2.0 * EDGE[1] + PANEL[1], "CPU per poll, us", &cpu);
    svg.push_str("</svg>\n");
    svg
}

/// Sizes by their logarithm; values from zero.
fn panel(svg: &mut String, left: f64, title: &str, curves: &[Curve<'_>]) {
    let points = || curves.iter().flat_map(|(_, points)| points.iter().copied());
    let first = points().map(|(size, _)| size).fold(f64::INFINITY, f64::min).log10();
    let last = points().map(|(size, _)| size).fold(1.0, f64::max).log10();
    let top = step(points().map(|(_, value)| value).fold(0.0, f64::max));
    let x = |size: f64| left + PANEL[1] * (size.log10() - first) / (last - first).max(1.0);
    let y = |value: f64| EDGE[0] + PANEL[0] * (1.0 - value / (4.0 * top));
    let mut say = |piece: std::fmt::Arguments<'_>| svg.write_fmt(piece).expect("a text takes everything");
    say(format_args!("<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{title}</text>\n", EDGE[0] - 20.0));
    for mark in 0..=4 {
        let value = f64::from(mark) * top;
        let (right, height) = (left + PANEL[1], y(value));
        say(format_args!(
            "<line x1=\"{left}\" y1=\"{height:.1}\" x2=\"{right}\" y2=\"{height:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
            left - 6.0,
            height + 4.0
        ));
    }
    for exponent in first.ceil() as i32..=last.floor() as i32 {
        let size = 10f64.powi(exponent);
        let below = EDGE[0] + PANEL[0] + 18.0;
        say(format_args!(
            "<text x=\"{:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{size}</text>\n",
            x(size)
        ));
    }
    for (number, ((name, points), colour)) in curves.iter().zip(COLOURS).enumerate() {
        let path: Vec<String> =
            points.iter().map(|(size, value)| format!("{:.1},{:.1}", x(*size), y(*value))).collect();
        let (right, height) = (left + 10.0, EDGE[0] + 14.0 + 16.0 * number as f64);
        say(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{right}\" y=\"{height}\" fill=\"{colour}\">{name}</text>\n",
            path.join(" ")
        ));
    }
}

/// A round number, four of which hold `most`.
fn step(most: f64) -> f64 {
    let least = (most / 4.0).max(1.0);
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= least).unwrap_or(least)
}
