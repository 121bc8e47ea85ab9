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

/// The orders of a list; or what is wrong with it, each problem with its line.
pub fn read(bytes: &[u8]) -> Result<Vec<ListedOrder>, Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Some spreadsheets end lines as the old Macintosh did.
    let end = if bytes.contains(&b'\n') { b'\n' } else { b'\r' };
    let mut list = OrderList::default();
    let mut problems = Vec::new();
    let mut lines = 0;
    // Line by line, so that a quote that is not closed spoils its own line only.
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == end)) {
        let wrong = match fields(text.trim_ascii()) {
            Ok(fields) if fields.iter().all(str::is_empty) => continue,
            Ok(fields) => {
                lines += 1;
                if lines == 1 && is_header(&fields) {
                    continue;
                }
                let mut fields = fields.iter();
                match (fields.next(), fields.next()) {
                    (Some(name), Some(number)) => list.add(("line", line), name, number, fields),
                    (Some(all), None) if all.contains([';', '\t']) => Err(vec![format!(
                        "{} is one field; separate fields by commas, not by semicolons or tabs; {FORM}",
                        shown(all)
                    )]),
                    (name, _) => {
                        Err(vec![format!("{} is all there is; {FORM}", shown(name.unwrap_or_default()))])
                    }
                }
            }
            Err(why) => Err(vec![why]),
        };
        problems.extend(wrong.err().into_iter().flatten().map(|why| format!("line {line}: {why}")));
        if problems.len() >= MAX_PROBLEMS {
            problems.truncate(MAX_PROBLEMS);
            problems.push("and perhaps more: it was not read on".into());
            break;
        }
    }
    if list.orders.is_empty() && problems.is_empty() {
        problems.push(format!("there is no order in it; {FORM}"));
    }
    if problems.is_empty() { Ok(list.orders) } else { Err(problems) }
}

/// The names of the columns: what would be the number has no digit.
fn is_header(fields: &StringRecord) -> bool {
    let is_name = fields.get(0).is_some_and(|field| field.eq_ignore_ascii_case("name"));
    is_name && fields.get(1).is_some_and(|field| !field.contains(|c: char| c.is_ascii_digit()))
}

/// The fields of a line; none where there is nothing to read.
fn fields(line: &[u8]) -> Result<StringRecord, String> {
    let text = str::from_utf8(line).map_err(|_| "is not UTF-8; save the list as UTF-8".to_owned())?;
    if text.contains('\0') {
        return Err("looks like UTF-16; save the list as UTF-8".into());
    }
    if text.contains('\r') {
        return Err("has a carriage return inside; end each line alike".into());
    }
    if text.matches('"').count() % 2 == 1 {
        return Err("a quote is not closed on this line".into());
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .buffer_capacity(text.len().max(64))
        .from_reader(text.as_bytes());
    let mut fields = StringRecord::new();
    reader.read_record(&mut fields).map_err(|error| error.to_string())?;
    match fields.iter().find(|field| field.contains('"')) {
        Some(odd) => Err(format!("{} has a quote in it; quotes go around a whole field", shown(odd))),
        None => Ok(fields),
    }
}

/// More are not told.
const MAX_PROBLEMS: usize = 100;

const FORM: &str =
    "a line is name,order_number,domains, such as www,123456789,\"www.example.com example.com\"";

/// Orders one after the other, each name and number once.
#[derive(Default)]
pub struct OrderList {
    pub orders: Vec<ListedOrder>,
    /// Where names and numbers were first seen.
    names: HashMap<String, u64>,
    numbers: HashMap<String, u64>,
}

impl OrderList {
    /// Adds an order, or says everything that is wrong with it. `place` is where it stands, such as `("line", 3)`.
    pub fn add<'a>(
        &mut self,
        place: (&str, u64),
        name: &str,
        number: &str,
        domains: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        let mut domains_read: Vec<String> = Vec::new();
        let mut note = |what: &str, text: &str, InvalidValue { what: why, help }: InvalidValue| {
            problems.push(format!("{what} {} {why}; {help}", shown(text)));
        };
        if let Err(why) = name::name(name) {
            note("the name", name, why);
        }
        if let Err(why) = value::order_number(number, Product::Ssl).and_then(|()| exact(number)) {
            note("the order number", number, why);
        }
        let is_between = |c: char| c.is_whitespace() || c == ',' || c == ';';
        for text in
            domains.into_iter().flat_map(|field| field.split(is_between)).filter(|text| !text.is_empty())
        {
            match name::domain(text) {
                Ok(domain) if domains_read.iter().any(|known| **known == *domain) => {}
                Ok(domain) => domains_read.push(domain.into()),
                Err(why) => note("the domain", text, why),
            }
        }
        let (what, at) = place;
        for (key, text, known) in [("name", name, &self.names), ("order number", number, &self.numbers)] {
            if let Some(first) = known.get(text) {
                problems.push(format!("the {key} {} is that of {what} {first} already", shown(text)));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        self.names.insert(name.to_owned(), at);
        self.numbers.insert(number.to_owned(), at);
        self.orders.push(ListedOrder {
            name: name.into(),
            order_number: number.into(),
            domains: domains_read,
        });
        Ok(())
    }
}

/// Whether the number is not one that a spreadsheet rounded, such as 1.23457E+08.
fn exact(number: &str) -> Result<(), InvalidValue> {
    let is_rounded = number
        .split_once(['E', 'e'])
        .is_some_and(|(digits, exponent)| digits.parse::<f64>().is_ok() && exponent.parse::<i32>().is_ok());
    value::refuse_if(
        is_rounded,
        "was rounded by a spreadsheet",
        "format that column as text, and enter it again",
    )
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
        let old_macintosh = "Name,Number\ra,1,a.example\rb,2\rc,3\r";
        assert_eq!(read(old_macintosh.as_bytes()).map(|orders| orders.len()), Ok(3));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let list =
            "www,1,www.example.com\nWWW,2\n\nwww,3\nd,1\ne\n,4\nf,\ng,5,a@example.com\nh,6,x.*.example\n";
        let problems = read(list.as_bytes()).unwrap_err();
        let lines: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
        let expected = ["line 2", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10"];
        assert_eq!(lines, expected, "{problems:#?}");
        assert!(problems[1].contains("the name \"www\" is that of line 1 already"), "{problems:#?}");
        assert!(problems[2].contains("the order number \"1\" is that of line 1 already"), "{problems:#?}");
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
        assert!(read(b"a,1,a.example\rb,2\nc,3\n").unwrap_err()[0].contains("carriage return"));
        assert!(read(b"a,1.23457E+08\n").unwrap_err()[0].contains("rounded"));
        assert_eq!(read("x\n".repeat(100_000).as_bytes()).unwrap_err().len(), 101);
        assert!(read(b"").unwrap_err()[0].contains("there is no order in it"));
        assert!(read(b"name,order_number,domains\n").is_err());
        assert!(read(b"www\n").unwrap_err()[0].contains("is all there is"));
        assert!(read(b"www;1;www.example.com\n").unwrap_err()[0].contains("separate fields by commas"));
    }
}
