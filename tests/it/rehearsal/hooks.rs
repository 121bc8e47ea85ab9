//! Hooks as real processes, over kill and restart.

use std::os::unix::fs::PermissionsExt;

use certcollectd_core::config::HookSignal;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{KEY, OWN_ROOT, ssl};
use crate::setting::Setting;

#[test]
fn hooks_are_owed_over_kill_and_restart() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"deploy\", \"other\"]\n{OWN_ROOT}"));
    // The first run never ends by itself; the second fails; the third works.
    setting.write(
        "deploy.sh",
        "#!/bin/sh\necho \"$CERTCOLLECTD_EVENT $CERTCOLLECTD_ORDER $CERTCOLLECTD_ORDER_NUMBER $CERTCOLLECTD_PRODUCT\" >> \"$1/runs\"\n\
         case $(wc -l < \"$1/runs\") in 1) echo begun > \"$1/begun\"; sleep 600;; 2) echo no luck >&2; exit 1;; *) env > \"$1/env\";; esac\n",
    );
    std::fs::set_permissions(setting.path("deploy.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    setting.table("[[hook]]\nname = \"deploy\"\nrun = [\"$DIR/deploy.sh\", \"$DIR\"]");
    setting.table("[[hook]]\nname = \"other\"\nrun = [\"/bin/sh\", \"-c\", \"exit 42\"]");
    setting.start();
    setting.until("the hook runs", |setting| setting.path("begun").exists());
    setting.kill();
    assert_eq!(setting.phase("www"), "deploying");
    setting.start_again();
    setting.until("it failed", |setting| setting.order_status("www")["hooks"][0]["state"] == "failing");
    let hook = setting.order_status("www")["hooks"][0].clone();
    assert!(hook["last"].as_str().unwrap().contains("exit code 1"), "{hook}");
    assert!(hook["last"].as_str().unwrap().contains("no luck"), "{hook}");
    setting.until("the other hook said that it is not meant", |setting| {
        setting.order_status("www")["hooks"][1]["state"] == "done"
    });
    // The operator does not want to wait for the minute.
    let (code, said) = setting.call(&["resume", "www"]);
    assert_eq!(code, 0, "{said}");
    setting.until_phase("www", "guarding");
    assert_eq!(setting.read("runs"), "installed www 1 ssl\n".repeat(3));
    let environment = setting.read("env");
    let dir = setting.dir.path().display().to_string();
    for line in [
        "CERTCOLLECTD_EVENT=installed".to_owned(),
        format!("CERTCOLLECTD_DIR={dir}/out/www"),
        format!("CERTCOLLECTD_FULLCHAIN={dir}/out/www/fullchain.pem"),
        "CERTCOLLECTD_DOMAINS=www.example.com".to_owned(),
        format!("RENEWED_LINEAGE={dir}/out/www"),
        "RENEWED_DOMAINS=www.example.com".to_owned(),
    ] {
        assert!(environment.lines().any(|found| found == line), "{line}\n{environment}");
    }
    assert!(!environment.contains("SECRET") && !environment.contains("HOME="), "{environment}");
    setting.stop();
}

#[test]
fn a_hook_that_hangs_is_ended_with_all_its_children() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"hang\"]\n{OWN_ROOT}"));
    // Known by the time that they would sleep, which nobody else's children do.
    let long = format!("1{:09}", std::process::id());
    let script =
        format!("trap '' TERM; setsid sleep {long}1 & sleep {long}2 & echo $$ > $DIR/pid; sleep {long}3");
    setting.table(&format!(
        "[[hook]]\nname = \"hang\"\ntimeout = \"200ms\"\nrun = [\"/bin/sh\", \"-c\", \"{script}\"]"
    ));
    setting.start();
    setting.until("it was ended", |setting| setting.order_status("www")["hooks"][0]["state"] == "failing");
    let hook = setting.order_status("www")["hooks"][0].clone();
    assert!(hook["last"].as_str().unwrap().contains("time limit of 200ms"), "{hook}");
    let sleepers = || {
        let output = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|line| line.starts_with(&format!("sleep {long}")))
            .count()
    };
    setting.until("nobody is left", |_| sleepers() == 0);
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn what_an_earlier_hook_started_outlives_the_time_limit_of_a_later_one() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"start\", \"hang\"]\n{OWN_ROOT}"));
    let service = "setsid sleep 600 > /dev/null 2>&1 & echo $! > $DIR/service";
    setting.table(&format!("[[hook]]\nname = \"start\"\nrun = [\"/bin/sh\", \"-c\", \"{service}\"]"));
    let hang = "setsid sleep 600 > /dev/null 2>&1 & echo $! > $DIR/stray; sleep 600";
    setting.table(&format!(
        "[[hook]]\nname = \"hang\"\ntimeout = \"500ms\"\nrun = [\"/bin/sh\", \"-c\", \"{hang}\"]"
    ));
    setting.start();
    setting.until("it was ended", |setting| {
        let failing = setting.order_status("www")["hooks"][1]["state"] == "failing";
        failing && setting.path("stray").exists() && setting.read("stray").ends_with('\n')
    });
    let process = |name: &str| Pid::from_raw(setting.read(name).trim().parse().unwrap()).unwrap();
    let (service, stray) = (process("service"), process("stray"));
    setting.until("the stray of the same run is ended", |_| test_kill_process(stray).is_err());
    assert_eq!(setting.stop(), Some(0));
    assert!(kill_process(service, Signal::KILL).is_ok(), "the service lives");
}

#[test]
fn signal_http_and_socket_hooks_work() {
    let mut setting = Setting::new();
    let keys = format!("{KEY}\nhooks = [\"signal\", \"http\", \"unix\", \"socket\"]\n{OWN_ROOT}");
    setting.order("www", ssl("1"), &keys);
    let mut target = std::process::Command::new("/bin/sh")
        .args([
            "-c",
            &format!(
                "trap 'echo hup > {}/hup; exit' HUP; while :; do sleep 0.05; done",
                setting.dir.path().display()
            ),
        ])
        .spawn()
        .unwrap();
    setting.write("target.pid", &format!("{}\n", target.id()));
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let docker = std::os::unix::net::UnixListener::bind(setting.path("docker.sock")).unwrap();
    let bridge = std::os::unix::net::UnixListener::bind(setting.path("bridge.sock")).unwrap();
    let web = std::thread::spawn(move || answer(web.accept().unwrap().0));
    let docker = std::thread::spawn(move || answer(docker.accept().unwrap().0));
    let bridge = std::thread::spawn(move || {
        use std::io::Write;
        bridge.accept().unwrap().0.write_all(b"reloading\n0\n").unwrap();
    });
    setting.table("[[hook]]\nname = \"signal\"\nsignal = { pid_file = \"$DIR/target.pid\", name = \"HUP\" }");
    setting.table(&format!("[[hook]]\nname = \"http\"\nhttp = {{ url = \"http://{address}/reload?a=b\" }}"));
    setting.table("[[hook]]\nname = \"unix\"\nhttp = { url = \"http+unix://$DIR/docker.sock/containers/web/kill?signal=HUP\", method = \"POST\" }");
    setting.table("[[hook]]\nname = \"socket\"\nsocket = \"$DIR/bridge.sock\"");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(web.join().unwrap(), "POST /reload?a=b HTTP/1.1");
    assert_eq!(docker.join().unwrap(), "POST /containers/web/kill?signal=HUP HTTP/1.1");
    bridge.join().unwrap();
    setting.until("the signal arrived", |setting| setting.path("hup").exists());
    target.wait().unwrap();
}

/// The whole of one request.
fn request(stream: std::net::TcpStream) -> String {
    answered(stream, |_| "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned())
}

/// The same, with an answer to it.
fn answered(mut stream: std::net::TcpStream, answer: impl Fn(&str) -> String) -> String {
    use std::io::{Read, Write};
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let is_whole = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        Some(body.len() >= length.unwrap_or(0))
    };
    while is_whole(&text) != Some(true) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "it breaks off: {text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    stream.write_all(answer(&text).as_bytes()).unwrap();
    text
}

#[test]
fn a_call_tells_somebody_what_has_happened_and_who_calls() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"chat\"]\n{OWN_ROOT}"));
    setting.write("token", "Bearer s3cret-t0ken\n");
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let web = std::thread::spawn(move || request(web.accept().unwrap().0));
    setting.table(&format!(
        "[[hook]]\nname = \"chat\"\n[hook.http]\nurl = \"http://{address}/\"\nmethod = \"put\"\n\
         headers = {{ X-Priority = \"1\", Authorization = {{ file = \"$DIR/token\" }} }}\n\
         body = '{{\"text\": \"{{{{summary}}}} {{{{ event }}}}\", \"dir\": \"{{{{dir}}}}\", \"next\": \"{{{{next}}}}\"}}'"
    ));
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let text = web.join().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("put / http/1.1\r\n"), "{head}");
    for line in ["x-priority: 1", "authorization: bearer s3cret-t0ken", "content-type: application/json"] {
        assert_eq!(head.lines().filter(|known| *known == line).count(), 1, "{line}: {head}");
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let told = body["text"].as_str().unwrap();
    assert!(told.starts_with("www: a certificate is installed that is valid until 20"), "{told}");
    assert!(told.ends_with(" installed"), "{told}");
    assert_eq!(body["dir"], setting.installed("www").display().to_string());
    assert_eq!(body["next"], "");
    let all = setting.call(&["status", "--json"]).1 + &said;
    assert!(!all.contains("s3cret"), "the secret is nowhere: {all}");
}

#[test]
fn an_address_and_a_body_may_be_secret_and_are_seen_by_the_server_only() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"chat\"]\n{OWN_ROOT}"));
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    setting.write("url", &format!("http://{address}/s3cret-path\n"));
    setting
        .write("body", "{\"routing_key\": \"s3cret-key\",\n\"key\": \"{{key}}\", \"time\": \"{{time}}\"}\n");
    // The first answer repeats all that it was sent.
    let web = std::thread::spawn(move || {
        let echo = |text: &str| {
            format!("HTTP/1.1 400 No\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}", text.len())
        };
        answered(web.accept().unwrap().0, echo);
        request(web.accept().unwrap().0)
    });
    setting.table(
        "[[hook]]\nname = \"chat\"\n[hook.http]\nurl = { file = \"$DIR/url\" }\nbody = { file = \"$DIR/body\" }",
    );
    let (code, said) = setting.once(&[]);
    assert!(
        code == 4
            && said.contains(&format!("HTTP status 400 from the url in {}", setting.path("url").display())),
        "{said}"
    );
    let (code, resumed) = setting.call(&["resume", "www"]);
    assert_eq!(code, 0, "{resumed}");
    let (code, again) = setting.once(&[]);
    assert_eq!(code, 0, "{again}");
    let text = web.join().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /s3cret-path HTTP/1.1\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&body["routing_key"], &body["key"]),
        (&"s3cret-key".into(), &"certcollectd/order/www".into())
    );
    assert!(body["time"].as_str().unwrap().ends_with('Z'), "{body}");
    let (code, checked) = setting.call(&["check"]);
    assert_eq!(code, 0, "{checked}");
    let all = checked + &said + &resumed + &again + &setting.call(&["status", "--json"]).1;
    let all = all + &setting.call(&["explain", "www"]).1;
    assert!(!all.contains("s3cret"), "{all}");
    for entry in std::fs::read_dir(setting.path("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(memchr::memmem::find(&bytes, b"s3cret").is_none(), "{}", path.display());
        }
    }
}

#[test]
fn what_is_wrong_with_a_secret_of_a_call_is_said_by_check_and_when_it_is_sent() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"chat\", \"pager\"]\n{OWN_ROOT}"));
    setting.write("url", "s3cret\n");
    setting.write("body", "{{s3cret}}");
    setting.table("[[hook]]\nname = \"chat\"\nhttp = { url = { file = \"$DIR/url\" } }");
    setting.table(
        "[[hook]]\nname = \"pager\"\nhttp = { url = \"http://127.0.0.1:9/\", body = { file = \"$DIR/body\" } }",
    );
    let (failed, said) = setting.once(&[]);
    let (code, checked) = setting.call(&["check"]);
    assert_eq!((code, failed), (2, 4), "{checked}{said}");
    for all in [&checked, &said] {
        assert!(all.contains("/url holds no address"), "{all}");
        assert!(all.contains("/body has an unknown variable"), "{all}");
        assert!(!all.contains("s3cret"), "{all}");
    }
}

#[test]
fn a_call_whose_secret_cannot_be_read_is_owed() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"chat\"]\n{OWN_ROOT}"));
    setting.table(
        "[[hook]]\nname = \"chat\"\n[hook.http]\nurl = \"http://127.0.0.1:9/\"\nheaders = { X-Token = { file = \"$DIR/none\" } }",
    );
    let (code, said) = setting.once(&[]);
    assert!(code == 4 && said.contains("/none: no such file"), "{code} {said}");
    let (code, said) = setting.call(&["check"]);
    assert!(code == 2 && said.contains("hook chat: the header X-Token"), "{code} {said}");
}

#[test]
fn every_signal_that_a_configuration_may_name_is_sent() {
    let mut setting = Setting::new();
    let names = HookSignal::ALL.map(HookSignal::as_str);
    let hooks = names.map(|name| format!("\"{}\"", name.to_lowercase())).join(", ");
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [{hooks}]\n{OWN_ROOT}"));
    // A process to which a stop signal is sent loses a CONT that it has not taken yet (signal(7)), so that has another one.
    let target_of = |name: &str| if name == "CONT" { "continued" } else { "target" };
    let traps = names.map(|name| format!("trap 'echo {name} >> \"$0\"' {name}; ")).concat();
    let mut targets = ["target", "continued"].map(|target| {
        // A shell that starts a child loses what arrives meanwhile (dash, in its vfork), so it waits for its input
        // instead. A line has it look for what arrived just before it began to wait.
        // What whoever started the tests has ignored, a shell cannot trap.
        let child = std::process::Command::new("env")
            .args(["--default-signal", "/bin/sh", "-c"])
            .arg(format!("{traps}echo ready >> \"$0\"; while [ -e \"$0\" ]; do read -r line; done"))
            .arg(setting.path(target))
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        setting.write(&format!("{target}.pid"), &child.id().to_string());
        (target, child)
    });
    for name in names {
        setting.table(&format!(
            "[[hook]]\nname = \"{}\"\nsignal = {{ pid_file = \"$DIR/{}.pid\", name = \"{name}\" }}",
            name.to_lowercase(),
            target_of(name)
        ));
    }
    setting.until("they listen", |setting| targets.iter().all(|(target, _)| setting.path(target).exists()));
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    setting.until("all have arrived", |setting| {
        for (_, child) in &mut targets {
            std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
        }
        names.iter().all(|name| setting.read(target_of(name)).lines().any(|line| line == *name))
    });
    for (target, mut child) in targets {
        std::fs::remove_file(setting.path(target)).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn a_failed_hook_says_what_stood_in_the_way_and_what_to_do() {
    let mut setting = Setting::new();
    let keys =
        format!("{KEY}\nhooks = [\"run\", \"bridge\", \"gone\", \"quiet\", \"docker\", \"web\"]\n{OWN_ROOT}");
    setting.order("www", ssl("1"), &keys);
    setting.table(
        "[[hook]]\nname = \"run\"\nrun = [\"/bin/sh\", \"-c\", \"echo one; echo two; echo the cause >&2; echo see the log >&2; exit 1\"]",
    );
    std::fs::create_dir(setting.path("certcollectd-reload")).unwrap();
    let bridge =
        std::os::unix::net::UnixListener::bind(setting.path("certcollectd-reload/nginx.sock")).unwrap();
    let bridge = std::thread::spawn(move || {
        use std::io::Write;
        bridge.accept().unwrap().0.write_all(b"1\nnginx.service is not active, cannot reload.\n").unwrap();
    });
    setting.table("[[hook]]\nname = \"bridge\"\nsocket = \"$DIR/certcollectd-reload/nginx.sock\"");
    setting.table("[[hook]]\nname = \"gone\"\nsocket = \"$DIR/certcollectd-reload/postfix.sock\"");
    drop(std::os::unix::net::UnixListener::bind(setting.path("quiet.sock")).unwrap());
    setting.table("[[hook]]\nname = \"quiet\"\nsocket = \"$DIR/quiet.sock\"");
    setting.table(
        "[[hook]]\nname = \"docker\"\nhttp = { url = \"http+unix://$DIR/quiet.sock/containers/web/kill\" }",
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    setting
        .table(&format!("[[hook]]\nname = \"web\"\nhttp = {{ url = \"http://{closed}/reload?key=value\" }}"));
    setting.start();
    let dir = setting.dir.path().display().to_string();
    for (at, name, expected) in [
        (0, "run", vec!["failed: exit code 1", "\"two\", \"the cause\", \"see the log\""]),
        (
            1,
            "bridge",
            vec![
                "failed: exit status 1 from $DIR/certcollectd-reload/nginx.sock",
                "\"nginx.service is not active, cannot reload.\"",
                "; see `journalctl -u certcollectd-reload@nginx`",
            ],
        ),
        (
            2,
            "gone",
            vec![
                "cannot connect to $DIR/certcollectd-reload/postfix.sock: it does not exist",
                "`systemctl enable --now certcollectd-reload@postfix.socket`",
            ],
        ),
        (
            3,
            "quiet",
            vec!["cannot connect to $DIR/quiet.sock: nothing listens there", "start the service behind it"],
        ),
        (4, "docker", vec!["cannot connect to $DIR/quiet.sock: nothing listens there"]),
        (
            5,
            "web",
            vec!["cannot connect to http://127.0.0.1:", "nothing listens there", "is the server running?"],
        ),
    ] {
        setting.until(name, |setting| setting.order_status("www")["hooks"][at]["state"] == "failing");
        let last = setting.order_status("www")["hooks"][at]["last"].as_str().unwrap().to_owned();
        for expected in expected {
            let expected = expected.replace("$DIR", &dir);
            assert!(last.contains(&expected), "{name}: {expected}\n{last}");
        }
        assert!(!last.contains("os error") && !last.contains("key=value"), "{last}");
    }
    bridge.join().unwrap();
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn what_certbot_tells_its_hooks_is_about_one_certificate() {
    let mut setting = Setting::new();
    let keys = format!("{KEY}\nhooks = [\"shared\", \"alone\"]\n{OWN_ROOT}");
    for (name, number) in [("a", "1"), ("b", "2")] {
        setting.order(name, ssl(number), &keys);
    }
    let print = "echo $CERTCOLLECTD_ORDER ${RENEWED_LINEAGE-unset} ${RENEWED_DOMAINS-unset} >> $DIR/$HOOK";
    for (hook, merge) in [("shared", true), ("alone", false)] {
        let print = print.replace("$HOOK", hook);
        setting.table(&format!(
            "[[hook]]\nname = \"{hook}\"\nmerge = {merge}\nrun = [\"/bin/sh\", \"-c\", \"{print}\"]"
        ));
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let dir = setting.dir.path().display().to_string();
    assert_eq!(setting.read("shared"), "a b unset unset\n");
    let mut alone: Vec<String> = setting.read("alone").lines().map(str::to_owned).collect();
    alone.sort();
    let line = |name| format!("{name} {dir}/out/{name} www.example.com");
    assert_eq!(alone, [line("a"), line("b")]);
}

/// Answers one request; its first line.
fn answer(mut stream: impl std::io::Read + std::io::Write) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&buffer[..count]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
    String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned()
}
