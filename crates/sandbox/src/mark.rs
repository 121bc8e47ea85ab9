//! The logotype extension of a mark certificate, with a logo of the size one asks for.
//!
//! The extension is the one of RFC 9399 (formerly RFC 3709), section 4.1; the VMC requirements put the
//! logo itself into it, as a `data:` URI with gzipped SVG. That is what makes mark certificates large.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use aws_lc_rs::digest;

use super::der::{SHA256, context, ia5, octets, oid, sequence};
use super::pack::gzip;

/// id-pe-logotype.
pub(super) const LOGOTYPE: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 12];

/// id-kp-BrandIndicatorforMessageIdentification.
pub(super) const MARK_USAGE: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 31];

/// Size of the extension where nothing is asked for.
pub(super) const LOGO_BYTES: usize = 12_000;

/// The sizes that a mark certificate's logo may have: 3 to 100 KB.
pub(super) const LOGO_BYTES_RANGE: std::ops::RangeInclusive<usize> = 3_000..=100_000;

/// The value of the extension: a subject logo with one image. Its size is `bytes`, give or take a few.
pub(super) fn logotype(bytes: usize) -> Vec<u8> {
    // Base64 makes four bytes of three; the rest of the structure and the URI take about 200.
    let image = gzip(svg(bytes.saturating_sub(200) * 3 / 4).as_bytes());
    let hash = digest::digest(&digest::SHA256, &image);
    let uri = format!("data:image/svg+xml;base64,{}", STANDARD.encode(&image));
    let details = sequence(&[
        &ia5("image/svg+xml"),
        &sequence(&[&sequence(&[&sequence(&[&oid(&SHA256)]), &octets(hash.as_ref())])]),
        &sequence(&[&ia5(&uri)]),
    ]);
    let data = sequence(&[&sequence(&[&sequence(&[&details])])]);
    // subjectLogo is [2] EXPLICIT; within it LogotypeInfo is a choice, `direct` is its [0] IMPLICIT.
    let mut direct = data;
    direct[0] = 0xa0;
    sequence(&[&context(2, &[&direct])])
}

/// A drawing in the profile for mark certificates (SVG Tiny PS), padded with a path to `bytes`.
fn svg(bytes: usize) -> String {
    let mut text = String::from(
        "<svg version=\"1.2\" baseProfile=\"tiny-ps\" xmlns=\"http://www.w3.org/2000/svg\" \
         viewBox=\"0 0 100 100\"><title>Sandbox</title><path fill=\"#036\" d=\"M50 50",
    );
    let end = "\"/></svg>";
    let mut state = 1u64;
    while text.len() + end.len() < bytes {
        // Coordinates without a pattern, the same at each call, so that nothing shrinks on the way.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("L{} {}", state >> 33 & 99, state >> 43 & 99));
    }
    text.push_str(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_has_the_size_asked_for() {
        for wanted in [*LOGO_BYTES_RANGE.start(), LOGO_BYTES, *LOGO_BYTES_RANGE.end()] {
            let size = logotype(wanted).len();
            assert!(size.abs_diff(wanted) < 300, "{size} instead of {wanted}");
        }
    }
}
