//! The status as pages for a browser: a list of the orders, and each order on a page of its own. No script; what is
//! shown is escaped by its type.

mod ahead;
mod list;
mod order;
mod parts;
mod style;
mod view;

use maud::{DOCTYPE, Markup, html};

pub use ahead::forecast;
pub use order::no_order;
pub use style::policy;
pub use view::View;

/// How often a page that is watched loads itself again, in seconds.
const AGAIN: u32 = 60;

/// What all pages have around them. `home` leads to the list, `skip` names what a keyboard wants first.
struct Frame<'a> {
    title: &'a str,
    home: &'a str,
    is_list: bool,
    skip: (&'a str, &'a str),
    shown: Option<Shown<'a>>,
}

/// How old a page is, and how it stays young.
struct Shown<'a> {
    /// When what it shows was so, RFC 3339.
    at: &'a str,
    /// It loads itself again and again.
    live: bool,
    /// The same page, the other way.
    other: &'a str,
}

impl Frame<'_> {
    fn around(&self, header: &Markup, main: &Markup) -> String {
        let (id, skip) = self.skip;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if self.shown.as_ref().is_some_and(|shown| shown.live) {
                        meta http-equiv="refresh" content=(AGAIN);
                    }
                    title { (self.title) " – certcollectd" }
                    style { (style::STYLE) }
                }
                body {
                    a.skip href={ "#" (id) } { (skip) }
                    header {
                        p.brand {
                            a href=(self.home) { "certcollectd" @if !self.is_list { ": all orders" } }
                        }
                        (header)
                    }
                    main { (main) }
                    @if let Some(shown) = &self.shown { (footer(shown, self.home)) }
                }
            }
        };
        page.into_string()
    }
}

fn footer(shown: &Shown<'_>, home: &str) -> Markup {
    html! {
        footer {
            p {
                "As of " (parts::moment(shown.at)) ". "
                @if shown.live {
                    "Loads again each minute: " a href=(shown.other) { "stop that" } "."
                } @else {
                    a href=(shown.other) { "Load again each minute" } "."
                }
            }
            p {
                a href={ (home) "forecast" } { "What is to come" } ". An order by its name: " code { "/orders/NAME" } ". For machines: "
                a href={ (home) "metrics" } { "metrics" } ", "
                a href={ (home) "api/v1/status" } { "status as JSON" } "."
            }
        }
    }
}
