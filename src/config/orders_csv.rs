//! A list of orders as people keep it in a spreadsheet: `name,order_number,domains`, one order to a line. The domains
//! stand in one field, with blanks, commas or semicolons between them, or in fields of their own. A first line with
//! the names of the columns may be there; so may empty lines, lines that begin with `#`, and a byte order mark.

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::value;
use certcollectd_core::api::Product;
use certcollectd_core::config::name::{self, InvalidValue, shown};

/// The largest list that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// One order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrder {
    pub name: String,
    pub order_number: String,
    /// In lower case and A-labels, each once.
    pub domains: Vec<String>,
}

/// The orders of a list; or everything that is wrong with it, each with its line.
pub fn read(bytes: &[u8]) -> Result<Vec<ListedOrder>, Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut list = List::default();
    // Line by line, so that a quote that is not closed spoils its own line only.
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        match fields(text) {
            Ok(fields) => list.order(line, &fields),
            Err(why) => list.problems.push(format!("line {line}: {why}")),
        }
    }
    if list.orders.is_empty() && list.problems.is_empty() {
        list.problems.push(format!("there is no order in it; {FORM}"));
    }
    if list.problems.is_empty() { Ok(list.orders) } else { Err(list.problems) }
}

/// The fields of a line; none where there is nothing to read.
fn fields(line: &[u8]) -> Result<StringRecord, String> {
    let text = str::from_utf8(line).map_err(|_| "is not UTF-8; save the list as UTF-8".to_owned())?;
    if text.contains('\0') {
        return Err("looks like UTF-16; save the list as UTF-8".into());
    }
    if text.matches('"').count() % 2 == 1 {
        return Err("a quote is not closed".into());
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.trim().as_bytes());
    let mut fields = StringRecord::new();
    reader.read_record(&mut fields).map_err(|error| error.to_string())?;
    match fields.iter().find(|field| field.contains('"')) {
        Some(odd) => Err(format!("{} has a quote in it; quotes go around a whole field", shown(odd))),
        None => Ok(fields),
    }
}

const FORM: &str =
    "a line is name,order_number,domains, such as www,123456789,\"www.example.com example.com\"";

#[derive(Default)]
struct List {
    orders: Vec<ListedOrder>,
    problems: Vec<String>,
    /// The lines in which names and numbers were first seen.
    names: HashMap<String, u64>,
    numbers: HashMap<String, u64>,
    /// How many were not empty.
    lines: u64,
}

impl List {
    fn order(&mut self, line: u64, fields: &StringRecord) {
        let fields: Vec<&str> = fields.iter().collect();
        if fields.iter().all(|field| field.is_empty()) {
            return;
        }
        self.lines += 1;
        if self.is_header(&fields) {
            return;
        }
        let [name, number, domains @ ..] = fields.as_slice() else {
            return self.problems.push(format!("line {line}: {} is all there is; {FORM}", shown(fields[0])));
        };
        let before = self.problems.len();
        self.note(line, "the name", name, name::name(name));
        self.note(line, "the order number", number, value::order_number(number, Product::Ssl));
        let domains = self.domains(line, domains);
        if let Some(first) = first_line(&mut self.names, name, line) {
            self.problems.push(format!("line {line}: the name {} is in line {first} already", shown(name)));
        }
        if let Some(first) = first_line(&mut self.numbers, number, line) {
            self.problems
                .push(format!("line {line}: the order number {} is in line {first} already", shown(number)));
        }
        if self.problems.len() == before {
            let (name, order_number) = ((*name).to_owned(), (*number).to_owned());
            self.orders.push(ListedOrder { name, order_number, domains });
        }
    }

    /// The names of the columns, in the first line that is not empty.
    fn is_header(&self, fields: &[&str]) -> bool {
        let is = |at: usize, name: &str| fields.get(at).is_some_and(|field| field.eq_ignore_ascii_case(name));
        self.lines == 1 && is(0, "name") && is(1, "order_number")
    }

    fn domains(&mut self, line: u64, fields: &[&str]) -> Vec<String> {
        let mut domains: Vec<String> = Vec::new();
        let is_between = |c: char| c.is_whitespace() || c == ',' || c == ';';
        for text in fields.iter().flat_map(|field| field.split(is_between)).filter(|text| !text.is_empty()) {
            match name::domain(text) {
                Ok(domain) if domains.iter().any(|known| **known == *domain) => {}
                Ok(domain) => domains.push(domain.into()),
                Err(why) => self.note(line, "the domain", text, Err(why)),
            }
        }
        domains
    }

    fn note(&mut self, line: u64, what: &str, text: &str, found: Result<(), InvalidValue>) {
        if let Err(InvalidValue { what: why, help }) = found {
            self.problems.push(format!("line {line}: {what} {} {why}; {help}", shown(text)));
        }
    }
}

/// The line that had it before, if one had.
fn first_line(known: &mut HashMap<String, u64>, text: &str, line: u64) -> Option<u64> {
    let first = *known.entry(text.to_owned()).or_insert(line);
    (first != line && !text.is_empty()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &str, number: &str, domains: &[&str]) -> ListedOrder {
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        ListedOrder { name: name.into(), order_number: number.into(), domains }
    }

    #[test]
    fn domains_are_separated_in_any_usual_way() {
        let list = "\u{feff}name,order_number,domains\r\n\
                    a,1,www.example.com example.com\r\n\
                    b,2,\"b.example.com, *.example.com;b.example.com\"\r\n\
                    \r\n\
                    # c,3\r\n\
                    d,04,D.example.com,xn--bcher-kva.example\r\n\
                    \"e\" , \"5\"\r\n\
                    f,6,\r\n";
        let list = list.replace("\"e\" , \"5\"", "\"e\",\"5\"");
        let expected = vec![
            order("a", "1", &["www.example.com", "example.com"]),
            order("b", "2", &["b.example.com", "*.example.com"]),
            order("d", "04", &["d.example.com", "xn--bcher-kva.example"]),
            order("e", "5", &[]),
            order("f", "6", &[]),
        ];
        assert_eq!(read(list.as_bytes()), Ok(expected));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let list =
            "www,1,www.example.com\nWWW,2\n\nwww,3\nd,1\ne\n,4\nf,\ng,5,a@example.com\nh,6,x.*.example\n";
        let problems = read(list.as_bytes()).unwrap_err();
        let lines: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
        let expected = ["line 2", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10"];
        assert_eq!(lines, expected, "{problems:#?}");
        assert!(problems[1].contains("the name \"www\" is in line 1 already"), "{problems:#?}");
        assert!(problems[2].contains("the order number \"1\" is in line 1 already"), "{problems:#?}");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let latin = read(b"www,1,b\xfccher.example\n").unwrap_err();
        assert!(latin[0].starts_with("line 1: ") && latin[0].contains("UTF-8"), "{latin:?}");
        let wide: Vec<u8> = "a,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(read(&wide).unwrap_err()[0].contains("UTF-16"));
        let open = read(b"a,1,\"www.example.com\nb,2,example.com\n").unwrap_err();
        assert!(open[0].contains("a quote is not closed"), "{open:?}");
        assert!(read(b"a, \"1\"\n").unwrap_err()[0].contains("quotes go around a whole field"));
        assert!(read(b"").unwrap_err()[0].contains("there is no order in it"));
        assert!(read(b"name,order_number,domains\n").is_err());
        assert!(read(b"www;1;www.example.com\n").unwrap_err()[0].contains("is all there is"));
    }
}
