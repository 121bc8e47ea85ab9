//! What a person reads on a screen of any size.

/// Colours, on a terminal and elsewhere.
mod colours;
/// What is drawn while something lasts.
mod live;
/// What `status --json` promises.
pub mod schema;
/// The table, as wide and as high as the screen.
mod screen;
/// The picture that is drawn again and again.
mod watch;
