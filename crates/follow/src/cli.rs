//! The arguments of the companion, and what they ask for.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use certcollectd_core::config::HookSignal;
use certcollectd_core::follow;
use clap::Args;

use crate::companion;
use crate::link::Dir;

/// Examples and exit codes.
pub const HELP: &str = "\
Examples: certcollectd follow /certs/www --wait --test \"nginx -t\" -- nginx -g \"daemon off;\"
          certcollectd follow /certs/www /certs/shop --run \"apachectl -k graceful\" -- httpd -DFOREGROUND

A hook follow = \"web\" is done when the companion of that name has reported the installed generation. Without the \
daemon, any directory will do whose link is swapped, or whose files are replaced.
Signals are passed on to the server. Exit codes: the server's; 128 + N where signal N ended it, or stopped the wait \
for the certificate; 127 the server cannot be started; 2 usage error.";

/// Exit code for wrong arguments.
const USAGE: u8 = 2;

/// The options of a companion.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The link to the certificates, such as /certs/www; its parent must be what is mounted
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Start the server when the first certificate is there
    #[arg(long)]
    wait: bool,
    /// Signal that makes the server reload
    #[arg(long, value_name = "SIGNAL", default_value = "HUP", value_parser = signal)]
    signal: HookSignal,
    /// Command that makes the server reload, instead of a signal; one argument, no shell
    #[arg(long, value_name = "CMD", conflicts_with = "signal", value_parser = words)]
    run: Option<Words>,
    /// Command that must succeed before each reload; one argument, no shell
    #[arg(long, value_name = "CMD", value_parser = words)]
    test: Option<Words>,
    /// Until the first certificate is there, serve a self-signed one for these names; its key is DIR/privkey.pem
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',', value_parser = host)]
    placeholder: Vec<String>,
    /// Where to report [default: follow-report@NAME beside DIR]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Name of this companion [default: the file name of --report, or web]
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// The server in the foreground, and its arguments
    #[arg(last = true, required = true, value_name = "SERVER")]
    server: Vec<OsString>,
}

/// A command, split into words as a shell would.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

fn words(text: &str) -> Result<Words, &'static str> {
    match shlex::split(text) {
        None => Err("a quote is not closed"),
        Some(words) if words.is_empty() => Err("it names no program"),
        Some(words) => Ok(Words(words)),
    }
}

fn signal(text: &str) -> Result<HookSignal, String> {
    HookSignal::spelled(text).ok_or_else(|| {
        let names = HookSignal::ALL.map(HookSignal::as_str);
        format!("it must be one of {}", names.join(", "))
    })
}

fn host(text: &str) -> Result<String, &'static str> {
    let is_in_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | ':');
    match text {
        _ if text.contains('/') || text.is_empty() => {
            Err("it is not a host name; write DIR before --placeholder")
        }
        _ if !text.chars().all(is_in_names) => Err("it is not a host name in ASCII; write others as xn--..."),
        _ => Ok(text.to_owned()),
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    match certcollectd_core::config::is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("names are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot"),
    }
}

/// What the companion does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) dirs: Vec<Dir>,
    /// The server starts when each of `dirs` has something.
    pub(crate) wait: bool,
    /// No placeholder where empty.
    pub(crate) placeholder: Vec<String>,
    pub(crate) test: Option<Vec<String>>,
    pub(crate) reload: Reload,
    pub(crate) name: String,
    pub(crate) report: PathBuf,
    pub(crate) request: PathBuf,
    /// At least the program.
    pub(crate) server: Vec<OsString>,
}

#[derive(Debug)]
pub(crate) enum Reload {
    Signal(HookSignal),
    Run(Vec<String>),
}

/// Runs the companion to the end of its server; the exit code.
pub fn run(arguments: &Arguments) -> u8 {
    match plan(arguments) {
        Ok(plan) => companion::run(&plan),
        Err(why) => {
            say(&why);
            USAGE
        }
    }
}

fn plan(arguments: &Arguments) -> Result<Plan, String> {
    let mut dirs: Vec<Dir> = Vec::new();
    for path in &arguments.dirs {
        let dir = Dir::new(path).ok_or_else(|| format!("{} does not name a directory", path.display()))?;
        if dirs.iter().any(|known| known.name == dir.name) {
            return Err(format!(
                "two directories have the name {}; a report could not tell them apart",
                dir.name
            ));
        }
        dirs.push(dir);
    }
    let of_file = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self::name(&name).map_err(|why| format!("--report {}: give a --name: {why}", path.display()))
    };
    let name = match (&arguments.name, &arguments.report) {
        (Some(name), _) => name.clone(),
        (None, Some(path)) => of_file(path)?,
        (None, None) => follow::NAME.to_owned(),
    };
    let beside = dirs.first().map_or_else(|| Path::new("."), Dir::parent);
    Ok(Plan {
        wait: arguments.wait,
        placeholder: arguments.placeholder.clone(),
        test: arguments.test.clone().map(|words| words.0),
        reload: match &arguments.run {
            Some(words) => Reload::Run(words.0.clone()),
            None => Reload::Signal(arguments.signal),
        },
        report: arguments.report.clone().unwrap_or_else(|| follow::report_file(beside, &name)),
        request: follow::request_file(beside, &name),
        name,
        server: arguments.server.clone(),
        dirs,
    })
}

/// Tells the operator. A log that is gone stops nothing.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "certcollectd follow: {text}");
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn plan_of(arguments: &str) -> Result<Plan, String> {
        let words = shlex::split(arguments).unwrap();
        let words = std::iter::once("follow".to_owned()).chain(words);
        let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
        plan(&program.arguments)
    }

    #[test]
    fn the_arguments_are_sound() {
        Program::command().debug_assert();
    }

    #[test]
    fn a_companion_is_told_what_to_do() {
        let plan =
            plan_of("/certs/www --wait --test 'nginx -t -g \"daemon off;\"' -- nginx --name x").unwrap();
        assert_eq!(plan.test.unwrap(), ["nginx", "-t", "-g", "daemon off;"]);
        assert_eq!(plan.server, ["nginx", "--name", "x"]);
        assert_eq!(plan.report, Path::new("/certs/follow-report@web"));
        assert!(matches!(plan.reload, Reload::Signal(HookSignal::Hup)));
        let plan = plan_of("/certs/www --signal sigusr2 --report /run/follow/edge -- x").unwrap();
        assert_eq!((plan.name.as_str(), plan.request.to_str()), ("edge", Some("/certs/follow-request@edge")));
        assert!(matches!(plan.reload, Reload::Signal(HookSignal::Usr2)));
        let plan = plan_of("www shop --placeholder a.example b.example --run 'a b' -- x").unwrap();
        assert_eq!(plan.placeholder, ["a.example", "b.example"]);
        assert_eq!(plan.report, Path::new("./follow-report@web"));
        assert!(matches!(plan.reload, Reload::Run(words) if words == ["a", "b"]));
        assert_eq!(plan_of("www/ --placeholder a,b -- x").unwrap().placeholder, ["a", "b"]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for (arguments, why) in [
            ("-- nginx", "<DIR>"),
            ("/certs/www", "<SERVER>"),
            ("/certs/www --test '' -- x", "names no program"),
            ("/certs/www --test '\"' -- x", "a quote is not closed"),
            ("/certs/www --signal KILL -- x", "one of HUP"),
            ("/certs/www --signal HUP --run x -- x", "cannot be used with"),
            ("--placeholder a /certs/www -- x", "write DIR before --placeholder"),
            ("/certs/www --placeholder 'exa mple' -- x", "not a host name in ASCII"),
            ("/certs/www --name A -- x", "names are 1 to 100"),
            ("/certs/www --report /run/A -- x", "give a --name"),
            ("/a/www /b/www -- x", "two directories have the name www"),
            ("/ -- x", "does not name a directory"),
        ] {
            let error = plan_of(arguments).unwrap_err();
            assert!(error.contains(why), "{arguments}: {error}");
        }
    }
}
