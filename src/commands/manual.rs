//! Documents of this repository as pages of the manual: `certcollectd.toml(5)`, `certcollectd-hooks(7)`.

use clap_mangen::roff::{Inline, Roff, bold, italic, line_break, roman};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::config::reference;

const HOOKS: &str = include_str!("../../docs/hooks.md");
const MINIMAL: &str = include_str!("../../config/minimal.toml");

/// The pages that are not about a command: the name of the file, and its text.
pub(super) fn pages() -> [(&'static str, String); 2] {
    let minimal: String =
        MINIMAL.lines().filter(|line| !line.starts_with("#:")).map(|line| line.to_owned() + "\n").collect();
    let configuration = format!("{}\n## Example\n\n```toml\n{minimal}```\n", reference::configuration());
    let files = "\n## Files\n\n- /etc/certcollectd/certcollectd.toml\\\n  The configuration.\n\n\
        - /usr/share/certcollectd/schema.json\\\n  Its JSON schema, for editors that know `#:schema`.\n\n\
        ## See also\n\n**certcollectd**(1), **certcollectd-check**(1), **certcollectd-hooks**(7)\n";
    let see = "\n## See also\n\n**certcollectd**(1), **certcollectd-rehearse**(1), **certcollectd-bridge**(1), \
        **certcollectd.toml**(5)\n";
    [
        (
            "certcollectd.toml.5",
            page(
                "certcollectd.toml",
                "5",
                "File Formats",
                "configuration of certcollectd",
                &(configuration + files),
            ),
        ),
        (
            "certcollectd-hooks.7",
            page(
                "certcollectd-hooks",
                "7",
                "Hooks",
                "what certcollectd does after an event",
                &(HOOKS.to_owned() + see),
            ),
        ),
    ]
}

/// A document in Markdown as a page; its first heading gives way to `NAME`.
fn page(title: &str, section: &str, manual: &str, about: &str, markdown: &str) -> String {
    let mut page = Page::default();
    let source = format!("certcollectd {}", env!("CARGO_PKG_VERSION"));
    page.roff.control("TH", [title, section, "\"\"", &source, manual]);
    page.roff.control("SH", ["NAME"]).text([roman(format!("{title} - {about}"))]);
    page.roff.control("SH", ["DESCRIPTION"]);
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    for (at, event) in events.iter().enumerate() {
        page.take(event, &events[at + 1..]);
    }
    page.roff.render()
}

#[derive(Default)]
struct Page {
    roff: Roff,
    /// What is gathered for the next line.
    line: Vec<Inline>,
    /// How many marks are open.
    strong: usize,
    emphasis: usize,
    is_code: bool,
    /// Before the first paragraph of a list's item, or of a row of a table, whose place is given.
    is_placed: bool,
    /// The first line of an item is its tag.
    is_tag: bool,
    is_head: bool,
    heads: Vec<String>,
    /// Which cell of a row.
    cell: usize,
}

impl Page {
    fn take(&mut self, event: &Event<'_>, rest: &[Event<'_>]) {
        match event {
            Event::Start(tag) => self.start(tag, rest),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.say(text),
            Event::Code(text) => self.line.push(bold(plain(text))),
            Event::SoftBreak => self.line.push(roman(" ")),
            Event::HardBreak if self.is_tag => self.flush(),
            Event::HardBreak => self.line.push(line_break()),
            Event::Html(_)
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::Rule
            | Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, rest: &[Event<'_>]) {
        match tag {
            Tag::Paragraph if !std::mem::take(&mut self.is_placed) => {
                self.roff.control("PP", []);
            }
            Tag::Item => {
                let item = rest.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Item)));
                self.is_tag = item.into_iter().any(|event| *event == Event::HardBreak);
                match self.is_tag {
                    true => self.roff.control("TP", []),
                    false => self.roff.control("IP", ["\\(bu", "2"]),
                };
                self.is_placed = true;
            }
            Tag::CodeBlock(_) => {
                self.roff.control("PP", []).control("RS", ["4"]).control("nf", []);
                self.is_code = true;
            }
            Tag::TableHead => {
                self.heads.clear();
                self.is_head = true;
            }
            Tag::TableRow => {
                self.roff.control("TP", []);
                self.cell = 0;
            }
            Tag::TableCell if !self.is_head && self.cell > 1 => {
                let head = self.heads.get(self.cell).map_or("", String::as_str);
                self.line.push(roman(format!(" ({head}: ")));
            }
            Tag::Strong => self.strong += 1,
            Tag::Emphasis => self.emphasis += 1,
            _ => {}
        }
    }

    fn end(&mut self, tag: &TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                // What is code keeps its letters.
                let is_code = self.line.iter().any(|inline| matches!(inline, Inline::Bold(_)));
                let title: String = std::mem::take(&mut self.line).into_iter().map(text_of).collect();
                match *level as usize {
                    1 => {}
                    2 if is_code => drop(self.roff.control("SH", [title.as_str()])),
                    2 => drop(self.roff.control("SH", [title.to_uppercase().as_str()])),
                    _ => drop(self.roff.control("SS", [title.as_str()])),
                }
            }
            TagEnd::CodeBlock => {
                self.flush();
                self.roff.control("fi", []).control("RE", []);
                self.is_code = false;
            }
            TagEnd::TableHead => self.is_head = false,
            TagEnd::TableCell if self.is_head => {
                self.heads.push(std::mem::take(&mut self.line).into_iter().map(text_of).collect());
            }
            TagEnd::TableCell => {
                match self.cell {
                    0 => self.flush(),
                    1 => {}
                    _ => self.line.push(roman(")")),
                }
                self.cell += 1;
            }
            TagEnd::Paragraph | TagEnd::Item | TagEnd::TableRow => self.flush(),
            TagEnd::Strong => self.strong -= 1,
            TagEnd::Emphasis => self.emphasis -= 1,
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        let text = plain(text);
        self.line.push(match (self.strong, self.emphasis) {
            _ if self.is_code => roman(text),
            (0, 0) => roman(text),
            (0, _) => italic(text),
            _ => bold(text),
        });
    }

    fn flush(&mut self) {
        self.is_tag = false;
        if self.is_code
            && let Some(Inline::Roman(text)) = self.line.last_mut()
        {
            text.truncate(text.trim_end().len());
        }
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.roff.text(line);
        }
    }
}

fn text_of(inline: Inline) -> String {
    match inline {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text,
        Inline::LineBreak => " ".to_owned(),
    }
}

/// Terminals and formatters that know ASCII only know all of it.
fn plain(text: &str) -> String {
    text.replace('…', "...")
}
