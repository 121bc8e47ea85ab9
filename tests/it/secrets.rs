//! A password with every character that an encoder can get wrong, and a search for it in everything that leaves the
//! daemon: log, state, metrics, pages, arguments, environment, hooks, proxies, core files.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use certcollectd_sandbox::{AccountSpec, OrderSpec, Product};
use rustix::process::Signal;

use crate::network::forward::{Forward, Kind};
use crate::network::proxy::{Identity, end_of_head};
use crate::network::servers::{Answering, Listener, Reply};
use crate::setting::Setting;

/// Special to forms, JSON, HTML, shells, terminals and logs. Its parts do not occur by chance.
const CANARY: &str = "qAnArX \"q\\b&a+p=e%41%p<l>'s;\u{fc}~-*zZzQxVw";

/// The ways in which a password can be written.
fn writings(secret: &str) -> Vec<(String, Vec<u8>)> {
    let percent = |lower: bool, keep: fn(u8) -> bool| {
        let mut text = String::new();
        for byte in secret.bytes() {
            match (keep(byte), lower) {
                (true, _) => text.push(char::from(byte)),
                (false, true) => write!(text, "%{byte:02x}").unwrap(),
                (false, false) => write!(text, "%{byte:02X}").unwrap(),
            }
        }
        text
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let json = serde_json::to_string(secret).unwrap();
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let twice: String = form_urlencoded::byte_serialize(form.as_bytes()).collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        ("plain".to_owned(), secret.to_owned()),
        ("form-encoded".into(), form),
        ("form-encoded twice".into(), twice),
        ("percent-encoded".into(), percent(false, unreserved)),
        ("percent-encoded in lower case".into(), percent(true, unreserved)),
        ("percent-encoded throughout".into(), percent(false, |_| false)),
        ("as JSON".into(), json.trim_matches('"').to_owned()),
        ("escaped as by Rust".into(), secret.escape_default().to_string()),
        ("escaped for debugging".into(), secret.escape_debug().to_string()),
        (
            "as JSON of a debug text".into(),
            serde_json::to_string(&format!("{secret:?}")).unwrap().trim_matches('"').to_owned(),
        ),
        ("in hexadecimal".into(), hex.clone()),
        ("in hexadecimal upper case".into(), hex.to_ascii_uppercase()),
        // A part that every escaping leaves alone: beginning and end.
        ("its beginning".into(), "qAnArX".into()),
        ("its end".into(), "zZzQxVw".into()),
    ];
    for before in 0..3 {
        let bytes = [&vec![0; before], secret.as_bytes()].concat();
        let (first, last) = ((before * 8_usize).div_ceil(6), bytes.len() * 8 / 6);
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            all.push((format!("in base64 at {before}"), text[first..last].to_owned()));
        }
    }
    all.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
}

/// Looks for it in something, and counts what was looked at.
struct Search {
    writings: Vec<(String, Vec<u8>)>,
    places: usize,
    bytes: usize,
}

impl Search {
    fn new() -> Search {
        Search { writings: writings(CANARY), places: 0, bytes: 0 }
    }

    /// In which writing it is in there, and a part of the text around it.
    fn find(&self, content: &[u8]) -> Option<String> {
        self.writings.iter().find_map(|(writing, secret)| {
            let at = memchr::memmem::find(content, secret)?;
            let part = &content[at.saturating_sub(80)..(at + 120).min(content.len())];
            Some(format!("{writing}: {}", String::from_utf8_lossy(part)))
        })
    }

    fn look(&mut self, place: &str, content: &[u8]) {
        self.places += 1;
        self.bytes += content.len();
        if let Some(found) = self.find(content) {
            panic!("the password is in {place}, {found}");
        }
    }

    /// All files below a directory, but the one that the password is kept in.
    fn look_below(&mut self, dir: &std::path::Path) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                self.look_below(&path);
            } else if path.is_file() && !path.ends_with("canary") {
                self.look(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }
}

#[test]
fn the_search_finds_every_writing() {
    for (name, secret) in writings(CANARY) {
        let text = [b"some text ".as_slice(), &secret, b" and more"].concat();
        assert!(Search::new().find(&text).is_some(), "{name}");
    }
}

/// What a vendor answers that echoes its request, in one way after the other.
fn echo(call: usize, request: &[u8]) -> Reply {
    let body = &request[end_of_head(request).unwrap()..];
    let form: String = String::from_utf8(body.to_vec()).unwrap();
    let password =
        form_urlencoded::parse(body).find(|(name, _)| name == "loginPassword").unwrap().1.into_owned();
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let writings = writings(&password);
    let base64 = base64::engine::general_purpose::STANDARD.encode(body);
    let mut echoes: Vec<(u16, String, String)> = vec![
        (200, String::new(), format!("-14\nwrong: {form}")),
        (200, String::new(), format!("errorCode=-14&errorMessage={}", encoded(&form))),
        (200, String::new(), format!("errorCode=-14&errorMessage={}&errorItem={form}", encoded(&password))),
        (200, String::new(), format!("-14\nwrong: {base64}")),
        (200, String::new(), form.clone()),
        (200, String::new(), format!("<html>{form}</html>")),
        (500, String::new(), form.clone()),
        (401, String::new(), format!("-14\n{password}")),
        (200, format!("content-type: text/plain; x={form}\r\n"), "-14\nx".into()),
        (200, format!("content-encoding: {form}\r\n"), "-14\nx".into()),
        (302, format!("location: https://127.0.0.1/?{form}\r\n"), String::new()),
        (
            200,
            String::new(),
            format!(
                "errorCode=0&certificateStatus={}&fqdn={}&x={form}",
                encoded(&password),
                encoded(&password)
            ),
        ),
        (
            200,
            String::new(),
            serde_json::json!({ "error": { "code": -14, "description": password, "item": form } })
                .to_string(),
        ),
    ];
    // In every writing, but those that are only a part of it.
    let whole = writings.iter().filter(|(name, _)| !name.starts_with("its "));
    echoes.extend(
        whole.map(|(_, text)| (200, String::new(), format!("-14\nwrong: {}", String::from_utf8_lossy(text)))),
    );
    let (status, headers, body) = &echoes[call % echoes.len()];
    ECHOES.store(echoes.len(), std::sync::atomic::Ordering::SeqCst);
    Reply::Bytes(
        format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes(),
    )
}

static ECHOES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(usize::MAX / 2);

#[test]
fn no_trace_of_the_password_in_anything_that_leaves_the_daemon() {
    let identity = Identity::new();
    let echoing = Answering::start(identity.server.clone(), echo);
    let refusing = Answering::start(identity.server.clone(), |_, request| {
        let body = String::from_utf8_lossy(&request[end_of_head(request).unwrap()..]).into_owned();
        let body = format!("-16\nUnknown login: {body}");
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    });
    let thief = Listener::tls(identity.server.clone());
    let mut setting = Setting::new();
    setting.polling(
        "interval = \"100ms\"\nmax_interval = \"100ms\"\ncall_gap = \"0s\"\nguard_interval = \"300ms\"\nunknown_tries = 1000",
    );
    setting.write("other-ca.pem", &identity.ca_pem);
    setting.write("canary", CANARY);
    setting.vendor().vendor().accounts.put(AccountSpec::new("canary", CANARY)).unwrap();
    let own = (setting.vendor().base_url(), "ca.pem");
    let others = [&echoing, &refusing].map(|server| (format!("https://{}", server.address), "other-ca.pem"));
    for (name, (url, ca)) in ["good", "echo", "refuse"].iter().zip([own].into_iter().chain(others)) {
        setting.table(&format!(
            "[[account]]\nname = \"{name}\"\nlogin_name = \"canary\"\npassword = {{ file = \"$DIR/canary\" }}\n\
             base_url = \"{url}\"\nca_file = \"$DIR/{ca}\""
        ));
    }
    for name in ["echo", "refuse"] {
        setting.table(&format!("[[order]]\nname = \"{name}\"\naccount = \"{name}\"\norder_number = \"7\""));
    }
    let order = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    setting.order(
        "www",
        order,
        "account = \"good\"\ndomains = [\"www.example.com\"]\nhooks = [\"dump\", \"fds\", \"web\"]\n[order.verify]\ntrust = \"off\"",
    );
    let refused = OrderSpec::new(Product::Ssl, "2", &["www.example.com"]);
    setting.order("held", refused, "account = \"good\"\ndomains = [\"other.example.com\"]");
    let script = "env > $DIR/hook-env; tr '\\\\000' '\\\\n' < /proc/$$/cmdline > $DIR/hook-args; \
                  cat /proc/$PPID/cmdline > $DIR/hook-parent; cat /proc/$PPID/environ > $DIR/hook-stolen; true";
    setting.table(&format!("[[hook]]\nname = \"dump\"\nrun = [\"/bin/sh\", \"-c\", \"{script}\"]"));
    setting.table("[[hook]]\nname = \"fds\"\nrun = [\"/bin/sh\", \"-c\", \"ls -x /proc/$$/fd; true\"]");
    setting.table(&format!("[[hook]]\nname = \"web\"\nhttp = {{ url = \"http://{}/x\" }}", thief.address));
    setting.table("[http]\nlisten = \"127.0.0.1:0\"");
    setting.write_configuration();
    let proxy = Listener::tls(identity.server.clone());
    let log = std::fs::File::create(setting.path("log")).unwrap();
    let mut command = setting.command(&["run"]);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env(variable, format!("http://{}", proxy.address));
    }
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").env_remove("NO_PROXY").stderr(log);
    // What a careless parent leaves open.
    let inherited = std::fs::File::open(setting.path("canary")).unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    setting.daemon = Some(command.spawn().unwrap());
    drop(inherited);
    setting.until("it was echoed in every way", |_| {
        echoing.calls() > ECHOES.load(std::sync::atomic::Ordering::SeqCst) + 1
    });
    setting.until("the hooks ran", |setting| {
        let hooks = setting.order_status("www")["hooks"].clone();
        let done = |hook: &&serde_json::Value| hook["state"] == "done";
        hooks.as_array().is_some_and(|hooks| hooks.iter().filter(done).count() == 2)
    });
    setting.until_phase("held", "quarantined");
    setting.until("the account is closed", |setting| setting.log().contains("account refuse is closed"));
    let mut search = Search::new();
    let pid = setting.pid();
    search
        .look("the daemon's environment", &std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default());
    search.look("the daemon's arguments", &std::fs::read(format!("/proc/{pid}/cmdline")).unwrap());
    let words = "[http] listens on ";
    setting.until("it listens", |setting| setting.log().contains(words));
    let log = setting.log();
    let address = log[log.find(words).unwrap() + words.len()..].lines().next().unwrap().trim().to_owned();
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status"] {
        let page = get(&address, path);
        assert!(page.starts_with("HTTP/1.1 "), "{path}: {page}");
        search.look(path, page.as_bytes());
    }
    setting.signal(Signal::HUP);
    for arguments in [
        &["status"][..],
        &["status", "echo"],
        &["status", "--json"],
        &["check"],
        &["poll", "echo"],
        &["poll", "refuse"],
    ] {
        search.look(&arguments.join(" "), setting.call(arguments).1.as_bytes());
    }
    assert_eq!(setting.stop(), Some(0));
    assert_eq!(proxy.connections(), 0, "a proxy of the environment was used");
    let fds = setting.log().lines().find_map(|line| Some(line.split_once("hook fds says: ")?.1.to_owned()));
    let fds = fds.expect("the hook ran");
    assert_eq!(fds.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2"], "descriptors of a hook");
    let dir = setting.dir.path().to_owned();
    search.look_below(&dir);
    let log = setting.log();
    assert!(
        log.contains(" TRACE ") && log.contains("***"),
        "the log is talkative, and something was blotted out"
    );
    println!(
        "PROOF-FIGURE secrets: {} ways of writing, {} ways of an echo, {} places, {} bytes: 0 traces; 0 connections to proxies of the environment",
        search.writings.len(),
        ECHOES.load(std::sync::atomic::Ordering::SeqCst),
        search.places,
        search.bytes
    );
}

/// The password of a proxy goes to the proxy, for each kind of one, and to nobody else.
#[test]
fn no_trace_of_the_password_of_a_proxy() {
    let identity = Identity::new();
    for kind in [Kind::Http, Kind::Https(identity.server.clone()), Kind::Socks5] {
        let proxy = Forward::start(kind, "svc \u{fc}%41@x", CANARY);
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let hears = asked.clone();
        let vendor = Answering::start(identity.server.clone(), move |_, request| {
            hears.lock().unwrap().extend_from_slice(request);
            Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n0\n".to_vec())
        });
        let mut setting = Setting::new();
        setting.polling("interval = \"100ms\"\nmax_interval = \"100ms\"\ncall_gap = \"0s\"");
        setting.write("other-ca.pem", &identity.ca_pem);
        setting.write("canary", CANARY);
        setting.write("password", "the account's");
        setting.table(&format!(
            "[[account]]\nname = \"far\"\nlogin_name = \"x\"\npassword = {{ file = \"$DIR/password\" }}\n\
             base_url = \"https://{}\"\nca_file = \"$DIR/other-ca.pem\"\nproxy = \"{}\"\nproxy_user = \"svc \u{fc}%41@x\"\n\
             proxy_password = {{ file = \"$DIR/canary\" }}",
            vendor.address,
            proxy.url()
        ));
        setting.table("[[order]]\nname = \"www\"\naccount = \"far\"\norder_number = \"7\"");
        setting.start();
        setting.until("it is asked through the proxy", |_| vendor.calls() > 2);
        assert!(proxy.tunnels() > 0 && proxy.refused() == 0, "{}", proxy.url());
        // Another password is wanted: said with what to do, and taken as soon as it is there.
        proxy.want("another one");
        setting.until("the proxy refuses", |setting| {
            setting.call(&["poll", "www"]);
            proxy.refused() > 0
        });
        let said = setting.call(&["poll", "www"]).1;
        for part in ["refuses the login of proxy_user \"svc ", "/canary (it is tried at once)"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let mut search = Search::new();
        for arguments in
            [&["status"][..], &["explain", "www"], &["status", "--json"], &["check"], &["poll", "www"]]
        {
            search.look(&arguments.join(" "), setting.call(arguments).1.as_bytes());
        }
        let calls = vendor.calls();
        setting.write("canary", "another one");
        setting.until("the new one is taken", |_| vendor.calls() > calls + 1);
        assert_eq!(setting.stop(), Some(0));
        let dir = setting.dir.path().to_owned();
        search.look_below(&dir);
        let asked = asked.lock().unwrap();
        search.look("what the vendor is asked", &asked);
        let asked = String::from_utf8_lossy(&asked).to_lowercase();
        assert!(asked.contains("loginpassword") && !asked.contains("proxy-authorization"), "{asked}");
        assert!(setting.log().contains(" TRACE "));
    }
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn nobody_of_the_same_user_looks_into_the_daemon_and_it_leaves_no_core() {
    let mut setting = Setting::new();
    setting.write_configuration();
    let log = std::fs::File::create(setting.path("log")).unwrap();
    let mut command = setting.command(&["run"]);
    command.stderr(log);
    let me = rustix::process::geteuid();
    let user = if me.is_root() { 65_534 } else { me.as_raw() };
    if me.is_root() {
        // As somebody whose /proc entries would be that user's own.
        for path in ["", "certcollectd.toml", "password", "ca.pem", "key.pem"] {
            std::os::unix::fs::chown(setting.path(path), Some(user), Some(user)).unwrap();
        }
        command.uid(user).gid(user);
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) if me.is_root() => {
            println!("PROOF-SKIP user {user} cannot start the binary where it lies: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    setting.daemon = Some(child);
    setting.until_up(1);
    let pid = setting.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains(&format!("Uid:\t{user}\t{user}")), "{status}");
    // The kernel gives the entries of a process that is not dumpable to root (proc(5)).
    for entry in ["environ", "mem", "maps", "fd"] {
        let owner = std::fs::metadata(format!("/proc/{pid}/{entry}")).unwrap().uid();
        assert_eq!(owner, 0, "/proc/PID/{entry} belongs to user {owner}: the process is dumpable");
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    setting.signal(Signal::ABORT);
    let status = setting.daemon.take().unwrap().wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped());
    println!(
        "PROOF-FIGURE same user: environ, mem, maps and fd of the daemon belong to root; no core after an abort"
    );
}

/// Copies of the password in the writable memory of a process, in every writing, and how much memory that is.
fn copies_in_memory(pid: u32) -> (usize, usize) {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let writings = writings(CANARY);
    let (mut copies, mut size) = (0, 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut part = vec![0; (end - start) as usize];
        // Some pages of the kernel's cannot be read.
        if rights.starts_with("rw") && memory.read_exact_at(&mut part, start).is_ok() {
            size += part.len();
            copies += writings
                .iter()
                .filter(|(name, _)| !name.starts_with("its "))
                .map(|(_, secret)| memchr::memmem::find_iter(&part, secret).count())
                .sum::<usize>();
        }
    }
    (copies, size)
}

#[test]
fn an_idle_daemon_holds_no_copy_of_the_password() {
    if !rustix::process::geteuid().is_root() {
        println!("PROOF-SKIP only root may look into the memory of a process that is not dumpable");
        return;
    }
    let mut setting = Setting::new();
    setting.polling("interval = \"1h\"\ncall_gap = \"0s\"");
    setting.write("canary", CANARY);
    setting.vendor().vendor().accounts.put(AccountSpec::new("canary", CANARY)).unwrap();
    let url = setting.vendor().base_url();
    setting.table(&format!(
        "[[account]]\nname = \"canary\"\nlogin_name = \"canary\"\npassword = {{ file = \"$DIR/canary\" }}\n\
         base_url = \"{url}\"\nca_file = \"$DIR/ca.pem\""
    ));
    for number in 1..=5 {
        let order = OrderSpec::new(Product::Ssl, &number.to_string(), &["www.example.com"]);
        setting.order(&format!("o{number}"), order, "account = \"canary\"\n[order.verify]\ntrust = \"off\"");
    }
    setting.start();
    for number in 1..=5 {
        setting.until_phase(&format!("o{number}"), "guarding");
    }
    // A copy that is still there will not go away by itself: nothing is due for an hour.
    setting.until("no copy is left", |setting| copies_in_memory(setting.pid()).0 == 0);
    let (copies, size) = copies_in_memory(setting.pid());
    println!(
        "PROOF-FIGURE memory: {copies} copies of the password in {} KiB of an idle daemon's writable memory",
        size / 1024
    );
    assert_eq!(setting.stop(), Some(0));
}
