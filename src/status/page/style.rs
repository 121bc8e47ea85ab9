//! How the pages look, and the policy that lets a browser apply just that.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::PreEscaped;

pub(super) const STYLE: PreEscaped<&str> = PreEscaped(include_str!("style.css"));

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.0.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The `Content-Security-Policy` of a page.
pub fn policy() -> &'static str {
    &POLICY
}
