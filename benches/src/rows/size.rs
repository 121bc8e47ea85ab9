//! The program that is measured, on disk.

use std::io;

use crate::bench::Bench;
use crate::figure::Figure;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let size = std::fs::metadata(&bench.program)?.len();
    Ok(vec![Figure::new("the program without the sandbox", 16.0, "MB", vec![size as f64 / 1e6])])
}
