//! The status on a screen: as wide as that is, the worst first, and never longer than it is high.

use anstyle::{AnsiColor, Style};

use super::fit::{first_lines, shortened, width, wrapped};
use super::table::{self, HEADINGS};
use super::{Need, OrderStatus, Status};
use certcollectd_core::engine::finding::Urgency;

/// What a status is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Screen {
    /// Columns; without, nothing is shortened.
    pub columns: Option<usize>,
    /// Lines; without, every order is shown.
    pub rows: Option<usize>,
    pub colours: bool,
}

const GAP: &str = "  ";
/// A column of notes as wide as this says enough.
const NOTE: usize = 48;
/// Beside a note, names have a third of the columns at most.
const NAME_SHARE: usize = 3;
/// So many lines of orders are shown, however low the screen is.
const LEAST_LINES: usize = 6;
/// So many lines of what concerns no single order are shown.
const LEAST_OF_NOTICE: usize = 2;

/// Not on a screen, every order is shown.
const ALL_OF_THEM: &str = "certcollectd status | less";
const CRITICAL: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default();
const HEADING: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();

/// An order, before it is known how much room there is.
struct Row<'a> {
    order: &'a OrderStatus,
    /// Name, phase, next poll, certificate.
    cells: [String; 4],
    note: String,
}

/// How wide the columns are; one of no width is left out.
struct Layout {
    widths: [usize; 4],
    /// The note's; none if it stands below the others.
    note: Option<usize>,
}

impl Status {
    /// What each order does, what else needs somebody, the next command, and a line that sums up.
    pub fn table(&self, screen: &Screen) -> String {
        let plain = Screen { colours: false, ..*screen };
        let head = self.lost(screen);
        let ends = screen.lines(&head) + screen.lines(&self.foot(&plain));
        let room = screen.rows.map(|rows| rows.saturating_sub(ends + LEAST_LINES + 2));
        let taken = ends + screen.lines(&self.notices_on(&plain, room));
        let orders = self.orders_on(screen, taken);
        head + &orders + &self.notices_on(screen, room) + &self.foot(screen)
    }

    /// What concerns no single order, each in as many lines as there are for it.
    fn notices_on(&self, screen: &Screen, room: Option<usize>) -> String {
        let notices = self.notices();
        // One line before each is empty.
        let each = room.map_or(usize::MAX, |room| (room / notices.len().max(1)).saturating_sub(1));
        let each = each.max(LEAST_OF_NOTICE);
        let shown = notices.iter().map(|(urgency, notice)| {
            let text = first_lines(&wrapped(notice, screen.columns, 0), screen.columns, each);
            let (first, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
            format!("\n{}{rest}\n", screen.paint(urgency.map_or(Style::new(), style_of), first))
        });
        shown.collect()
    }

    /// The next command, if one is needed, and the line that sums up.
    fn foot(&self, screen: &Screen) -> String {
        let found = self.found();
        let worst = found.first().map(|found| &found.finding);
        let summary = self.summary();
        let parts = Need::ALL.map(|need| {
            let style = match need {
                _ if summary.of(need) == 0 => QUIET,
                Need::You => worst.map_or(WARNING, |worst| style_of(worst.urgency)),
                Need::Time | Need::Nothing => Style::new(),
            };
            screen.paint(style, &summary.part(need))
        });
        let next = worst.map(|worst| {
            let line = format!("next: {}", worst.next);
            let is_long = screen.columns.is_some_and(|columns| width(&line) > columns);
            format!("\n{}", if is_long { &worst.next } else { &line })
        });
        format!("{}\n{}\n", next.unwrap_or_default(), parts.join(" · "))
    }

    /// The table; so many lines of the screen are for something else.
    fn orders_on(&self, screen: &Screen, taken: usize) -> String {
        let orders = self.worst_first();
        if orders.is_empty() {
            return String::new();
        }
        // The heading has a line, and the prompt below.
        let room = screen.rows.map(|rows| rows.saturating_sub(taken + 2).max(LEAST_LINES));
        // What is surely out of sight has no say in the layout.
        let near = room.map_or(orders.len(), |room| orders.len().min(room + 1));
        let (rows, layout) = laid_out(&orders[..near], screen);
        let mut text = layout.heading(screen);
        let shown = room.map_or(rows.len(), |room| fitting(&rows, &layout, room));
        text.extend(rows[..shown].iter().map(|row| row.shown(&layout, screen)));
        if shown < rows.len() {
            text.push_str(&more(&orders[shown..], screen));
        }
        text
    }
}

/// How many rows fit into so many lines, one of them for those that do not.
fn fitting(rows: &[Row<'_>], layout: &Layout, room: usize) -> usize {
    let heights = rows.iter().map(|row| row.height(layout));
    if heights.clone().sum::<usize>() <= room {
        return rows.len();
    }
    let ends = heights.scan(1, |end, height| {
        *end += height;
        Some(*end)
    });
    ends.take_while(|end| *end <= room).count()
}

fn more(orders: &[&OrderStatus], screen: &Screen) -> String {
    let of = |need| orders.iter().filter(|order| order.need() == need).count();
    let counts = Need::ALL.map(|need| (of(need), need));
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, need)| format!("{count} {need}")).collect();
    let line = format!("{}: {ALL_OF_THEM}", counts.join(", ").replacen(' ', " more ", 1));
    let is_long = screen.columns.is_some_and(|columns| width(&line) > columns);
    let line = if is_long { format!("{} more: {ALL_OF_THEM}", orders.len()) } else { line };
    screen.paint(QUIET, &line) + "\n"
}

/// As much beside each other as the screen is wide.
fn laid_out<'a>(orders: &[&'a OrderStatus], screen: &Screen) -> (Vec<Row<'a>>, Layout) {
    let rows = |is_long| orders.iter().map(|order| Row::new(order, is_long)).collect::<Vec<_>>();
    let long = rows(true);
    let Some(columns) = screen.columns else {
        let widths = widths(&long, usize::MAX);
        return (long, Layout { widths, note: Some(usize::MAX) });
    };
    let longest_name = columns / NAME_SHARE;
    let notes = long.iter().map(|row| width(&row.note));
    let longest_note = notes.max().unwrap_or_default().max(width(HEADINGS[4]));
    let beside = |rows: &[Row<'_>], enough: usize| {
        let widths = widths(rows, longest_name);
        let others: usize = widths.iter().map(|width| width + GAP.len()).sum();
        let note = columns.checked_sub(others).filter(|room| *room >= longest_note.min(enough))?;
        Some(Layout { widths, note: Some(note) })
    };
    if let Some(layout) = beside(&long, 2 * NOTE) {
        return (long, layout);
    }
    let short = rows(false);
    let layout = beside(&short, NOTE).unwrap_or_else(|| below(widths(&short, usize::MAX), columns));
    (short, layout)
}

/// With the note below: when the next poll comes, and then the certificate, give way to the name.
fn below(mut widths: [usize; 4], columns: usize) -> Layout {
    let total = |widths: &[usize; 4]| {
        let all = widths.iter().filter(|width| **width > 0).map(|width| width + GAP.len());
        all.sum::<usize>() - GAP.len()
    };
    let name = widths[0];
    widths[0] = name.min(columns / 2);
    for column in [2, 3] {
        if total(&widths) > columns {
            widths[column] = 0;
        }
    }
    let free = columns.saturating_sub(total(&widths));
    widths[0] = name.min(widths[0] + free);
    Layout { widths, note: None }
}

/// As wide as the longest cell of each column; a name has a limit.
fn widths(rows: &[Row<'_>], longest_name: usize) -> [usize; 4] {
    std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| width(&row.cells[column]));
        // What no order has needs no heading.
        let longest = cells.max().filter(|longest| *longest > 0);
        let longest = longest.map_or(0, |longest| longest.max(width(HEADINGS[column])));
        if column == 0 { longest.min(longest_name) } else { longest }
    })
}

impl Row<'_> {
    fn new(order: &OrderStatus, is_long: bool) -> Row<'_> {
        let [name, phase, next_poll, certificate, note] = table::row(order, is_long);
        Row { order, cells: [name, phase, next_poll, certificate], note }
    }

    /// In lines: where all is in order, a note is worth no line of its own.
    fn height(&self, layout: &Layout) -> usize {
        let is_quiet = self.order.need() == Need::Nothing || self.note.is_empty();
        if layout.note.is_some() || is_quiet { 1 } else { 2 }
    }

    fn shown(&self, layout: &Layout, screen: &Screen) -> String {
        let style = self.order.style();
        let cells = self.cells.each_ref().map(String::as_str);
        let line = layout.line(cells, [style, style, Style::new(), Style::new()], &self.note, screen);
        if self.height(layout) == 1 {
            return line;
        }
        let room = screen.columns.map_or(usize::MAX, |columns| columns.saturating_sub(GAP.len()));
        format!("{line}{GAP}{}\n", shortened(&self.note, room))
    }
}

impl Layout {
    fn heading(&self, screen: &Screen) -> String {
        let [name, phase, next_poll, certificate, note] = HEADINGS;
        let line = self.line([name, phase, next_poll, certificate], [Style::new(); 4], note, screen);
        screen.paint(HEADING, line.trim_end()) + "\n"
    }

    fn line(&self, cells: [&str; 4], styles: [Style; 4], note: &str, screen: &Screen) -> String {
        let mut line = String::new();
        for ((cell, style), wide) in cells.into_iter().zip(styles).zip(self.widths) {
            if wide == 0 {
                continue;
            }
            let cell = shortened(cell, wide);
            let blanks = " ".repeat(wide - width(&cell));
            line.push_str(&format!("{}{blanks}{GAP}", screen.paint(style, &cell)));
        }
        line.extend(self.note.map(|wide| shortened(note, wide)));
        line.trim_end().to_owned() + "\n"
    }
}

impl Screen {
    /// Lines of the screen that a text takes.
    fn lines(&self, text: &str) -> usize {
        let columns = self.columns.unwrap_or(usize::MAX);
        text.lines().map(|line| width(line).div_ceil(columns).max(1)).sum()
    }

    /// Shortened to one line.
    pub fn cut(&self, line: &str) -> String {
        shortened(line, self.columns.unwrap_or(usize::MAX))
    }

    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

impl OrderStatus {
    pub(super) fn style(&self) -> Style {
        self.urgency().map_or(Style::new(), style_of)
    }
}

pub(super) fn style_of(urgency: Urgency) -> Style {
    match urgency {
        Urgency::Critical => CRITICAL,
        Urgency::Warning => WARNING,
    }
}
