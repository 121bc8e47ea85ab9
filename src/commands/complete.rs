//! What a shell offers after a Tab: clap's script, which asks back here for names of orders and accounts.
//!
//! The answer comes from the configuration and the state, and from nothing else. Where they cannot be read, nothing is
//! offered and nothing is said: a message would end up in the middle of somebody's command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Command;
use clap_complete::Shell;

use super::exit::Exit;
use super::print::print;
use crate::effects::store::load::Reader;
use crate::sources::{clock, control, files};
use certcollectd_core::config::Config;

const PROGRAM: &str = "certcollectd";

/// bash's function is asked for names first; without any, clap's own takes over.
const BASH: &str = r#"
_certcollectd_names() {
    local IFS=$'\n'
    COMPREPLY=($("$1" completions bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [ ${#COMPREPLY[@]} -gt 0 ] || { unset IFS; _certcollectd "$@"; }
}
complete -F _certcollectd_names -o bashdefault -o default certcollectd
"#;

const ZSH: &str = r#"
_certcollectd_names() {
    local -a names
    names=(${(f)"$("${(Q)typed[1]}" completions zsh -- "${(@Q)typed[2,-1]}" 2>/dev/null)"})
    (( ! $#names )) || compadd -a names
}
"#;

/// What was typed, as the first function of the script finds it: the functions below see parts of it.
const ZSH_LINE: &str = r#"    local -a typed=("${(@)words[1,CURRENT]}")
"#;

const FISH: &str = r#"
function __certcollectd_names
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    $words[1] completions fish -- $words[2..] (commandline --current-token) 2>/dev/null
end
complete -c certcollectd -n 'count (__certcollectd_names) >/dev/null' -k -f -a '(__certcollectd_names)'
complete -c certcollectd -l account -r -f -a '(__certcollectd_names)'
"#;

/// `completions SHELL`.
pub fn script(mut line: Command, shell: Shell) -> Result<(), Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut line, PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script);
    print(&match shell {
        Shell::Bash => script.into_owned() + BASH,
        Shell::Fish => script.into_owned() + FISH,
        Shell::Zsh => with_names(&script),
        _ => script.into_owned(),
    });
    Ok(())
}

/// zsh's script completes each argument by an action of its own, which is to be ours where a name belongs.
fn with_names(script: &str) -> String {
    let mut text = String::new();
    for line in script.lines() {
        let is_name = ["':name -- ", "'::name -- "].iter().any(|begin| line.trim_start().starts_with(begin));
        let is_ours = is_name || line.contains("--account=[");
        let ours =
            if is_ours { line.replace(":_default'", ":_certcollectd_names'") } else { line.to_owned() };
        text.push_str(&ours);
        text.push('\n');
        if line.starts_with("#compdef") {
            text.push_str(ZSH);
        } else if line == "_certcollectd() {" {
            text.push_str(ZSH_LINE);
        }
    }
    text
}

/// `completions SHELL -- WORD...`: prints the names that the last word may become, one a line.
pub fn names(line: &Command, shell: Shell, mut words: Vec<String>, default: &Path) -> Result<(), Exit> {
    if shell == Shell::Bash {
        words.iter_mut().for_each(unquote);
    }
    let Some((last, before)) = words.split_last() else { return Ok(()) };
    let begin = last.strip_prefix('=').unwrap_or(last);
    let found: BTreeSet<String> = match wanted(line, before) {
        Some(wanted) if !last.starts_with('-') => {
            known(wanted, &named(before).unwrap_or_else(|| default.into()))
        }
        _ => return Ok(()),
    };
    let fitting: Vec<String> = found.into_iter().filter(|name| name.starts_with(begin)).collect();
    if !fitting.is_empty() {
        print(&fitting.join("\n"));
    }
    Ok(())
}

/// bash hands words over as they were typed, with their quotes.
fn unquote(word: &mut String) {
    if let Some([plain]) = shlex::split(word).as_deref() {
        plain.clone_into(word);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Order,
    Account,
    /// An order that has a record and is not configured.
    Forgotten,
}

/// What belongs behind these words, by the definition of the command line.
fn wanted(line: &Command, before: &[String]) -> Option<Wanted> {
    let mut command = line;
    let mut positionals = 0;
    let mut option = None;
    for word in before {
        if word == "=" {
            continue;
        }
        if option.take().is_some() {
            continue;
        }
        if let Some(long) = word.strip_prefix("--") {
            let arguments = command.get_arguments().chain(line.get_arguments());
            let known = arguments.into_iter().find(|argument| argument.get_long() == Some(long));
            option = known.filter(|argument| argument.get_action().takes_values());
        } else if word.starts_with('-') {
        } else if let Some(inner) = command.find_subcommand(word).filter(|_| positionals == 0) {
            command = inner;
        } else {
            positionals += 1;
        }
    }
    let argument = option.or_else(|| command.get_positionals().nth(positionals))?;
    match (argument.get_id().as_str(), command.get_name()) {
        ("account", _) => Some(Wanted::Account),
        ("name", "forget") => Some(Wanted::Forgotten),
        ("name", _) => Some(Wanted::Order),
        _ => None,
    }
}

/// What stands behind the last `--config`. bash cuts `--config=FILE` at the sign.
fn named(before: &[String]) -> Option<PathBuf> {
    let mut words = before.iter().filter(|word| *word != "=");
    let mut found = None;
    while let Some(word) = words.next() {
        let value = if word == "--config" {
            words.next().map(String::as_str)
        } else {
            word.strip_prefix("--config=")
        };
        found = value.map(at_home).or(found);
    }
    found
}

/// A shell hands `~/` over as it was typed.
fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(inside), Some(home)) => Path::new(&home).join(inside),
        _ => path.into(),
    }
}

fn known(wanted: Wanted, path: &Path) -> BTreeSet<String> {
    let Some(config) = config(path) else { return BTreeSet::new() };
    let orders = config.orders.iter().map(|order| &*order.name);
    match wanted {
        Wanted::Account => config.accounts.iter().map(|account| account.name.to_string()).collect(),
        Wanted::Order => {
            let adopted = reader(&config).and_then(|reader| reader.adopted().ok()).unwrap_or_default();
            orders.chain(adopted.iter().map(|order| &*order.name)).map(str::to_owned).collect()
        }
        Wanted::Forgotten => {
            let loaded =
                reader(&config).and_then(|reader| reader.load(clock::now()).ok()).unwrap_or_default();
            let adopted = loaded.adopted.iter().map(|order| &*order.name);
            let needed: BTreeSet<&str> = orders.chain(adopted).collect();
            let names = loaded.orders.keys().filter(|name| !needed.contains(&***name));
            names.map(ToString::to_string).collect()
        }
    }
}

/// The configuration, or what can be read of it.
fn config(path: &Path) -> Option<Arc<Config>> {
    match files::read_some(path, false) {
        Ok(found) => Some(found.config),
        Err(invalid) => invalid.remains,
    }
}

/// The state, where a look at it leaves nothing behind: nobody works with the file, or the daemon does.
fn reader(config: &Config) -> Option<Reader> {
    let dir = &config.state_dir;
    let is_left_open = Reader::has_log(dir) && !control::is_served(dir);
    if is_left_open { None } else { Reader::open(dir).ok().flatten() }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn line() -> Command {
        let account = || Arg::new("account").long("account").value_name("NAME");
        Command::new("x")
            .arg(Arg::new("config").long("config").global(true))
            .subcommand(
                Command::new("explain").arg(Arg::new("name")).arg(Arg::new("json").long("json").num_args(0)),
            )
            .subcommand(Command::new("forget").arg(Arg::new("name")))
            .subcommand(Command::new("resume").arg(Arg::new("name")).arg(account()))
            .subcommand(Command::new("doctor").subcommand(Command::new("dcv").arg(Arg::new("name"))))
            .subcommand(Command::new("man").arg(Arg::new("dir")))
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_belongs_at_the_cursor() {
        for (text, expected) in [
            ("explain", Some(Wanted::Order)),
            ("--config /c explain", Some(Wanted::Order)),
            ("--config = /c explain", Some(Wanted::Order)),
            ("explain --config /c", Some(Wanted::Order)),
            ("explain --config", None),
            ("explain www", None),
            ("resume --account", Some(Wanted::Account)),
            ("resume --account =", Some(Wanted::Account)),
            ("forget", Some(Wanted::Forgotten)),
            ("doctor", None),
            ("doctor dcv", Some(Wanted::Order)),
            ("man", None),
            ("", None),
        ] {
            assert_eq!(wanted(&line(), &words(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_configuration_that_the_line_names() {
        for text in ["--config /c explain", "--config=/c", "explain --config = /c", "--config /a --config /c"]
        {
            assert_eq!(named(&words(text)), Some("/c".into()), "{text}");
        }
        assert_eq!(named(&words("explain www")), None);
    }
}
