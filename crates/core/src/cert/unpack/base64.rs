//! What the spaces in a base64 text may have been.
//!
//! A `+` that the sender did not percent-encode arrives as a space; but a space can also stand where a line
//! ended. Both occur, and only the content tells which reading is right: with a wrong one, the lengths inside
//! do not fit.

/// The readings to try, most likely first. The decoder skips blanks, so without a space there is only one.
pub(super) fn readings(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let all: [Reading; 3] = [plus_everywhere, plus_inside_lines, <[u8]>::to_vec];
    let first = if text.contains(&b' ') { 0 } else { 2 };
    all.into_iter().skip(first).map(move |reading| reading(text))
}

type Reading = fn(&[u8]) -> Vec<u8>;

/// Every space was a `+`, also at the end of a line.
fn plus_everywhere(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect()
}

/// Spaces around a line are layout; those inside were a `+`.
fn plus_inside_lines(text: &[u8]) -> Vec<u8> {
    text.split(|byte| *byte == b'\n').flat_map(|line| plus_everywhere(line.trim_ascii())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = readings(text.as_bytes()).map(|text| String::from_utf8(text).unwrap()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn without_a_space_there_is_one_reading() {
        check("", &[""]);
        check("ab+c\r\ndef=", &["ab+c\r\ndef="]);
        check("ab c", &["ab+c", "ab+c", "ab c"]);
        check(" ab c \n de ", &["+ab+c+\n+de+", "ab+cde", " ab c \n de "]);
    }
}
