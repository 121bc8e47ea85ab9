//! The two text formats of metrics, and which one a client accepts.

use std::fmt::Write;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text format 0.0.4, which everything reads.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
    /// A 1 with labels that say something.
    Info,
}

/// One metric with all its samples.
#[derive(Debug)]
pub(super) struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: Vec<(Labels, i64)>,
}

/// Names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

impl Family {
    /// One sample. The name is without prefix and suffix, the help without a full stop.
    pub(super) fn only(kind: Kind, name: &'static str, help: &'static str, value: i64) -> Family {
        Family::of(kind, name, help, vec![(Vec::new(), value)])
    }

    /// As [`Family::only`], with one sample for each value of a label.
    pub(super) fn each<'a>(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'a str, i64)>,
    ) -> Family {
        let samples = values.into_iter().map(|(of, value)| (vec![(label, of.to_owned())], value));
        Family::of(kind, name, help, samples.collect())
    }

    /// As [`Family::only`], with these samples; no labels may occur twice.
    pub(super) fn of(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        samples: Vec<(Labels, i64)>,
    ) -> Family {
        Family { name, kind, help, samples }
    }

    fn write(&self, exposition: Exposition, text: &mut String) -> std::fmt::Result {
        let Family { name, kind, help, samples } = self;
        let suffix = match kind {
            Kind::Gauge => "",
            Kind::Counter => "_total",
            Kind::Info => "_info",
        };
        let (family, word) = match (exposition, kind) {
            (_, Kind::Gauge) => ("", "gauge"),
            (Exposition::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Exposition::OpenMetrics, Kind::Info) => ("", "info"),
            (Exposition::Text, Kind::Counter) => (suffix, "counter"),
            (Exposition::Text, Kind::Info) => (suffix, "gauge"),
        };
        writeln!(text, "# HELP certcollectd_{name}{family} {help}.")?;
        writeln!(text, "# TYPE certcollectd_{name}{family} {word}")?;
        for (labels, value) in samples {
            write!(text, "certcollectd_{name}{suffix}")?;
            for (at, (label, of)) in labels.iter().enumerate() {
                let before = if at == 0 { '{' } else { ',' };
                write!(text, "{before}{label}=\"{}\"", escaped(of))?;
            }
            let after = if labels.is_empty() { "" } else { "}" };
            writeln!(text, "{after} {value}")?;
        }
        Ok(())
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Exposition {
    /// What an `Accept` header asks for: OpenMetrics only if it is named and nothing is preferred to it.
    pub fn accepted(accept: &str) -> Exposition {
        let mut open: f32 = 0.0;
        // The weight of text by how exactly it is named: itself, its kind, anything.
        let mut plain: [Option<f32>; 3] = [None; 3];
        for entry in accept.split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut version) = (1.0, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = value.trim().parse::<f32>().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            let exactness = match (kind.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => {
                    open = weight.max(open);
                    continue;
                }
                ("text/plain", None | Some("0.0.4")) => 0,
                ("text/*", _) => 1,
                ("*/*", _) => 2,
                _ => continue,
            };
            plain[exactness] = Some(plain[exactness].unwrap_or(0.0).max(weight));
        }
        let plain = plain.into_iter().flatten().next().unwrap_or(0.0);
        if open > 0.0 && open >= plain { Exposition::OpenMetrics } else { Exposition::Text }
    }

    /// For the answer's header.
    pub fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// All families as one document.
    pub(super) fn document(self, families: &[Family]) -> String {
        let mut text = String::new();
        for family in families {
            family.write(self, &mut text).expect("writing to a string");
        }
        if self == Exposition::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let wanted = |accept: &str| Exposition::accepted(accept) == Exposition::OpenMetrics;
        for text in [
            "",
            "*/*",
            "text/plain",
            "text/html, */*;q=0.8",
            "application/openmetrics-text;q=0, */*",
            "application/openmetrics-text;version=1.0.0;q=0.3, text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=2.0.0, text/plain;q=0.1",
            "application/openmetrics-text;q=x, text/plain;q=0.1",
            "application/json",
        ] {
            assert!(!wanted(text), "{text}");
        }
        for open in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; q=0.5, text/plain;q=0.5",
            "application/openmetrics-text;version=\"1.0.0\";q=0.2, text/plain;q=0.1, */*;q=1",
        ] {
            assert!(wanted(open), "{open}");
        }
    }

    #[test]
    fn each_form_names_types_in_its_own_way() {
        let families = [
            Family::only(Kind::Gauge, "failures", "Failures", -1),
            Family::each(Kind::Counter, "calls", "Calls", "account", [("a\"b\\c\nd", 3)]),
            Family::each(Kind::Info, "build", "The program", "version", [("1", 1)]),
            Family::of(Kind::Gauge, "found", "Found", vec![(vec![("a", "1".into()), ("b", "2".into())], 4)]),
        ];
        assert_eq!(
            Exposition::Text.document(&families),
            "# HELP certcollectd_failures Failures.\n# TYPE certcollectd_failures gauge\ncertcollectd_failures -1\n\
             # HELP certcollectd_calls_total Calls.\n# TYPE certcollectd_calls_total counter\n\
             certcollectd_calls_total{account=\"a\\\"b\\\\c\\nd\"} 3\n\
             # HELP certcollectd_build_info The program.\n# TYPE certcollectd_build_info gauge\n\
             certcollectd_build_info{version=\"1\"} 1\n\
             # HELP certcollectd_found Found.\n# TYPE certcollectd_found gauge\n\
             certcollectd_found{a=\"1\",b=\"2\"} 4\n"
        );
        assert_eq!(
            Exposition::OpenMetrics.document(&families),
            "# HELP certcollectd_failures Failures.\n# TYPE certcollectd_failures gauge\ncertcollectd_failures -1\n\
             # HELP certcollectd_calls Calls.\n# TYPE certcollectd_calls counter\n\
             certcollectd_calls_total{account=\"a\\\"b\\\\c\\nd\"} 3\n\
             # HELP certcollectd_build The program.\n# TYPE certcollectd_build info\n\
             certcollectd_build_info{version=\"1\"} 1\n\
             # HELP certcollectd_found Found.\n# TYPE certcollectd_found gauge\n\
             certcollectd_found{a=\"1\",b=\"2\"} 4\n# EOF\n"
        );
    }
}
