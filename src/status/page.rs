//! The status as a page for a browser: one table, no script.

use super::Status;
use super::table::{HEADINGS, row};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}\
table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .9rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
.guarding{color:#176b2c}.waiting,.collected,.deploying{color:#555}\
.quarantined,.attention,.rejected,.revoked,.closed{color:#a4161a;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}.guarding{color:#7bd88f}\
.waiting,.collected,.deploying{color:#aaa}.quarantined,.attention,.rejected,.revoked,.closed{color:#ff8080}}";

impl Status {
    /// As a browser shows it.
    pub fn page(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <meta http-equiv=\"refresh\" content=\"30\"><title>certcollectd</title><style>{STYLE}</style><h1>certcollectd</h1>"
        );
        for (class, notice) in self.notices() {
            html.push_str(&format!("<p class=\"{class}\">{}</p>", escaped(&notice)));
        }
        html.push_str("<table><tr>");
        for heading in HEADINGS {
            html.push_str(&format!("<th>{heading}</th>"));
        }
        html.push_str("</tr>");
        for order in &self.orders {
            let cells: String = row(order).iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
            let class = if order.revocation_announced.is_some() { "revoked" } else { order.phase.as_str() };
            html.push_str(&format!("<tr class=\"{class}\">{cells}</tr>"));
        }
        html.push_str(&format!("</table><p>{}</p></html>\n", self.at));
        html
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
