//! Text with the variables of a hook in it: `{{order}}`.

words! {
    /// What a hook is told: `CERTCOLLECTD_` and this in capitals for a program, `{{…}}` in the body of a call.
    pub enum Variable {
        Event = "event",
        /// Names of orders, separated by spaces.
        Order = "order",
        /// The order's, or what a message is about.
        Account = "account",
        OrderNumber = "order_number",
        Product = "product",
        Dir = "dir",
        Cert = "cert",
        Chain = "chain",
        Fullchain = "fullchain",
        /// Separated by spaces.
        Domains = "domains",
        Serial = "serial",
        Fingerprint = "fingerprint",
        /// RFC 3339.
        NotAfter = "not_after",
        Generation = "generation",
        /// What has happened, a sentence for each order.
        Summary = "summary",
        /// The one command to run next, for each order; empty if there is nothing to do.
        Next = "next",
        /// Joins the message of a trouble and the one that it is over.
        Key = "key",
        /// When the run began, RFC 3339.
        Time = "time",
        /// How long the message holds without another one, RFC 3339.
        Until = "until",
        /// `1` in a rehearsal.
        Rehearsal = "rehearsal",
        /// The vendor's word for how control is proven; like the three below, only with the two events of a proof.
        DcvMethod = "dcv_method",
        /// A line for each record: its name and its target.
        DcvRecords = "dcv_records",
        DcvFileName = "dcv_file_name",
        DcvFileContent = "dcv_file_content",
    }
}

/// A text whose variables are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// `{{` without `}}`.
    Unclosed,
    /// The name between the braces.
    Unknown(String),
}

impl Template {
    /// Reads `{{name}}`, with or without blanks around the name; everything else is text.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("{{") {
            let (name, after) = from.split_once("}}").ok_or(TemplateError::Unclosed)?;
            let name = name.trim();
            let variable = Variable::named(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            parts.extend([Part::Text(before.into()), Part::Variable(variable)]);
            rest = after;
        }
        parts.push(Part::Text(rest.into()));
        Ok(Template(parts))
    }

    /// The text with a value for each variable, escaped as within a string of JSON (RFC 8259 section 7).
    pub fn render(&self, value: impl Fn(Variable) -> String) -> String {
        let piece = |part: &Part| match part {
            Part::Text(text) => text.to_string(),
            Part::Variable(variable) => {
                let quoted = serde_json::Value::from(value(*variable)).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
        };
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, TemplateError> {
        Template::parse(text).map(|template| template.render(|variable| format!("<{variable}\"\n>")))
    }

    #[test]
    fn variables_are_escaped_and_text_is_not() {
        for (text, expected) in [
            ("", ""),
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("{{event}}", "<event\\\"\\n>"),
            ("{\"text\": \"{{ summary }}: {{next}}\"}", "{\"text\": \"<summary\\\"\\n>: <next\\\"\\n>\"}"),
            ("{{order}}{{order}}", "<order\\\"\\n><order\\\"\\n>"),
            ("}} {", "}} {"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_or_unclosed_is_refused() {
        assert_eq!(rendered("{{order"), Err(TemplateError::Unclosed));
        assert_eq!(rendered("{{order}"), Err(TemplateError::Unclosed));
        for name in ["", "ORDER", "password", "order.name"] {
            assert_eq!(rendered(&format!("{{{{{name}}}}}")), Err(TemplateError::Unknown(name.into())));
        }
    }
}
