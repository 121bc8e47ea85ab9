//! From text to tables whose keys are known, and to diagnostics that point into the text.

pub(super) mod diagnostic;
pub mod locate;
pub(super) mod reader;
mod render;
pub(super) mod sensitive;
pub(super) mod syntax;
