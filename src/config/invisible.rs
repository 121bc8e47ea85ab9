//! Invisible characters in a secret or a name, hardly ever intended: they cost the one login that is
//! allowed. Messages name their kind and place, and never the text.

/// A kind of such characters, in words.
fn kind(character: char) -> Option<&'static str> {
    Some(match character {
        ' ' => "a space",
        '\t' => "a tab",
        '\u{a0}' | '\u{202f}' | '\u{2007}' => "a no-break space",
        '\u{feff}' => "a byte order mark",
        // Soft hyphen, joiners, marks of direction, fillers, variation selectors, tags: drawn as nothing.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => "a zero-width character",
        character if character.is_control() => "a control character",
        character if character.is_whitespace() => "an unusual space",
        _ => return None,
    })
}

/// What is odd about a text: each kind once for each end, and once for the inside, where a blank is nothing odd.
pub fn oddities(text: &str) -> Vec<String> {
    let inner = text.trim_matches(|character| kind(character).is_some());
    let start = text.len() - text.trim_start_matches(|character| kind(character).is_some()).len();
    let (before, after) = match inner {
        "" => (text, ""),
        inner => (&text[..start], &text[start + inner.len()..]),
    };
    let mut found = Vec::new();
    let mut look = |part: &str, place: &str, odd: fn(&char) -> bool| {
        for kind in part.chars().filter(odd).filter_map(kind) {
            let said = format!("{kind} {place}");
            if !found.contains(&said) {
                found.push(said);
            }
        }
    };
    look(before, "at its start", |_| true);
    look(after, "at its end", |_| true);
    look(inner, "inside it", |character| *character != ' ');
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(oddities(text), expected, "{text:?}");
    }

    #[test]
    fn invisible_characters_are_named_by_kind_and_place() {
        check("hunter2", &[]);
        check("h\u{fc}nter two", &[]);
        check(" hunter2", &["a space at its start"]);
        check("hunter2  ", &["a space at its end"]);
        check("\thunter2\u{a0}", &["a tab at its start", "a no-break space at its end"]);
        check("hunter2\u{200b}\u{200d}", &["a zero-width character at its end"]);
        check("hunter2 \u{7f}", &["a space at its end", "a control character at its end"]);
        check("\u{2003}hunter2", &["an unusual space at its start"]);
        check("hun\u{1b}ter2", &["a control character inside it"]);
        check("hun\u{a0}ter\u{ad}2", &["a no-break space inside it", "a zero-width character inside it"]);
        check("hunter2\u{feff}", &["a byte order mark at its end"]);
        check("  ", &["a space at its start"]);
    }
}
