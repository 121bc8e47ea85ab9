//! What is wrong with a configuration: collected while it is read, all of it, each with its place.
//!
//! How a problem looks on paper is the matter of `render`.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use certcollectd_core::words;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As the operator knows it; messages begin with it.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

/// All that was found, errors and warnings, in the order of the files and lines they point at.
///
/// At most [`DiagnosticList::SHOWN`] of each kind are kept; the others are only counted.
#[derive(Debug, Clone, Default)]
pub struct DiagnosticList {
    pub(crate) kept: Vec<Diagnostic>,
    pub(crate) paths: Vec<PathBuf>,
    /// Ranges whose text is never shown, whatever points at their line.
    pub(crate) hidden: Vec<Span>,
    errors: usize,
    warnings: usize,
}

/// One mistake, or one thing that is allowed and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the configuration can be used all the same.
    pub level: Level,
    /// What is wrong: lower case, no full stop, no secret.
    pub message: String,
    pub at: Location,
    /// Further places that belong to it, such as the first of two duplicates.
    pub also: Vec<Location>,
    /// What is allowed, or what to write.
    pub help: Option<String>,
}

words! {
    /// How bad a problem is.
    pub enum Level {
        /// The configuration cannot be used.
        Error = "error",
        /// It can be used.
        Warning = "warning",
    }
}

/// A place in one of the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Which of the sources, counted from 0; [`DiagnosticList::path`] names it.
    pub source: usize,
    /// The bytes meant; `None` is the file as a whole.
    pub span: Option<Range<usize>>,
    /// What stands under the caret; may be empty.
    pub label: String,
}

/// A place while reading: small, because there is one for each order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) source: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// A source as a whole.
    pub(crate) fn whole(source: u32) -> Span {
        Span { source, start: u32::MAX, end: u32::MAX }
    }

    /// A range of a part that begins at `base`. Sources are shorter than 4 GiB, which `read` makes sure of.
    pub(crate) fn of(source: u32, base: usize, range: Range<usize>) -> Span {
        Span { source, start: (base + range.start) as u32, end: (base + range.end) as u32 }
    }

    pub(crate) fn location(self, label: String) -> Location {
        let span = (self.start != u32::MAX).then_some(self.start as usize..self.end as usize);
        Location { source: self.source as usize, span, label }
    }
}

impl Diagnostic {
    pub(crate) fn new(level: Level, message: impl Into<String>, at: Span) -> Diagnostic {
        let at = at.location(String::new());
        Diagnostic { level, message: message.into(), at, also: Vec::new(), help: None }
    }

    pub(crate) fn error(message: impl Into<String>, at: Span) -> Diagnostic {
        Diagnostic::new(Level::Error, message, at)
    }

    pub(crate) fn warning(message: impl Into<String>, at: Span) -> Diagnostic {
        Diagnostic::new(Level::Warning, message, at)
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.at.label = label.into();
        self
    }

    /// The second of two, where one is allowed.
    pub(crate) fn again_after(self, first: Span) -> Diagnostic {
        self.label("again here").also(first, "first here")
    }

    pub(crate) fn also(mut self, at: Span, label: impl Into<String>) -> Diagnostic {
        self.also.push(at.location(label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn add_to(self, diagnostics: &Diagnostics<'_>) {
        diagnostics.add(self);
    }

    fn order(&self) -> (usize, usize, Level) {
        let start = self.at.span.as_ref().map_or(0, |span| span.start);
        (self.at.source, start, self.level)
    }
}

impl DiagnosticList {
    /// Maximum number of problems shown; a file with more has one cause worth fixing first.
    pub const SHOWN: usize = 100;

    /// Whether there is an error among them, so that the configuration cannot be used.
    pub fn is_error(&self) -> bool {
        self.errors > 0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were found, those that are only counted included.
    pub fn len(&self) -> usize {
        self.errors + self.warnings
    }

    pub fn errors(&self) -> usize {
        self.errors
    }

    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// Those that are shown, at most [`DiagnosticList::SHOWN`], errors before warnings where there is no room for
    /// all, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        let room = DiagnosticList::SHOWN.saturating_sub(self.errors);
        let mut warnings = 0;
        self.kept.iter().filter(move |problem| match problem.level {
            Level::Error => true,
            Level::Warning => {
                warnings += 1;
                warnings <= room
            }
        })
    }

    pub fn path(&self, location: &Location) -> &Path {
        self.paths.get(location.source).map_or_else(|| Path::new(""), PathBuf::as_path)
    }

    /// Those for which a condition holds.
    pub(crate) fn only(self, is_wanted: impl Fn(&Diagnostic) -> bool) -> DiagnosticList {
        let mut only = DiagnosticList { paths: self.paths, hidden: self.hidden, ..DiagnosticList::default() };
        self.kept.into_iter().filter(|problem| is_wanted(problem)).for_each(|problem| only.add(problem));
        only
    }

    /// How many errors there are in other files than this one, as far as they are kept.
    pub(crate) fn errors_but_in(&self, source: usize) -> usize {
        let is_elsewhere =
            |problem: &&Diagnostic| problem.level == Level::Error && problem.at.source != source;
        self.kept.iter().filter(is_elsewhere).count()
    }

    pub(crate) fn has(&self, problem: &Diagnostic) -> bool {
        self.kept.contains(problem)
    }

    /// What is wrong in `[defaults]` is wrong for every order, and is told once.
    fn add(&mut self, problem: Diagnostic) {
        let is_same = |known: &Diagnostic| {
            known.at.span.is_some()
                && known.at.span == problem.at.span
                && known.at.source == problem.at.source
                && known.message == problem.message
        };
        if self.kept.iter().any(is_same) {
            return;
        }
        let count = match problem.level {
            Level::Error => &mut self.errors,
            Level::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= DiagnosticList::SHOWN {
            self.kept.push(problem);
        }
    }
}

/// Where the reader puts what it finds. It is shared by every table reader of one run.
pub(crate) struct Diagnostics<'a> {
    pub(crate) sources: &'a [Source],
    problems: RefCell<DiagnosticList>,
    /// Parts that were left out because of a syntax error: what is missing there is not missed.
    gaps: RefCell<Vec<Span>>,
}

impl<'a> Diagnostics<'a> {
    pub(crate) fn new(sources: &'a [Source]) -> Diagnostics<'a> {
        let paths = sources.iter().map(|source| source.path.clone()).collect();
        Diagnostics {
            sources,
            problems: RefCell::new(DiagnosticList { paths, ..DiagnosticList::default() }),
            gaps: RefCell::default(),
        }
    }

    pub(crate) fn add(&self, problem: Diagnostic) {
        self.problems.borrow_mut().add(problem);
    }

    /// Whether nothing that is added from now on will be shown.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.borrow().errors >= DiagnosticList::SHOWN
    }

    /// Counts errors that will not be shown, where to describe them would take time.
    pub(crate) fn count(&self, errors: usize) {
        self.problems.borrow_mut().errors += errors;
    }

    /// Never shows the text at `span`.
    pub(crate) fn hide(&self, span: Span) {
        self.problems.borrow_mut().hidden.push(span);
    }

    pub(crate) fn leave_out(&self, span: Span) {
        self.gaps.borrow_mut().push(span);
    }

    /// Whether everything that was written has been read.
    pub(crate) fn is_complete(&self) -> bool {
        self.gaps.borrow().is_empty()
    }

    /// Whether exactly this was left out.
    pub(crate) fn lacks(&self, span: Span) -> bool {
        self.gaps.borrow().contains(&span)
    }

    /// Whether something of the table that begins at `header` was left out.
    pub(crate) fn has_gap_after(&self, header: Span) -> bool {
        let gaps = self.gaps.borrow();
        if gaps.is_empty() {
            return false;
        }
        let text = self.sources[header.source as usize].text.as_str();
        let start = if header.start == u32::MAX { 0 } else { header.end as usize };
        let end = next_header(text, start);
        gaps.iter()
            .any(|gap| gap.source == header.source && gap.start as usize <= end && gap.end as usize >= start)
    }

    pub(crate) fn finish(self) -> DiagnosticList {
        let mut problems = self.problems.into_inner();
        problems.kept.sort_by_key(Diagnostic::order);
        problems.hidden.sort_unstable();
        problems.hidden.dedup();
        problems
    }
}

/// The start of the next line that begins a table, or the end of the text.
pub(crate) fn next_header(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\n')) {
        at += found + 1;
        if text[at..].trim_start_matches([' ', '\t']).starts_with('[') {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_where_the_next_one_begins() {
        let text = "a = 1\nb = [\n1]\n  [c]\nd = 1\n";
        assert_eq!(next_header(text, 0), 15);
        assert_eq!(next_header(text, 18), text.len());
        assert_eq!(next_header(text, 999), text.len());
    }

    #[test]
    fn only_so_many_are_kept_and_all_are_counted() {
        let diagnostics = Diagnostics::new(&[]);
        for start in (0..250).rev() {
            Diagnostic::error("x", Span { source: 0, start, end: start }).add_to(&diagnostics);
            Diagnostic::warning("y", Span { source: 0, start, end: start }).add_to(&diagnostics);
        }
        let problems = diagnostics.finish();
        assert_eq!((problems.errors(), problems.warnings(), problems.len()), (250, 250, 500));
        assert_eq!(problems.iter().count(), DiagnosticList::SHOWN);
        assert!(problems.iter().all(|problem| problem.level == Level::Error));
        assert!(problems.iter().is_sorted_by_key(|problem| problem.at.span.clone().unwrap().start));
    }
}
