//! How a problem looks on paper: the line it is in, a caret under the word, and what to write instead.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level as Tag, Renderer, Snippet};

use super::diagnostic::{Diagnostic, DiagnosticList, Level, Location, Source, Span};
use super::syntax::line_of;
use certcollectd_core::config::count;

/// What stands in the place of text that must not be shown. Always the same length, so that it does not tell
/// the length either.
const MASK: &str = "******";

/// Two places at most this many lines apart are shown with the lines between them.
const NEAR: usize = 6;

/// Bytes of a line that are shown; a longer one was not written by hand.
const LINE: usize = 2000;

impl DiagnosticList {
    /// The problems as text for a terminal, in the manner of the Rust compiler, and a line that counts them.
    /// `sources` are those that were read; `color` adds terminal colours. No secret is shown.
    pub fn render(&self, sources: &[Source], color: bool) -> String {
        let mut text = self.paragraphs(sources, color);
        if !self.is_empty() {
            let path = self.paths.first().map(|path| path.display().to_string()).unwrap_or_default();
            let _ = writeln!(text, "{path}: {}", self.count());
        }
        text
    }

    /// As [`DiagnosticList::render`], without the line that counts them.
    pub fn paragraphs(&self, sources: &[Source], color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in self.iter() {
            for line in self.render_one(problem, sources, &renderer).lines() {
                text.push_str(line.trim_end());
                text.push('\n');
            }
            text.push('\n');
        }
        let shown = self.iter().count();
        if self.len() > shown {
            let _ = writeln!(text, "and {} more\n", self.len() - shown);
        }
        text
    }

    /// Each problem in one line, `file:line:column: error: …`, for a log.
    pub fn lines(&self, sources: &[Source]) -> Vec<String> {
        self.iter().map(|problem| self.line(problem, sources)).collect()
    }

    /// The first error among [`DiagnosticList::lines`].
    pub fn first_error(&self, sources: &[Source]) -> Option<String> {
        self.iter().find(|problem| problem.level == Level::Error).map(|problem| self.line(problem, sources))
    }

    fn line(&self, problem: &Diagnostic, sources: &[Source]) -> String {
        let mut line = address(self.path(&problem.at), &problem.at, sources);
        let _ = write!(line, ": {}: {}", problem.level, problem.message);
        for more in [&problem.at.label, problem.help.as_ref().unwrap_or(&String::new())] {
            if !more.is_empty() {
                let _ = write!(line, "; {more}");
            }
        }
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// "2 errors, 1 warning".
    fn count(&self) -> String {
        let some = |number: usize, what: &str| (number > 0).then(|| count(number, what));
        let counts = [some(self.errors(), "error"), some(self.warnings(), "warning")];
        counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn render_one(&self, problem: &Diagnostic, sources: &[Source], renderer: &Renderer) -> String {
        let title = match problem.level {
            Level::Error => Tag::ERROR.primary_title(problem.message.as_str()),
            Level::Warning => Tag::WARNING.primary_title(problem.message.as_str()),
        };
        let mut group = Group::with_title(title);
        for window in self.windows(problem, sources) {
            group = group.element(window);
        }
        if problem.at.span.is_none() {
            let path = self.path(&problem.at).display().to_string();
            group = group.element(annotate_snippets::Origin::path(path));
        }
        if let Some(help) = &problem.help {
            group = group.element(Tag::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// The parts of the sources to show, the main place first; places near to each other share one.
    fn windows(
        &self,
        problem: &Diagnostic,
        sources: &[Source],
    ) -> Vec<Snippet<'static, annotate_snippets::Annotation<'static>>> {
        let mut groups: Vec<Window<'_>> = Vec::new();
        for (index, location) in std::iter::once(&problem.at).chain(&problem.also).enumerate() {
            let (Some(source), Some(span)) = (sources.get(location.source), location.span.clone()) else {
                continue;
            };
            let text = source.text.as_str();
            let Some(span) = first_line(text, span) else { continue };
            let lines = lines_around(text, &span);
            let known = groups
                .iter_mut()
                .find(|group| group.source == location.source && are_near(text, &group.lines, &lines));
            let mark = (location, span, index == 0);
            match known {
                Some(group) => {
                    group.lines = group.lines.start.min(lines.start)..group.lines.end.max(lines.end);
                    group.marks.push(mark);
                }
                None => groups.push(Window { source: location.source, lines, marks: vec![mark] }),
            }
        }
        groups
            .into_iter()
            .map(|Window { source, lines, marks }| {
                let text = sources[source].text.as_str();
                let view = View::new(text, lines.clone(), source, &self.hidden);
                let annotations = marks.into_iter().map(|(location, span, is_main)| {
                    let kind = if is_main { AnnotationKind::Primary } else { AnnotationKind::Context };
                    let span = view.place(span.start)..view.place(span.end);
                    let label = (!location.label.is_empty()).then(|| location.label.clone());
                    kind.span(span).label(label)
                });
                let annotations: Vec<_> = annotations.collect();
                let path = self.paths.get(source).map(|path| path.display().to_string());
                Snippet::source(view.text)
                    .line_start(position(text, lines.start).0)
                    .path(path)
                    .annotations(annotations)
            })
            .collect()
    }
}

/// `FILE:LINE:COLUMN`, or the file alone where it is meant as a whole.
pub(crate) fn address(path: &Path, location: &Location, sources: &[Source]) -> String {
    let path = path.display();
    match (location.span.as_ref(), sources.get(location.source)) {
        (Some(span), Some(source)) => {
            let (number, column) = position(&source.text, span.start);
            format!("{path}:{number}:{column}")
        }
        _ => path.to_string(),
    }
}

/// A part of a source, and the places in it: what to mark, and whether it is the main one.
struct Window<'a> {
    source: usize,
    lines: Range<usize>,
    marks: Vec<(&'a Location, Range<usize>, bool)>,
}

/// Line and column, both from 1, the column in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_of(text, at).start..]).chars().count() + 1;
    (line, column)
}

/// The part of a span that is in its first line; nothing if it is not a part of the text.
fn first_line(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let inside = text.get(span.clone())?;
    let line = inside.split('\n').next().unwrap_or_default().trim_end();
    Some(span.start..span.start + line.len())
}

fn lines_around(text: &str, span: &Range<usize>) -> Range<usize> {
    // What is far from the span in a line without end is not needed to understand it.
    let start =
        line_of(text, span.start).start.max(text.floor_char_boundary(span.start.saturating_sub(LINE)));
    let end = line_of(text, span.end).end;
    start..end.min(text.ceil_char_boundary((span.end + LINE).min(text.len())))
}

fn are_near(text: &str, window: &Range<usize>, lines: &Range<usize>) -> bool {
    let between = if lines.start >= window.end {
        window.end..lines.start
    } else if window.start >= lines.end {
        lines.end..window.start
    } else {
        return true;
    };
    text[between].matches('\n').count() <= NEAR
}

/// A part of a source with its secrets masked, and the way from an offset in the source to one in it.
struct View {
    text: String,
    /// Where a stretch begins in the source, where in `text`, and whether it is masked.
    stretches: Vec<(usize, usize, bool)>,
}

impl View {
    fn new(text: &str, window: Range<usize>, source: usize, hidden: &[Span]) -> View {
        let mut view = View { text: String::new(), stretches: Vec::new() };
        let mut at = window.start;
        for span in hidden.iter().filter(|span| span.source as usize == source) {
            let start = text.floor_char_boundary((span.start as usize).clamp(at, window.end));
            let end = text.ceil_char_boundary((span.end as usize).clamp(start, window.end));
            if start == end {
                continue;
            }
            view.push(at, &text[at..start], false);
            // Line ends stay, or the numbers of the lines below would be wrong.
            let lines = text[start..end].matches('\n').count();
            view.push(start, &format!("{MASK}{}", "\n".repeat(lines)), true);
            at = end;
        }
        view.push(at, &text[at..window.end], false);
        view
    }

    fn push(&mut self, start: usize, text: &str, is_masked: bool) {
        self.stretches.push((start, self.text.len(), is_masked));
        self.text.push_str(text);
    }

    fn place(&self, at: usize) -> usize {
        let index = self.stretches.partition_point(|(start, _, _)| *start <= at).saturating_sub(1);
        let (start, begins, is_masked) = self.stretches[index];
        let ends = self.stretches.get(index + 1).map_or(self.text.len(), |(_, begins, _)| *begins);
        if is_masked {
            // Not behind the line ends that a mask of several lines keeps.
            return if at == start { begins } else { (begins + MASK.len()).min(ends) };
        }
        (begins + at.saturating_sub(start)).min(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str, parts: &[&str]) -> Vec<Span> {
        let span = |part: &&str| {
            let start = text.find(*part).expect("it is in there") as u32;
            Span { source: 0, start, end: start + part.len() as u32 }
        };
        parts.iter().map(span).collect()
    }

    #[test]
    fn columns_are_counted_in_characters() {
        let text = "ä = 1\nbü = 2";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, text.find('2').unwrap()), (2, 6));
        assert_eq!(position(text, 999), (2, 7));
    }

    #[test]
    fn a_mask_tells_neither_the_text_nor_its_length() {
        for secret in ["x", "hunter2", "ein längeres Geheimnis"] {
            let text = format!("a = {secret} # b");
            let view = View::new(&text, 0..text.len(), 0, &hidden(&text, &[secret]));
            assert_eq!(view.text, "a = ****** # b");
            assert_eq!((view.place(0), view.place(4), view.place(4 + secret.len())), (0, 4, 10));
            assert_eq!(view.place(text.len()), view.text.len());
        }
    }

    #[test]
    fn masks_may_overlap_span_lines_and_stick_out() {
        let text = "a = one two\nthree four\nb = 1";
        let mut spans = hidden(text, &["one", "one two\nthree", "two"]);
        spans.push(Span { source: 1, start: 0, end: 5 });
        spans.sort_unstable();
        let view = View::new(text, 0..text.len(), 0, &spans);
        assert!(!["one", "two", "three"].iter().any(|word| view.text.contains(word)), "{}", view.text);
        assert_eq!(view.text.lines().count(), text.lines().count());
        assert_eq!(&view.text[view.place(text.find('b').unwrap())..], "b = 1");
        let inside = View::new(text, 6..9, 0, &hidden(text, &["a = one two\nthree"]));
        assert_eq!(inside.text, MASK);
    }

    #[test]
    fn only_the_first_line_of_a_place_is_marked() {
        assert_eq!(first_line("a = [\n 1\n]", 4..10), Some(4..5));
        assert_eq!(first_line("a", 0..5), None);
        assert_eq!(first_line("", 0..0), Some(0..0));
    }
}
