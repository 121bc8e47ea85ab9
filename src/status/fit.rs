//! Text in as many columns as there are.

use unicode_width::UnicodeWidthChar;

const ELLIPSIS: char = '…';
/// Longest escape that is not cut: `\u{10ffff}`.
const ESCAPE: usize = 10;

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(character: char) -> usize {
    character.width().unwrap_or_default()
}

/// On one line, with an ellipsis in place of what is too much. No escape of foreign text is cut in two.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    let text = one_line(text);
    if width(&text) <= columns {
        return text;
    }
    let room = columns.saturating_sub(columns_of(ELLIPSIS));
    let mut kept = 0;
    let mut used = 0;
    while let Some(piece) = next_piece(&text[kept..]) {
        used += width(piece);
        if used > room {
            break;
        }
        kept += piece.len();
    }
    let mut kept = text[..kept].trim_end().to_owned();
    kept.extend((columns > 0).then_some(ELLIPSIS));
    kept
}

/// A character with what combines with it, or a whole escape.
fn next_piece(text: &str) -> Option<&str> {
    let mut characters = text.char_indices();
    let (_, first) = characters.next()?;
    let escape = match characters.clone().next() {
        Some((at, 'u')) if first == '\\' => {
            text.find('}').filter(|end| *end < ESCAPE).map_or(at + 1, |end| end + 1)
        }
        Some((at, second)) if first == '\\' => at + second.len_utf8(),
        Some(_) | None => first.len_utf8(),
    };
    let combining = text[escape..].chars().take_while(|character| columns_of(*character) == 0);
    Some(&text[..escape + combining.map(char::len_utf8).sum::<usize>()])
}

/// Without line breaks; what would move the cursor is escaped.
fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, character| {
        match character {
            '\n' => line.push(' '),
            _ if character.is_control() => line.extend(character.escape_default()),
            _ => line.push(character),
        }
        line
    })
}

/// Broken at blanks into lines; all but the first are indented. A word that is longer than a line is left whole,
/// because somebody may want to copy it.
pub(super) fn wrapped(text: &str, columns: Option<usize>, indent: usize) -> String {
    let Some(columns) = columns else { return one_line(text) };
    let text = one_line(text);
    let mut lines = String::new();
    // The first line's indent is there already.
    let mut used = indent;
    for word in text.split(' ') {
        let wide = width(word);
        if used > indent && used + 1 + wide > columns {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else if used > indent {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += wide;
    }
    lines
}

/// Of a text in lines, the first ones; an ellipsis stands for the rest.
pub(super) fn first_lines(text: &str, columns: Option<usize>, most: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let Some((last, before)) = lines.get(..most).and_then(<[&str]>::split_last) else {
        return text.to_owned();
    };
    if lines.len() == most {
        return text.to_owned();
    }
    let last = shortened(&format!("{last} {ELLIPSIS}"), columns.unwrap_or(usize::MAX));
    before.iter().map(|line| format!("{line}\n")).collect::<String>() + &last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        for (text, columns, shown) in [
            ("www", 3, "www"),
            ("wwww", 3, "ww…"),
            ("a word", 3, "a…"),
            ("www", 1, "…"),
            ("www", 0, ""),
            // Two columns each.
            ("証明書", 5, "証明…"),
            ("証明書", 4, "証…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("two\nlines", 20, "two lines"),
            ("\u{1b}[2J", 20, r"\u{1b}[2J"),
        ] {
            assert_eq!(shortened(text, columns), shown, "{text:?} in {columns}");
        }
    }

    #[test]
    fn an_escape_is_kept_whole_or_left_out() {
        let text = r"a\u{202e}b\n\\c";
        let cuts: Vec<String> = (0..=width(text)).map(|columns| shortened(text, columns)).collect();
        for cut in &cuts {
            let kept = cut.trim_end_matches('…');
            let whole = ["", "a", r"a\u{202e}", r"a\u{202e}b", r"a\u{202e}b\n", r"a\u{202e}b\n\\", text];
            assert!(whole.contains(&kept), "{cut}");
        }
        assert_eq!(cuts[9], "a…");
        assert_eq!(cuts[10], r"a\u{202e}…", "{cuts:?}");
    }

    #[test]
    fn what_is_below_the_first_lines_is_an_ellipsis() {
        assert_eq!(first_lines("a\nb\nc", Some(9), 2), "a\nb …");
        assert_eq!(first_lines("a\nbbb\nc", Some(3), 2), "a\nbb…");
        assert_eq!(first_lines("a\nb", Some(9), 2), "a\nb");
        assert_eq!(first_lines("a", Some(9), 2), "a");
    }

    #[test]
    fn lines_break_at_blanks_and_nowhere_else() {
        assert_eq!(wrapped("one two three", Some(9), 2), "one two\n  three");
        assert_eq!(wrapped("one two", None, 2), "one two");
        assert_eq!(wrapped("0123456789 b", Some(5), 1), "0123456789\n b");
        assert_eq!(wrapped("", Some(5), 1), "");
    }
}
