//! `[[hook]]`.

use std::path::Path;
use std::sync::Arc;

use super::account::url;
use super::secret;
use crate::config::address::{hook_url, method, socket_path};
use crate::config::keys;
use crate::config::parse::diagnostic::{Diagnostic, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::value::{
    DURATION_HELP, InvalidValue, SHORTEST, did_you_mean, duration, file_path, refuse_if, shown,
};
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::{
    Action, CallHeader, CallValue, Companion, Hook, HookEvent, HookSignal, HttpCall, SecretSource, Template,
    TemplateError, Variable, name,
};

/// Longest time for a hook: one that needs more waits for something that will not come.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Maximum size of a program and its arguments in bytes, terminating NULs included. With the hook's
/// environment they stay below 128 KiB, which Linux grants whatever the limits are (execve(2)).
const MOST_ARGUMENTS: usize = 32 * 1024;

/// A hook as far as it could be read: enough of it to know its name when an order refers to it.
pub(crate) struct Draft {
    pub(crate) name: Arc<str>,
    pub(crate) name_at: Span,
    /// Nothing where a part of it is wrong.
    pub(crate) hook: Option<Hook>,
}

pub(crate) fn hook(table: &Table<'_>) -> Option<Draft> {
    let (name, name_at) = table.name("a name of your own, such as name = \"nginx\"");
    let on = events(table);
    let help = "what to do, such as run = [\"systemctl\", \"reload\", \"nginx\"]";
    let action = table.one_of(&keys::HOOK.one_of(), help).and_then(|item| action(&item));
    if let (Some(Action::Follow(_)), Some(item)) = (&action, table.get("on"))
        && on != Hook::ON
    {
        item.refuse(
            "is about more than installed certificates, and a companion only reloads those",
            "on = [\"installed\"]",
        );
    }
    let timeout = table.parse("timeout", DURATION_HELP, |text| duration(text, SHORTEST, LONGEST));
    let is_for_proofs = on.iter().any(|event| event.is_of_a_proof());
    let merge = table.flag("merge");
    if is_for_proofs {
        check_proofs(table, &on, action.as_ref(), merge);
    }

    let name = name?;
    let hook = action.map(|action| Hook {
        name: name.clone(),
        on,
        action,
        timeout: timeout.unwrap_or(Hook::TIMEOUT),
        merge: merge.unwrap_or(Hook::MERGE) && !is_for_proofs,
    });
    Some(Draft { name, name_at, hook })
}

/// A hook that publishes and removes proofs does nothing else, for one order at a time.
fn check_proofs(table: &Table<'_>, on: &[HookEvent], action: Option<&Action>, merge: Option<bool>) {
    if let Some(item) = table.get("on").filter(|_| on.iter().any(|event| !event.is_of_a_proof())) {
        item.refuse(
            "mixes the proof of a re-issue with other events",
            "on = [\"dcv-publish\", \"dcv-remove\"]; give the other events a hook of their own",
        );
    }
    if let Some(item) = table.get("merge").filter(|_| merge == Some(true)) {
        item.refuse("is true, and each order has a proof of its own", "remove it");
    }
    let deaf = match action {
        Some(Action::Signal { .. }) => "signal",
        Some(Action::Socket(_)) => "socket",
        Some(Action::Run(_) | Action::Http(_) | Action::Follow(_)) | None => return,
    };
    if let Some(item) = table.get(deaf) {
        item.refuse("does not tell what to publish", "use run, whose program is told it in its environment");
    }
}

fn events(table: &Table<'_>) -> Vec<HookEvent> {
    let Some(item) = table.get("on") else { return Hook::ON.to_vec() };
    let help = "a list of events, such as on = [\"installed\", \"failed\"]";
    let words = HookEvent::ALL.map(|event| (event.as_str(), event));
    if item.is_empty_list() {
        item.refuse("is empty, so the hook would never run", help);
    }
    item.list(help, |element| element.word(&words))
}

fn action(item: &Item<'_>) -> Option<Action> {
    match item.name {
        "run" => run(item),
        "signal" => signal(&item.table(&keys::SIGNAL)?),
        "http" => http(&item.table(&keys::REQUEST)?),
        "follow" => item.parse(COMPANION_HELP, companion).map(Action::Follow),
        _ => item.parse("the path of a socket in quotes", socket_path).map(Action::Socket),
    }
}

fn run(item: &Item<'_>) -> Option<Action> {
    let help = "the program and its arguments, one by one: run = [\"systemctl\", \"reload\", \"nginx\"]";
    arguments(item, help, |text| Ok(text.to_owned())).map(Action::Run)
}

/// A program and its arguments, each as `expand` makes it; never empty.
pub(crate) fn arguments(
    item: &Item<'_>,
    help: &str,
    expand: impl Fn(&str) -> Result<String, InvalidValue>,
) -> Option<Vec<String>> {
    let Some(elements) = item.elements() else {
        let pieces: Vec<&str> =
            item.value.as_str().map(|text| text.split_whitespace().collect()).unwrap_or_default();
        let help = match pieces.is_empty() {
            true => help.to_owned(),
            false => format!("one argument each: {} = {pieces:?}", item.name),
        };
        item.wrong_type("a list", &format!("{help}; no shell is involved"));
        return None;
    };
    let mut arguments = Vec::new();
    let mut is_sound = true;
    for (index, element) in elements.enumerate() {
        let check = |text: String| if index == 0 { program(&text) } else { argument(&text) };
        match element.parse(help, |text| expand(text).and_then(check)) {
            Some(text) => arguments.push(text),
            None => is_sound = false,
        }
    }
    if is_sound && arguments.is_empty() {
        item.refuse("is empty", help);
        return None;
    }
    let length: usize = arguments.iter().map(|argument| argument.len() + 1).sum();
    if length > MOST_ARGUMENTS {
        let what = format!("is {length} bytes long, more than the {MOST_ARGUMENTS} that a program accepts");
        item.refuse(&what, "put it into a script and run that");
        return None;
    }
    is_sound.then_some(arguments)
}

fn program(text: &str) -> Result<String, InvalidValue> {
    let help = "the name of a program in PATH, or its absolute path";
    refuse_if(text.trim().is_empty(), "does not name a program", help)?;
    let is_relative = text.contains('/') && !Path::new(text).is_absolute();
    refuse_if(is_relative, "names a program by a relative path", help)?;
    argument(text)
}

fn argument(text: &str) -> Result<String, InvalidValue> {
    refuse_if(text.contains('\0'), "has a NUL character", "arguments cannot contain it")?;
    Ok(text.to_owned())
}

fn signal(table: &Table<'_>) -> Option<Action> {
    let pid_file = table.need("pid_file", "write signal = { pid_file = \"/run/nginx.pid\", name = \"HUP\" }");
    let name = table.need("name", "write signal = { pid_file = \"/run/nginx.pid\", name = \"HUP\" }");
    let pid_file = pid_file.and_then(|item| item.parse("the path of a file in quotes", file_path));
    let name = name.and_then(|item| item.parse("the name of a signal, such as \"HUP\"", signal_name));
    Some(Action::Signal { pid_file: pid_file?, signal: name? })
}

fn signal_name(text: &str) -> Result<HookSignal, InvalidValue> {
    HookSignal::spelled(text).ok_or_else(|| {
        let names = HookSignal::ALL.map(HookSignal::as_str);
        let upper = text.to_ascii_uppercase();
        let near = did_you_mean(upper.strip_prefix("SIG").unwrap_or(&upper), names.into_iter());
        let help = format!("{near} one of {}", names.join(", "));
        InvalidValue::new("is not a signal that a hook may send", help.trim_start())
    })
}

fn http(table: &Table<'_>) -> Option<Action> {
    table.need("url", "write http = { url = \"http://127.0.0.1:8080/reload\" }");
    let url = match kept(table, "url") {
        Some(source) => source.map(CallValue::Secret),
        None => url(table, "url", hook_url).map(CallValue::Plain),
    };
    let method = table.parse("method", "such as \"POST\"", method);
    let headers = table.get("headers").map(|item| headers(&item)).unwrap_or_default();
    let body = match kept(table, "body") {
        Some(source) => source.map(CallValue::Secret),
        None => table.parse("body", BODY_HELP, body).map(CallValue::Plain),
    };
    let method = method.unwrap_or_else(|| Action::METHOD.to_owned());
    Some(Action::Http(HttpCall { url: url?, method, headers: headers.into(), body }))
}

/// Where the value of a key is kept, if it does not stand there itself; nothing inside if that is wrong.
fn kept(table: &Table<'_>, key: &'static str) -> Option<Option<SecretSource>> {
    let item = table.get(key).filter(|item| item.value.is_table())?;
    Some(secret::kept(&item, key))
}

const HEADERS_HELP: &str =
    "names and values, such as headers = { Authorization = { file = \"/etc/certcollectd/token\" } }";

/// Most headers of a call, and characters of a value.
const MOST_HEADERS: usize = 32;
const MOST_IN_VALUE: usize = 1024;

/// What the call has of its own.
const OWN_HEADERS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// Words in the names of headers that say who is calling.
const SECRET_WORDS: [&str; 5] = ["auth", "token", "key", "secret", "cookie"];

fn headers(item: &Item<'_>) -> Vec<CallHeader> {
    let Some(entries) = item.entries() else {
        item.wrong_type("a table", HEADERS_HELP);
        return Vec::new();
    };
    let mut found: Vec<CallHeader> = Vec::new();
    for (name, entry) in entries {
        if found.len() == MOST_HEADERS {
            item.refuse(&format!("has more than {MOST_HEADERS} entries"), "remove what is not needed");
            break;
        }
        let is_twice = found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let named = refuse_if(is_twice, "is given twice", "upper and lower case make no difference");
        if let Err(wrong) = named.and_then(|()| header_name(name)) {
            let what = format!("the header `{}` {}", Untrusted::new(name), wrong.what);
            entry.hide();
            Diagnostic::error(what, entry.key_at).help(wrong.help).add_to(entry.diagnostics());
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let is_secret = entry.value.is_table() || SECRET_WORDS.iter().any(|word| lower.contains(word));
        let value = match is_secret {
            true => secret::kept(&entry, name).map(CallValue::Secret),
            false => entry.parse(HEADERS_HELP, header_value).map(|text| CallValue::Plain(text.into())),
        };
        found.extend(value.map(|value| (name.into(), value)));
    }
    found
}

fn header_name(name: &str) -> Result<(), InvalidValue> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_name = (1..=100).contains(&name.len()) && name.bytes().all(is_token);
    refuse_if(!is_name, "has no valid name", "such as Authorization or X-Priority")?;
    let is_own = OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
    refuse_if(is_own, "is sent by certcollectd itself", "remove it")
}

fn header_value(text: &str) -> Result<&str, InvalidValue> {
    let is_value = text.len() <= MOST_IN_VALUE && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    refuse_if(!is_value, "is no value of a header", "at most 1024 printable ASCII characters")?;
    Ok(text)
}

const BODY_HELP: &str = "a text such as body = '{\"text\": \"{{summary}}\"}'";

/// Bytes of a body as it is written.
const MOST_IN_BODY: usize = 64 * 1024;

fn body(text: &str) -> Result<Template, InvalidValue> {
    refuse_if(text.len() > MOST_IN_BODY, "is longer than 64 KiB", BODY_HELP)?;
    Template::parse(text).map_err(|error| match error {
        TemplateError::Unclosed => InvalidValue::new("has a `{{` without its `}}`", BODY_HELP),
        TemplateError::Unknown(name) => {
            let help = format!(
                "{} variables are {}",
                did_you_mean(&name, Variable::WORDS.into_iter()),
                Variable::WORDS.join(", ")
            );
            InvalidValue::new(format!("has the unknown variable {}", shown(&name)), help.trim_start())
        }
    })
}

const COMPANION_HELP: &str = "the name of the companion, such as \"web\", or the absolute path of its report, if it has one of its own";

/// A name, or the path of a report; then the companion's name is the name of the file, as its own default is.
fn companion(text: &str) -> Result<Companion, InvalidValue> {
    let report = if text.contains('/') { Some(file_path(text)?) } else { None };
    let name = report
        .as_deref()
        .and_then(Path::file_name)
        .map_or_else(|| text.into(), |name| name.to_string_lossy());
    name::name(&name)?;
    Ok(Companion { name: name.into_owned(), report })
}

/// What is wrong with a hook that `dcv_hook` names there.
pub(crate) fn not_for_proofs(draft: &Draft, named_at: Span) -> Option<Diagnostic> {
    let hook = draft.hook.as_ref()?;
    let listens = Hook::ON_PROOFS.iter().all(|event| hook.on.contains(event));
    (!listens).then(|| {
        Diagnostic::error(format!("the hook `{}` does not publish and remove proofs", draft.name), named_at)
            .also(draft.name_at, "this hook")
            .help("it needs on = [\"dcv-publish\", \"dcv-remove\"]")
    })
}

/// Hooks that no order names never run, which is seldom meant.
pub(crate) fn unused(draft: &Draft) -> Diagnostic {
    let is_for_proofs = draft.hook.as_ref().is_some_and(Hook::is_for_proofs);
    let help = match is_for_proofs {
        true => format!("add dcv_hook = \"{}\" to [order.reissue] of the orders that need it", draft.name),
        false => format!("add hooks = [\"{}\"] to the orders that need it", draft.name),
    };
    Diagnostic::warning(format!("no order uses the hook `{}`", draft.name), draft.name_at).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_with_and_without_their_prefix() {
        for text in ["HUP", "SIGHUP", "hup", "sighup"] {
            assert_eq!(signal_name(text).ok(), Some(HookSignal::Hup));
        }
        for signal in HookSignal::ALL {
            assert_eq!(signal_name(signal.as_str()).ok(), Some(signal));
        }
        assert!(signal_name("HPU").unwrap_err().help.starts_with("did you mean \"HUP\"?"));
        for text in ["", "SIG", "KILL", "9"] {
            assert!(signal_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn companions() {
        let web = companion("web").unwrap();
        assert_eq!(web.report(Path::new("/certs")), Path::new("/certs/follow-report@web"));
        let edge = companion("/run/follow/edge").unwrap();
        assert_eq!(
            (edge.name.as_str(), edge.report(Path::new("/certs"))),
            ("edge", "/run/follow/edge".into())
        );
        for text in ["", "Web", "follow/web", "/run/follow/", "/run/follow/Web", "a@b"] {
            assert!(companion(text).is_err(), "{text}");
        }
    }

    #[test]
    fn programs() {
        assert!(program("systemctl").is_ok());
        assert!(program("/usr/bin/systemctl").is_ok());
        for text in ["", " ", "./reload", "~/reload", "a\0b"] {
            assert!(program(text).is_err(), "{text}");
        }
    }
}
