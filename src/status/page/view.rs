//! Which part of the list is asked for, as the address of the page says it.

use crate::status::Need;

/// A part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// These orders only.
    pub show: Option<Need>,
    /// Counted from 1; behind the last one the last is shown.
    pub page: usize,
    /// Whether the page loads itself again and again.
    pub live: bool,
}

impl Default for View {
    fn default() -> View {
        View { show: None, page: 1, live: false }
    }
}

/// The word for it in an address.
fn word(need: Need) -> &'static str {
    match need {
        Need::You => "needs-you",
        Need::Time => "waits",
        Need::Nothing => "in-order",
    }
}

impl View {
    /// What is behind the question mark; what nobody knows here is left out.
    pub fn of(query: &str) -> View {
        let mut view = View::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "show" => view.show = Need::ALL.into_iter().find(|need| word(*need) == value),
                "page" => view.page = value.parse().unwrap_or(1).max(1),
                "live" => view.live = true,
                _ => {}
            }
        }
        view
    }

    /// The address of it, for a link on a page whose way to the list is `home`.
    pub(super) fn link(self, home: &str) -> String {
        let show = self.show.map(|need| format!("show={}", word(need)));
        let page = (self.page > 1).then(|| format!("page={}", self.page));
        let live = self.live.then(|| "live".to_owned());
        let query = [show, page, live].into_iter().flatten().collect::<Vec<_>>().join("&");
        if query.is_empty() { home.to_owned() } else { format!("{home}?{query}") }
    }
}
