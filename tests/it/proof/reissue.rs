//! kill -9 at every system call of a re-issue, and power cuts in the middle of some: the vendor takes at most one call for
//! each intent, none about an order in flight, and no token twice.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_core::api::dcv::Token;
use certcollectd_core::cert;
use certcollectd_core::engine::command::{Command, ReissueCommand};
use certcollectd_sandbox::{Fault, FaultSpec, Step};
use serde_json::{Value, json};

use super::calls::{KILLED, kill_at, last_call};
use super::power::{EXT4, Image, Kind, XFS, cut, obstacle};
use super::{Nth, figure, for_each, number, skip, until_due};
use crate::dns::{self, Says, Server};
use crate::reissue::{POLLING, aged, counted, dials, order, request, stage};
use crate::setting::Setting;
use crate::simulation::Dice;

const UNIQUE: &str = "abc123";

/// An installed order whose names are proven by a record, published by a hook that writes down what it was told.
fn proven() -> (Setting, Server) {
    let mut setting = Setting::new();
    let csr = request(&setting.key, &["www.example.com"]);
    setting.write("www.csr", &csr);
    let der = cert::csr::read(csr.as_bytes()).unwrap().der().to_vec();
    let token = Token::with_unique(&der, UNIQUE);
    let owner = token.record_name("www.example.com");
    let server = Server::start(&[
        (&owner, dns::cname(&token.record_target())),
        ("www.example.com", Says::Records(Vec::new())),
    ]);
    setting.polling(POLLING).table(&format!("[dns]\nresolver = [\"{}\"]", server.address));
    setting.order(
        "www",
        order("1"),
        "key_file = \"$DIR/key.pem\"\ncsr_file = \"$DIR/www.csr\"\nhooks = [\"log\"]\n\
         [order.reissue]\ndcv = \"cname\"\ndcv_hook = \"dns\"\n[order.verify]\ntrust = \"off\"",
    );
    for (name, on) in [("log", ""), ("dns", "on = [\"dcv-publish\", \"dcv-remove\"]\n")] {
        setting.table(&format!(
            "[[hook]]\nname = \"{name}\"\n{on}run = [\"/bin/sh\", \"-c\", \"echo $CERTCOLLECTD_EVENT >> $DIR/hooks\"]"
        ));
    }
    let (code, said) = setting.once(&["--wait", "60s"]);
    assert_eq!(code, 0, "{said}");
    (setting, server)
}

/// What the vendor holds against a client: no intent was taken twice, and nothing else was done by it.
fn fair(setting: &Setting, intents: u64) -> Result<u64, String> {
    let counted = counted(setting, "1");
    if counted.accepted > intents || counted.edits > 0 || counted.reused_tokens > 0 {
        return Err(format!("{intents} intents: {counted:?}"));
    }
    let in_flight = setting.vendor().vendor().record().counters().all.max_in_flight;
    if in_flight > 1 { Err(format!("{in_flight} calls in flight")) } else { Ok(counted.accepted) }
}

/// Whether all that was sent has come to its end at the vendor.
fn is_quiet(setting: &Setting) -> bool {
    setting.vendor().vendor().record().counters().all.in_flight == 0
}

/// Starts again and again, as cron would; an operator who looks at the vendor's site says `--again` where nothing was made.
fn to_its_end(setting: &Setting, made: u64) -> Result<(), String> {
    const ROUNDS: u32 = 60;
    for _ in 0..ROUNDS {
        let (code, said) = setting.call(&["once", "--wait", "60s"]);
        if !matches!(code, 0 | 3 | 4) {
            return Err(format!("exit code {code} of the next start: {said}"));
        }
        match stage(setting, "www").as_str() {
            "closed" => {
                let is_newest = setting.read("out/www/cert.pem") == setting.newest("1");
                return if is_newest { Ok(()) } else { Err("not the newest certificate".into()) };
            }
            "none" => return Err("nothing is known of it".into()),
            "unclear" if counted(setting, "1").accepted == made => {
                setting.until("nothing is on its way", is_quiet);
                if counted(setting, "1").accepted == made {
                    setting.call(&["resume", "--reissues"]);
                    setting.call(&["reissue", "www", "--again", "--dcv", "reuse"]);
                }
            }
            _ => {}
        }
        until_due(setting);
    }
    Err(format!("not closed after {ROUNDS} starts: {:#}", setting.order_status("www")))
}

/// Kills `reissue` at call `at`, or with `second` the start that installs what the vendor has taken.
fn kill_and_go_on(nth: &Nth, at: u64, second: bool) -> Result<bool, String> {
    let (setting, _server) = proven();
    let ask = ["reissue", "www", "--unique", UNIQUE];
    if second {
        let (code, said) = setting.call(&ask);
        assert_eq!(code, 0, "{said}");
        until_due(&setting);
    }
    let arguments: &[&str] = if second { &["once", "--wait", "60s"] } else { &ask };
    let (code, said) = nth.call(&setting, arguments, &kill_at(at));
    let hit = last_call(&setting);
    let complain = |what: String| format!("killed at call {at} ({hit}), second {second}: {what}\n{said}");
    if code != KILLED && code != 0 {
        return Err(complain(format!("exit code {code}")));
    }
    setting.until("nothing is on its way", is_quiet);
    // The operator sees that it ended, and asks once more.
    if !second {
        setting.call(&ask);
        fair(&setting, 1).map_err(complain)?;
    }
    to_its_end(&setting, 0).map_err(complain)?;
    let accepted = fair(&setting, 1).map_err(complain)?;
    if accepted != 1 {
        return Err(complain(format!("{accepted} re-issues were made")));
    }
    let hooks = setting.read("hooks");
    for event in ["dcv-publish", "dcv-remove"] {
        let runs = hooks.lines().filter(|line| *line == event).count();
        // Killed during the hook, and again with `--again`, for which nothing is published.
        if !(1..=2).contains(&runs) {
            return Err(complain(format!("{event} ran {runs} times")));
        }
    }
    Ok(code == KILLED)
}

#[test]
#[ignore = "tests/proof runs it: it traces the binary"]
fn killed_at_every_call_of_a_reissue() {
    let nth = match Nth::build() {
        Ok(nth) => nth,
        Err(why) => return skip(&why),
    };
    let threads = usize::try_from(number("PROOF_THREADS", 2)).unwrap();
    let stride = number("PROOF_STRIDE", 1);
    let count = |second| {
        for_each(threads, |at| kill_and_go_on(&nth, at * stride, second))
            .unwrap_or_else(|why| panic!("{why}"))
    };
    let (first, second) = (count(false), count(true));
    figure(&format!(
        "{first} calls of `reissue` and {second} of the start that installs its certificate, killed at each, then asked for again: \
         one re-issue at the vendor each time, 0 edits of an order in flight, 0 tokens used twice"
    ));
    assert!(first * stride > 50 && second * stride > 50, "{first} {second}");
}

/// The daemon's answer to a command over its control socket.
fn told(setting: &Setting, command: &Command) -> Value {
    let body = serde_json::to_vec(command).unwrap();
    let mut stream = UnixStream::connect(setting.path("state/control.sock")).unwrap();
    let head = format!(
        "POST /v1/command HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
#[ignore = "tests/proof runs it: it takes a minute"]
fn a_request_for_another_name_in_the_defaults_reaches_nobody() {
    const ORDERS: u64 = 1000;
    let mut setting = Setting::new();
    setting.polling("interval = \"1h\"\ncall_gap = \"0s\"\nguard_interval = \"12h\"");
    setting.write("wrong.csr", &request(&setting.key, &["other.example.com"]));
    setting.table(
        "[defaults]\nkey_file = \"$DIR/key.pem\"\ncsr_file = \"$DIR/wrong.csr\"\n[defaults.reissue]\ndcv = \"reuse\"\n\
         [defaults.verify]\ntrust = \"off\"",
    );
    for at in 0..ORDERS {
        setting.order(&format!("o{at}"), order(&at.to_string()), "");
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    setting.start();
    setting.until_up(1);
    let calls = setting.all_calls();
    for at in 0..ORDERS {
        let command = ReissueCommand {
            order: format!("o{at}"),
            csr: None,
            dcv: None,
            unique: None,
            dry_run: false,
            again: at % 2 == 0,
            parameters: Vec::new(),
        };
        let reply = told(&setting, &Command::Reissue(Box::new(command)));
        assert_eq!(reply["ok"], false, "{reply}");
        assert!(reply["text"].as_str().unwrap().contains("other.example.com"), "{reply}");
    }
    assert_eq!(setting.all_calls(), calls, "not even a poll");
    assert_eq!(setting.stop(), Some(0));
    figure(&format!("{ORDERS} orders whose request is for another name: 0 calls"));
}

/// Re-issues one after the other, and the power fails in the middle of each.
struct Cuts {
    setting: Setting,
    state: Image,
    out: Image,
    dice: Dice,
    intents: u64,
    /// Intents that the vendor had heard of when the power failed.
    heard: u64,
    unclear: u64,
}

/// A cut comes at most so long after the command.
const LATEST_MS: u64 = 1500;

impl Cuts {
    fn new(kind: Kind, seed: u64) -> Result<Cuts, String> {
        let mut setting = Setting::new();
        setting.write("www.csr", &request(&setting.key, &["www.example.com"]));
        setting.polling(POLLING).table("[reissues]\nper_day = 10000");
        setting.order("www", order("1"), crate::reissue::KEYS);
        let image = |name: &str| Image::make(kind, setting.path(&format!("{name}.img")), setting.path(name));
        let (state, out) = (image("state")?, image("out")?);
        let (code, said) = setting.once(&["--wait", "60s"]);
        if code != 0 {
            return Err(said);
        }
        Ok(Cuts { setting, state, out, dice: Dice(seed), intents: 0, heard: 0, unclear: 0 })
    }

    fn cycle(&mut self) -> Result<(), String> {
        self.intents += 1;
        let issued = Step { certificate: Some(aged(self.intents as i64)), ..Step::issued() };
        let polls = u32::try_from(self.dice.below(3)).unwrap() + 1;
        dials(&self.setting, json!({ "reissue_script": [Step::pending(polls), issued] }));
        let made = counted(&self.setting, "1").accepted;
        let starts = self.setting.log().matches(" is up with ").count();
        self.setting.start_again();
        self.setting.until_up(starts + 1);
        // A vendor that takes its time over the poll and the call, so that cuts come before, between and after them.
        for endpoint in ["CollectSSL", "AutoReplaceSSL"] {
            let slow = Fault::Delay { ms: self.dice.below(LATEST_MS / 2) };
            let slow = FaultSpec { endpoint: Some(endpoint.into()), ..FaultSpec::times(slow, 1) };
            self.setting.vendor().vendor().faults.add(slow).unwrap();
        }
        let asking =
            self.setting.command(&["reissue", "www"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut asking = asking.unwrap();
        let after = self.dice.below(LATEST_MS);
        let mut paths = [self.state.at.as_path(), self.out.at.as_path()];
        if self.dice.below(2) == 0 {
            paths.reverse();
        }
        let done = cut(after, Some(self.setting.pid()), paths);
        self.setting.kill();
        asking.wait().unwrap();
        done?;
        for image in [&mut self.state, &mut self.out] {
            image.unmount()?;
            image.mount()?;
        }
        self.setting.until("nothing is on its way", is_quiet);
        self.setting.vendor().vendor().faults.clear();
        fair(&self.setting, self.intents)?;
        self.heard += counted(&self.setting, "1").accepted - made;
        let stage = stage(&self.setting, "www");
        self.unclear += u64::from(stage == "intended" || stage == "unclear");
        let is_known = !matches!(stage.as_str(), "none" | "closed");
        // Cut before the intent was on disk, it was never sent; the operator asks once more.
        if !is_known && counted(&self.setting, "1").accepted == made {
            self.setting.call(&["resume", "--reissues"]);
            self.setting.call(&["reissue", "www"]);
        }
        to_its_end(&self.setting, made)?;
        let accepted = fair(&self.setting, self.intents)?;
        if accepted == self.intents {
            Ok(())
        } else {
            Err(format!("{} intents, {accepted} made", self.intents))
        }
    }
}

#[test]
#[ignore = "tests/proof runs it: it mounts file systems"]
fn power_cuts_in_reissues_ask_no_second_time() {
    let (cuts, seed, seconds) =
        (number("PROOF_CUTS", 40), number("PROOF_SEED", 1), number("PROOF_SECONDS", 1800));
    let start = clock::now().time;
    let mut done = Vec::new();
    let (mut heard, mut unclear) = (0, 0);
    let kinds = [EXT4, XFS];
    for (at, kind) in (0..).zip(kinds) {
        if let Some(why) = obstacle(kind) {
            skip(&format!("{}: {why}", kind.0));
            continue;
        }
        let mut all = Cuts::new(kind, seed + at).unwrap();
        let share = Duration::from_secs(seconds / kinds.len() as u64) * (u32::try_from(at).unwrap() + 1);
        while all.intents < cuts / kinds.len() as u64 && clock::now().time.since(start) < share {
            all.cycle()
                .unwrap_or_else(|why| panic!("{} PROOF_SEED={seed}, cut {}: {why}", kind.0, all.intents));
        }
        done.push(format!("{} on {}", all.intents, kind.0));
        heard += all.heard;
        unclear += all.unclear;
    }
    if !done.is_empty() {
        figure(&format!(
            "power cuts in re-issues ({}), {heard} after the vendor had taken it, {unclear} left unclear: one re-issue at the vendor \
             for each intent, 0 edits of an order in flight, 0 tokens used twice",
            done.join(", ")
        ));
    }
}
