//! The status as a page for a browser: one table, no script.

use super::table::{HEADINGS, row, stranger};
use super::{AccountState, Status};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}\
table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .9rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
.guarding{color:#176b2c}.waiting,.collected,.deploying{color:#555}\
.quarantined,.attention,.rejected,.revoked,.closed{color:#a4161a;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}.guarding{color:#7bd88f}\
.waiting,.collected,.deploying{color:#aaa}.quarantined,.attention,.rejected,.revoked,.closed{color:#ff8080}}";

pub(super) fn page(status: &Status) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"30\"><title>certcollectd</title><style>{STYLE}</style><h1>certcollectd</h1>"
    );
    for account in status.accounts.iter().filter(|account| account.state != AccountState::Open) {
        let advice = account.advice.as_ref().filter(|_| !account.lacks_password);
        html.push_str(&format!(
            "<p class=\"{}\">account {} is {}: {}{}</p>",
            account.state,
            escaped(&account.name),
            account.state,
            escaped(account.reason.as_deref().unwrap_or_default()),
            advice.map(|advice| format!("; {}", escaped(advice))).unwrap_or_default()
        ));
    }
    for replacement in status.accounts.iter().flat_map(|account| &account.replacements) {
        html.push_str(&format!("<p class=\"attention\">{}</p>", escaped(replacement)));
    }
    for account in &status.accounts {
        if let Some(announced) = &account.revocation_announced {
            let class = if announced.proven { "closed" } else { "paused" };
            let text = escaped(&stranger(account, announced));
            html.push_str(&format!("<p class=\"{class}\">{text}</p>"));
        }
    }
    for finding in &status.findings {
        html.push_str(&format!("<p class=\"attention\">{}</p>", escaped(finding)));
    }
    if let Some(line) = status.told_absent() {
        html.push_str(&format!("<p class=\"attention\">{}</p>", escaped(&line)));
    }
    html.push_str("<table><tr>");
    for heading in HEADINGS {
        html.push_str(&format!("<th>{heading}</th>"));
    }
    html.push_str("</tr>");
    for order in &status.orders {
        let cells: String = row(order).iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
        let class = if order.revocation_announced.is_some() { "revoked" } else { order.phase.as_str() };
        html.push_str(&format!("<tr class=\"{class}\">{cells}</tr>"));
    }
    html.push_str(&format!("</table><p>{}</p></html>\n", status.at));
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
