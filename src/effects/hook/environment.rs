//! The environment of a hook, built from nothing.

use std::ffi::OsString;

use certcollectd_core::config::Variable;
use certcollectd_core::engine::hooks::run::{HookRun, Proof, Subject};
use certcollectd_core::engine::time::rfc3339;

/// Maximum length of an inherited variable in bytes; for a longer one the default is used.
const MAX_INHERITED: usize = 8 * 1024;

/// Name and value.
pub(in crate::effects) type Entry = (String, OsString);

/// What every program gets.
pub(in crate::effects) fn bare() -> Vec<Entry> {
    let inherited = |name, default: &str| {
        std::env::var_os(name).filter(|value| value.len() <= MAX_INHERITED).unwrap_or_else(|| default.into())
    };
    vec![
        ("PATH".into(), inherited("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")),
        ("LANG".into(), inherited("LANG", "C.UTF-8")),
    ]
}

/// The environment of a hook: nothing but this, and the mark of the run. What certbot tells its hooks is about one
/// certificate, and is told of one order only.
pub(super) fn environment(run: &HookRun) -> Vec<Entry> {
    let mut environment = bare();
    let told = Variable::ALL.into_iter().filter(|variable| is_told(run, *variable));
    environment.extend(told.map(|variable| {
        let name = format!("CERTCOLLECTD_{}", variable.as_str().to_ascii_uppercase());
        (name, value(run, variable))
    }));
    if run.subjects.len() == 1 {
        environment.extend([
            ("RENEWED_LINEAGE".into(), value(run, Variable::Dir)),
            ("RENEWED_DOMAINS".into(), value(run, Variable::Domains)),
        ]);
    }
    environment
}

/// Whether a program gets this variable at all.
fn is_told(run: &HookRun, variable: Variable) -> bool {
    let has_file =
        || run.subjects.iter().flat_map(|subject| &subject.proof).any(|proof| proof.file.is_some());
    match variable {
        Variable::Rehearsal => run.rehearsal,
        Variable::DcvMethod | Variable::DcvRecords => run.event.is_of_a_proof(),
        Variable::DcvFileName | Variable::DcvFileContent => has_file(),
        Variable::Event
        | Variable::Order
        | Variable::Account
        | Variable::OrderNumber
        | Variable::Product
        | Variable::Dir
        | Variable::Cert
        | Variable::Chain
        | Variable::Fullchain
        | Variable::Domains
        | Variable::Serial
        | Variable::Fingerprint
        | Variable::NotAfter
        | Variable::Generation
        | Variable::Summary
        | Variable::Next
        | Variable::Key
        | Variable::Time
        | Variable::Until => true,
    }
}

/// Several orders: names and domains are separated by spaces, everything else stands on a line for each order, in the
/// order of the names.
pub(super) fn value(run: &HookRun, variable: Variable) -> OsString {
    let lines = |of: &dyn Fn(&Subject) -> OsString| {
        let mut all = OsString::new();
        for (at, subject) in run.subjects.iter().enumerate() {
            if at > 0 {
                all.push("\n");
            }
            all.push(of(subject));
        }
        all
    };
    let proof = |of: &dyn for<'a> Fn(&'a Proof) -> Option<&'a str>| {
        lines(&|subject| subject.proof.as_deref().and_then(of).unwrap_or_default().into())
    };
    match variable {
        Variable::Event => run.event.as_str().into(),
        Variable::Order => {
            let names = run.subjects.iter().map(|subject| &*subject.order).filter(|name| !name.is_empty());
            let names: Vec<&str> = names.collect();
            names.join(" ").into()
        }
        Variable::Account => lines(&|subject| (*subject.account).into()),
        Variable::OrderNumber => lines(&|subject| subject.number.clone().into()),
        Variable::Product => lines(&|subject| subject.product.into()),
        Variable::Dir => lines(&|subject| subject.dir.clone().into()),
        Variable::Cert => lines(&|subject| subject.cert.clone().into()),
        Variable::Chain => lines(&|subject| subject.chain.clone().into()),
        Variable::Fullchain => lines(&|subject| subject.fullchain.clone().into()),
        Variable::Domains => {
            let mut domains: Vec<&str> = Vec::new();
            for domain in run.subjects.iter().flat_map(|subject| &subject.domains) {
                if !domains.contains(&domain.as_str()) {
                    domains.push(domain);
                }
            }
            domains.join(" ").into()
        }
        Variable::Serial => lines(&|subject| subject.serial.clone().into()),
        Variable::Fingerprint => lines(&|subject| subject.fingerprint.clone().into()),
        Variable::NotAfter => lines(&|subject| subject.not_after.map(rfc3339).unwrap_or_default().into()),
        Variable::Generation => lines(&|subject| subject.generation.clone().into()),
        Variable::Summary => lines(&|subject| subject.summary.clone().into()),
        Variable::Next => lines(&|subject| subject.next.clone().into()),
        Variable::Key => lines(&|subject| subject.key.clone().into()),
        Variable::Time => rfc3339(run.at).into(),
        Variable::Until => lines(&|subject| subject.until.map(rfc3339).unwrap_or_default().into()),
        Variable::DcvMethod => proof(&|proof| Some(proof.method)),
        Variable::DcvRecords => proof(&|proof| Some(&proof.records)),
        Variable::DcvFileName => proof(&|proof| Some(&proof.file.as_ref()?.0)),
        Variable::DcvFileContent => proof(&|proof| Some(&proof.file.as_ref()?.1)),
        Variable::Rehearsal => if run.rehearsal { "1" } else { "" }.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use certcollectd_core::config::{Action, HookEvent};

    /// A run of the longest command that the configuration takes, for one order.
    fn run(domains: Vec<String>) -> HookRun {
        let hook = certcollectd_core::config::Hook {
            name: "reload".into(),
            on: vec![HookEvent::Installed],
            action: Action::Run(vec!["x".repeat(32 * 1024)]),
            timeout: certcollectd_core::config::Hook::TIMEOUT,
            merge: true,
        };
        HookRun {
            run: certcollectd_core::engine::id::RunId(0),
            hook: Arc::new(hook),
            event: HookEvent::Installed,
            subjects: vec![Subject { domains, ..Subject::default() }],
            rehearsal: true,
            at: 0,
        }
    }

    /// The rows of the table in `docs/hooks.md`, which is the page of the manual as well.
    #[test]
    fn the_page_about_hooks_names_each_variable() {
        let page = include_str!("../../../docs/hooks.md");
        let table = page.split("| variable |").nth(1).unwrap().split("\n\n").next().unwrap();
        let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let rows: std::collections::BTreeSet<String> = cells
            .flat_map(|cell| cell.split(", "))
            .map(|name| name.trim_matches('`'))
            .map(|name| if name.starts_with('_') { format!("CERTCOLLECTD{name}") } else { name.to_owned() })
            .collect();
        let mut run = run(vec!["www.example.com".into()]);
        let without = environment(&run);
        assert!(!without.iter().any(|(name, _)| name.contains("_DCV_")), "only with the events of a proof");
        let mut proof = Proof { method: "CNAME_CSR_HASH", records: "a b\nc d".into(), file: None };
        run.event = HookEvent::DcvRemove;
        run.subjects[0].proof = Some(Box::new(proof.clone()));
        let of_records = environment(&run);
        let told = |name: &str| of_records.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        assert_eq!(told("CERTCOLLECTD_DCV_RECORDS"), Some(&"a b\nc d".into()));
        assert_eq!(told("CERTCOLLECTD_DCV_METHOD"), Some(&"CNAME_CSR_HASH".into()));
        assert_eq!(told("CERTCOLLECTD_DCV_FILE_NAME"), None);
        proof.file = Some(("a.txt".into(), "b\nc\n".into()));
        run.subjects[0].proof = Some(Box::new(proof));
        let given = environment(&run).into_iter().map(|(name, _)| name);
        let given = given.chain([super::super::program::MARK.to_owned()]);
        let given = given.filter(|name| !matches!(&**name, "PATH" | "LANG")).collect();
        assert_eq!(rows, given);
    }

    #[test]
    fn what_is_told_at_most_is_what_linux_grants_at_least() {
        // The bounds of the engine and of the configuration, a little above.
        let domains = vec!["x".repeat(255); 64 * 1024 / 2 / 256];
        let run = run(domains);
        let told = environment(&run);
        let strings: usize = told.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let all = strings + 32 * 1024 + 8 * (told.len() + 8);
        // The system's own part, and what a script adds that starts the real program.
        assert!(all + 8 * 1024 <= 128 * 1024, "{all}");
        assert!(told.iter().all(|(_, value)| value.len() < 64 * 1024));
    }
}
