//! The request for a re-issue: from a file, or from a program that makes it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::blocking;
use super::hook::environment::bare;
use super::hook::program::{Job, Output, Sink, carry_out};
use super::hook::reap::Permits;
use super::install::keys;
use certcollectd_core::cert;
use certcollectd_core::config::KeySource;
use certcollectd_core::engine::hooks::run::last_output;
use certcollectd_core::engine::reissue::run::{RequestFound, RequestRun, RequestSource};

/// Bytes that a program may print: a request with 250 names has some 10 KiB.
const MOST_PRINTED: usize = 64 * 1024;

/// Reads the request, then the keys, of which a program may have written the newest just now.
pub async fn read(run: &RequestRun, permits: &Permits, disk: &Arc<Semaphore>) -> RequestFound {
    let request = match &run.source {
        RequestSource::Given(bytes) => Ok(bytes.to_vec()),
        RequestSource::File(path) => {
            let path = path.clone();
            blocking::run(disk, move || from_file(&path)).await
        }
        RequestSource::Command { argv, timeout } => made(&run.name, argv, *timeout, permits).await,
    };
    let keys = match &run.key {
        KeySource::Keys(paths) => {
            let paths = paths.clone();
            blocking::run(disk, move || paths.iter().map(|path| keys::candidate(path)).collect()).await
        }
        KeySource::None | KeySource::Csr(_) | KeySource::Request(_) => Vec::new(),
    };
    RequestFound { request, keys }
}

fn from_file(path: &Path) -> Result<Vec<u8>, String> {
    keys::request(path).map(|csr| csr.der().to_vec()).map_err(|why| format!("csr_file {why}"))
}

/// Has a program make one; what it prints besides is refused, because which one the vendor should get cannot be told.
async fn made(order: &str, argv: &[Box<str>], limit: Duration, permits: &Permits) -> Result<Vec<u8>, String> {
    let who = format!("csr_command of {order}");
    let mut environment = bare();
    environment.push(("CERTCOLLECTD_ORDER".into(), order.into()));
    let job = Job {
        name: who.as_str().into(),
        arguments: argv.iter().map(ToString::to_string).collect(),
        environment,
        limit,
    };
    let printed = Arc::new(Mutex::new(Printed::default()));
    let errors = Output::shared(who.clone(), None);
    let failed = |why: &str| {
        let words = errors.lock().expect("no holder panics").finish();
        format!("{who}: {why}{}", last_output(&words))
    };
    let ending =
        carry_out(job, (printed.clone(), errors.clone()), permits).await.map_err(|why| failed(&why))?;
    if let Some(why) = ending.failure(limit) {
        return Err(failed(&why));
    }
    let printed = std::mem::take(&mut *printed.lock().expect("no holder panics"));
    if printed.is_too_much {
        return Err(failed(&format!("it printed more than {MOST_PRINTED} bytes, and a request is shorter")));
    }
    if printed.bytes.trim_ascii().is_empty() {
        return Err(failed("it printed nothing; it must print one request in PEM"));
    }
    let csr = cert::csr::read(&printed.bytes).map_err(|why| {
        failed(&format!("it must print one request in PEM, and what it printed is none: {why}"))
    })?;
    Ok(csr.der().to_vec())
}

/// What a program prints, up to a limit; the rest is read and discarded.
#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    is_too_much: bool,
}

impl Sink for Printed {
    fn take(&mut self, bytes: &[u8]) {
        let room = MOST_PRINTED - self.bytes.len();
        self.is_too_much |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use certcollectd_core::engine::id::OrderId;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, future)
    }

    fn found(source: RequestSource, key: KeySource) -> RequestFound {
        let run = RequestRun { order: OrderId(0), name: "www".into(), source, key };
        block_on(read(&run, &Permits::default(), &blocking::permit()))
    }

    /// What a shell script brings.
    fn by(script: &str, limit: Duration) -> Result<Vec<u8>, String> {
        let argv = ["sh", "-c", script].map(Into::into).into();
        found(RequestSource::Command { argv, timeout: limit }, KeySource::None).request
    }

    const LONG: Duration = Duration::from_secs(60);

    fn request() -> (String, Vec<u8>) {
        let params = CertificateParams::new(["www.example.com".to_owned()]).unwrap();
        let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
        (request.pem().unwrap(), request.der().to_vec())
    }

    #[test]
    fn one_request_is_taken() {
        let (pem, der) = request();
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("www.csr");
        std::fs::write(&path, &pem).unwrap();
        let shown = path.display();
        assert_eq!(by(&format!("echo text around it; cat {shown}; echo done >&2"), LONG).as_ref(), Ok(&der));
        assert_eq!(found(RequestSource::File(path), KeySource::None).request, Ok(der.clone()));
        assert_eq!(found(RequestSource::Given(der.clone().into()), KeySource::None).request, Ok(der));
    }

    #[test]
    fn a_key_that_the_program_wrote_is_there() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("new.key");
        let made = temp.path().join("made");
        std::fs::write(&made, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let script = format!("cp {} {}", made.display(), path.display());
        let argv = ["sh", "-c", &script].map(Into::into).into();
        let source = RequestSource::Command { argv, timeout: LONG };
        let found = found(source, KeySource::Keys([path].into()));
        assert!(found.keys[0].key.is_ok(), "{found:?}");
    }

    #[test]
    fn anything_else_is_told() {
        let (pem, _) = request();
        let check = |script: &str, expected: &str| {
            assert_eq!(by(script, LONG), Err(format!("csr_command of www: {expected}")), "{script}");
        };
        check("true", "it printed nothing; it must print one request in PEM");
        check("echo no key >&2; exit 3", "exit code 3; last output: \"no key\"");
        check(
            &format!("printf '%s' '{pem}{pem}'"),
            "it must print one request in PEM, and what it printed is none: it contains several certificate requests; keep \
             only the one that was sent to the vendor",
        );
        check(
            "head -c 1000000 /dev/zero | tr '\\0' x",
            "it printed more than 65536 bytes, and a request is shorter",
        );
        check(
            "echo hello",
            "it must print one request in PEM, and what it printed is none: it contains no certificate request",
        );
        let absent = RequestSource::Command { argv: ["/absent/csr".into()].into(), timeout: LONG };
        let why = found(absent, KeySource::None).request.unwrap_err();
        assert!(why.starts_with("csr_command of www: /absent/csr"), "{why}");
        let why = found(RequestSource::File("/absent.csr".into()), KeySource::None).request.unwrap_err();
        assert!(why.starts_with("csr_file /absent.csr: "), "{why}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let temp = tempfile::tempdir().unwrap();
        let pid = temp.path().join("pid");
        let script = format!("sleep 1000 & echo $! >{}; wait", pid.display());
        let ended = by(&script, Duration::from_millis(500));
        assert_eq!(ended, Err("csr_command of www: ended at its time limit of 500ms".to_owned()));
        let child = std::fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(child.trim()).exists());
    }

    #[test]
    fn it_knows_which_order_and_nothing_else_of_the_daemons() {
        let ended = by("env | sort | sed 's/=.*//' | tr '\\n' ' ' >&2; exit 1", LONG);
        let why = ended.unwrap_err();
        let names = why.split('"').nth(1).unwrap();
        let shells = ["OLDPWD", "PWD", "SHLVL", "_"];
        let own: Vec<&str> = names.split_whitespace().filter(|name| !shells.contains(name)).collect();
        assert_eq!(own, ["CERTCOLLECTD_ORDER", "CERTCOLLECTD_RUN", "LANG", "PATH"]);
    }
}
