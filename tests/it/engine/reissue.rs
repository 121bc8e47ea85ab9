//! Re-issues that are asked for here: proven first, sent once, never repeated.

use base64::Engine as _;
use certcollectd_core::api::Endpoint;
use certcollectd_core::cert::{self, KeyCandidate};
use certcollectd_core::config::{CsrSource, Dcv, HookEvent, KeySource, ReissueSettings};
use certcollectd_core::engine::command::{CommandReply, ReissueCommand};
use certcollectd_core::engine::id::Token;
use certcollectd_core::engine::note::NoteKind;
use certcollectd_core::engine::reissue::run::{NameSeen, Survey};
use rcgen::CertificateParams;

use super::*;

mod never;
mod published;
mod stops;

const NAMES: &[&str] = &["www.example.com"];
const REPLACE: &str = "AutoReplaceSSL www";

/// A guarded order with a certificate of 90 days, 80 of which are over, and a request for the same key.
struct Case {
    world: World,
    key: KeyPair,
    /// What the vendor says of the installed certificate.
    installed: Say,
}

fn leaf(key: &KeyPair, names: &[&str], from_days: i64, days: i64) -> Say {
    let from = START + from_days * 86_400;
    Say::Body(200, certs::issued(&certs::leaf(key, names, from, from + days * 86_400)))
}

fn request(key: &KeyPair, names: &[&str]) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, names[0].as_str());
    params.serialize_request(key).unwrap().der().to_vec()
}

impl Case {
    fn new() -> Case {
        Case::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut certcollectd_core::config::Config)) -> Case {
        let mut config = world::config(&["www"]);
        let mut dns = (*world::hook("dns")).clone();
        dns.on = vec![HookEvent::DcvPublish, HookEvent::DcvRemove];
        // As the configuration has it for such hooks.
        dns.merge = false;
        config.hooks.push(dns.into());
        config.orders[0].csr_file = Some("/www.csr".into());
        world::change(&mut config.orders[0], |settings| {
            settings.reissue = Some(ReissueSettings {
                csr: CsrSource::File,
                dcv: Some(Dcv::Cname),
                dcv_hook: Some("dns".into()),
            });
        });
        change(&mut config);
        let key = KeyPair::generate().unwrap();
        let mut world = World::new(config);
        let installed = leaf(&key, NAMES, -80, 90);
        world.say("www", [installed.clone()]);
        world.pass(SECOND);
        assert_eq!(world.phase("www"), "guarding", "{:#?}", world.notes);
        world.requests.insert("www".into(), Ok(request(&key, NAMES)));
        world.say(REPLACE, [Say::text("errorCode=0&certificateID=77")]);
        Case { world, key, installed }
    }

    fn reissue(&mut self) -> Token {
        self.reissue_with(|_| {})
    }

    fn reissue_with(&mut self, change: impl FnOnce(&mut ReissueCommand)) -> Token {
        let mut command = ReissueCommand {
            order: "www".into(),
            csr: None,
            dcv: None,
            unique: None,
            dry_run: false,
            again: false,
            parameters: Vec::new(),
        };
        change(&mut command);
        self.world.command(Command::Reissue(Box::new(command)))
    }

    /// Calls of AutoReplaceSSL that went out.
    fn sent(&self) -> usize {
        self.world.side_calls.iter().filter(|call| call.number == REPLACE).count()
    }

    fn stage(&self) -> String {
        self.world.record("www")["reissue"]["stage"].as_str().unwrap_or("none").to_owned()
    }

    fn reply(&self, token: Token) -> &CommandReply {
        self.world.reply(token)
    }

    fn ran(&self, event: HookEvent) -> usize {
        self.world.ran.iter().filter(|ran| ran.event == event).count()
    }

    /// To the moment at which the call goes out, whose answer has not come yet.
    fn pass_to_the_call(&mut self) {
        loop {
            let wake = self.world.engine.next_wake().unwrap();
            self.world.now = Now {
                wall: self.world.now.wall + (wake.0 - self.world.now.time.0).max(0),
                time: wake.max(self.world.now.time),
            };
            for effect in self.world.engine.handle(Event::Woke, self.world.now) {
                match effect {
                    Effect::Save(changes) => self.world.save(&changes),
                    Effect::Call(call) if call.request.endpoint == Endpoint::ReplaceSsl => return,
                    other => {
                        if let Some(event) = self.world.one(other) {
                            self.world.handle(event);
                        }
                    }
                }
            }
        }
    }

    /// Nothing was sent, for this reason.
    fn stops(&mut self, token: Token, why: &str) {
        let reply = self.reply(token);
        assert!(!reply.ok && reply.text.contains(why), "{}", reply.text);
        assert!(!reply.waits_for_proof(), "{reply:?}");
        assert_eq!(self.sent(), 0);
    }
}

fn missing() -> Survey {
    let lacks = Some("there is no such record".to_owned());
    Survey { names: vec![NameSeen { name: "www.example.com".into(), lacks, caa: None }] }
}

fn seen() -> Survey {
    Survey { names: vec![NameSeen { name: "www.example.com".into(), lacks: None, caa: None }] }
}

#[test]
fn it_is_proven_then_looked_at_then_asked_for_once_and_installed() {
    let mut case = Case::new();
    let polls = case.world.calls.len();
    let token = case.reissue();
    case.world.pass(20 * SECOND);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
    assert_eq!(case.ran(HookEvent::DcvPublish), 1);
    assert_eq!(case.world.surveyed.len(), 1);
    assert_eq!(case.world.calls.len(), polls + 1, "one poll looked first");
    let request = case.world.request.clone().unwrap();
    assert_eq!(request.endpoint, Endpoint::ReplaceSsl);
    let unique = request.fields.iter().find(|(name, _)| name == "uniqueValue").unwrap().1.clone();
    assert!(unique.len() == 20 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{unique}");

    // The last answer, before the call, was "issued": that is not said of what is under way now.
    let token = case.reissue();
    let said = &case.reply(token).text;
    assert!(
        said.ends_with("a certificate of www is under way at the vendor; a second call would change it"),
        "{said}"
    );

    // While the vendor is at work, it is polled like an order that waits.
    case.world.say("www", [Say::text("errorCode=0")]);
    case.world.pass(10 * HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
    assert!(case.world.calls.len() >= polls + 3, "{}", case.world.calls.len());
    assert_eq!(case.world.phase("www"), "guarding");
    let before = case.world.seen("www");
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    case.world.pass(DAY);
    assert_ne!(case.world.seen("www"), before);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "closed"));
    assert_eq!(case.ran(HookEvent::DcvRemove), 1, "the record goes once its certificate is in place");
}

#[test]
fn without_its_proof_nothing_is_sent_and_a_person_is_told_what_to_publish() {
    let mut case = Case::with(|config| {
        world::change(&mut config.orders[0], |settings| settings.reissue.as_mut().unwrap().dcv_hook = None);
    });
    case.world.surveys.insert("www".into(), vec![missing()]);
    let token = case.reissue();
    let reply = case.reply(token);
    assert!(!reply.ok && reply.waits_for_proof(), "{reply:?}");
    assert!(reply.text.contains("_") && reply.text.contains(".www.example.com. CNAME "), "{}", reply.text);
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (0, "preparing"));
    let looks = case.world.surveyed.len();
    assert!((15..25).contains(&looks), "5 s doubling to 5 min within an hour: {looks}");
    // The same command looks at once, and what is seen lets the request go out.
    case.world.surveys.insert("www".into(), vec![seen()]);
    let token = case.reissue();
    case.world.pass(20 * SECOND);
    assert_eq!(case.world.surveyed.len(), looks + 1);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    assert_eq!(case.sent(), 1);
}

#[test]
fn it_goes_on_by_itself_over_a_restart_with_the_same_request() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    let before = case.world.record("www")["reissue"].clone();
    case.world.restart();
    case.world.requests.insert("www".into(), Err("it must not be read again".into()));
    case.world.surveys.insert("www".into(), vec![seen()]);
    case.world.pass(HOUR);
    assert_eq!(case.sent(), 1);
    let after = case.world.record("www")["reissue"].clone();
    assert_eq!([&before["csr"], &before["unique"]], [&after["csr"], &after["unique"]]);
}

#[test]
fn a_day_without_proof_needs_a_person() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    case.world.pass(DAY + HOUR);
    let record = case.world.record("www");
    let alarms = record["alarms"].to_string();
    assert!(alarms.contains("reissue-held"), "{alarms}");
    assert_eq!((case.sent(), case.stage().as_str()), (0, "preparing"));
}

#[test]
fn nothing_goes_out_unless_a_poll_shows_what_is_installed() {
    let new = KeyPair::generate().unwrap();
    for (says, held) in [
        (Say::text("errorCode=0"), "under way"),
        (Say::text("errorCode=-22&errorMessage=x"), "under way"),
        (Say::text("errorCode=-26&errorMessage=x"), "under way"),
        (Say::text("errorCode=-14&errorMessage=x"), ""),
        (Say::Fail(world::silence()), ""),
        (Say::Body(503, b"busy".to_vec()), ""),
        (leaf(&new, NAMES, 0, 90), ""),
    ] {
        let mut case = Case::new();
        case.world.say("www", [says.clone()]);
        let token = case.reissue();
        case.world.pass(5 * DAY);
        assert_eq!(case.sent(), 0, "{says:?}");
        let reply = case.reply(token);
        assert!(
            !reply.ok && reply.text.contains("nothing was sent") && reply.text.contains(held),
            "{}",
            reply.text
        );
    }
}

#[test]
fn an_answer_that_is_not_understood_is_unclear_and_never_asked_again() {
    for says in [
        Say::Fail(world::silence()),
        Say::Fail(Failure::Broken("the connection was closed".into())),
        Say::Body(503, b"busy".to_vec()),
        Say::Body(429, b"".to_vec()),
        Say::Body(302, b"".to_vec()),
        Say::text("<html>"),
        Say::text(""),
        Say::text("errorCode=-14&errorMessage=An unknown error"),
        Say::text("errorCode=-777&errorMessage=x"),
    ] {
        let mut case = Case::new();
        case.world.say(REPLACE, [says.clone()]);
        let token = case.reissue();
        case.world.pass(10 * DAY);
        assert_eq!((case.sent(), case.stage().as_str()), (1, "unclear"), "{says:?}");
        assert!(!case.reply(token).ok, "{says:?}");
        let token = case.reissue();
        assert!(case.reply(token).text.contains("--again"), "{}", case.reply(token).text);
        case.world.pass(DAY);
        assert_eq!(case.sent(), 1, "{says:?}");
    }
}

#[test]
fn a_warning_of_the_end_does_not_ask_for_a_second_one() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::Fail(world::silence())]);
    case.reissue();
    let before = case.world.notes.len();
    case.world.pass(9 * DAY);
    assert_eq!(case.stage(), "unclear");
    let warned = case.world.notes[before..].iter().filter(|note| note.kind == NoteKind::Expiring);
    let texts: Vec<String> = warned.map(|note| note.text.clone()).collect();
    assert!(!texts.is_empty());
    for text in texts {
        assert!(text.ends_with("its re-issue is not over: see `certcollectd explain www`"), "{text}");
    }
}

#[test]
fn polls_show_that_an_unclear_one_was_made() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::Fail(world::silence())]);
    case.reissue();
    case.world.pass(HOUR);
    assert_eq!(case.stage(), "unclear");
    case.world.say("www", [Say::text("errorCode=0")]);
    case.world.pass(DAY);
    assert_eq!(case.stage(), "open");
    assert_eq!(case.world.account_row("main")["reissues"]["in_vain"], serde_json::Value::Null);
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    case.world.pass(DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "closed"));
}

#[test]
fn the_operators_word_asks_once_more_with_another_token() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::Fail(world::silence()), Say::text("errorCode=0")]);
    case.reissue();
    case.world.pass(DAY);
    let first = case.world.record("www")["reissue"]["unique"].clone();
    let token = case.reissue_with(|command| command.again = true);
    case.world.pass(HOUR);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    assert_eq!((case.sent(), case.stage().as_str()), (2, "open"));
    assert_ne!(case.world.record("www")["reissue"]["unique"], first, "a token is good for one call");
}

#[test]
fn a_refusal_is_told_and_not_repeated() {
    for code in [-10, -15, -26, -40] {
        let mut case = Case::new();
        case.world.say(REPLACE, [Say::text(&format!("errorCode={code}&errorMessage=no"))]);
        let token = case.reissue();
        case.world.pass(3 * DAY);
        assert_eq!((case.sent(), case.stage().as_str()), (1, "refused"), "{code}");
        assert!(case.reply(token).text.contains("refused"), "{}", case.reply(token).text);
        assert_eq!(case.world.record("www")["reissue"]["code"], code);
    }
}

#[test]
fn a_refused_login_closes_the_account() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::text("errorCode=-16&errorMessage=no")]);
    case.reissue();
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "refused"));
    assert!(case.world.account_row("main")["closed"].is_object());
}

#[test]
fn an_intent_without_its_answer_is_unclear_after_a_restart() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    case.world.surveys.insert("www".into(), vec![seen()]);
    case.reissue();
    // Nobody hears the answer.
    case.pass_to_the_call();
    assert_eq!(case.stage(), "intended", "saved before the call");
    let before = case.sent();
    case.world.restart();
    case.world.pass(5 * DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (before, "unclear"));
}

#[test]
fn what_cannot_be_saved_is_not_sent() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    case.world.surveys.insert("www".into(), vec![seen()]);
    case.world.failing_saves = 50;
    case.world.pass(HOUR);
    assert_eq!(case.sent(), 0);
    assert_ne!(case.stage(), "unclear");
    case.world.failing_saves = 0;
    case.world.pass(DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
}

#[test]
fn what_comes_back_must_be_what_was_asked_for() {
    let other = KeyPair::generate().unwrap();
    let check = |says: fn(&KeyPair, &KeyPair) -> Say, why: &str| {
        let mut case = Case::new();
        case.reissue();
        case.world.pass(HOUR);
        assert_eq!(case.stage(), "open");
        let before = case.world.seen("www");
        case.world.say("www", [says(&case.key, &other)]);
        case.world.pass(DAY);
        assert_eq!(case.world.phase("www"), "quarantined", "{why}");
        assert_eq!(case.world.seen("www"), before);
        let reason = case.world.record("www")["reason"].to_string();
        assert!(reason.contains(why), "{reason}");
    };
    check(|_, other| leaf(other, NAMES, 0, 90), "not that of the re-issue");
    check(|key, _| leaf(key, &["shop.example.org"], 0, 90), "does not cover www.example.com");
    check(|key, _| leaf(key, NAMES, 0, 10), "no later than the installed one");
}

/// Each state that was ever written, as a backup that is restored while the vendor is further.
#[test]
fn no_old_state_asks_a_second_time() {
    let mut case = Case::new();
    let mut kept = vec![case.world.rows.clone()];
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    kept.push(case.world.rows.clone());
    case.world.surveys.insert("www".into(), vec![seen()]);
    case.world.say("www", [case.installed.clone(), Say::text("errorCode=0")]);
    for _ in 0..300 {
        case.world.pass(SECOND);
        kept.push(case.world.rows.clone());
    }
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
    kept.dedup_by(|one, other| one.orders == other.orders);
    let stages: Vec<bool> = ["preparing", "intended", "open"]
        .map(|stage| kept.iter().any(|rows| rows.orders["www"].1.contains(stage)))
        .into();
    assert_eq!(stages, [true, false, true], "an intent and its answer come within one second here");
    let intended = {
        let mut rows =
            kept.iter().rfind(|rows| rows.orders["www"].1.contains("\"preparing\"")).unwrap().clone();
        let row = &mut rows.orders.get_mut("www").unwrap().1;
        *row = row.replace("\"preparing\"", "\"intended\"");
        rows
    };
    kept.push(intended);
    for rows in kept {
        for is_made in [false, true] {
            let what = rows.orders["www"].1.clone();
            let from = (case.world.now.unix() - START) / 86_400;
            let says = if is_made { leaf(&case.key, NAMES, from, 90) } else { Say::text("errorCode=0") };
            case.world.rows = rows.clone();
            case.world.say("www", [says]);
            case.world.restart();
            case.world.command(Command::Poll("www".into()));
            case.world.pass(HOUR);
            assert_eq!(case.sent(), 1, "{is_made} {what}");
            case.reissue();
            case.world.pass(HOUR);
            case.reissue_with(|command| command.again = true);
            case.world.pass(HOUR);
            assert_eq!(case.sent(), 1, "{is_made} {what}");
        }
    }
}

#[test]
fn a_push_notification_wakes_the_poll_that_an_open_one_waits_for() {
    let mut case = Case::new();
    case.reissue();
    case.world.pass(HOUR);
    assert_eq!(case.stage(), "open");
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    let hint = certcollectd_core::api::push::Hint {
        numbers: vec!["www".into()],
        why: "issued".into(),
        ..Default::default()
    };
    case.world.handle(Event::Hinted { hint });
    case.world.pass(60 * SECOND);
    assert_eq!(case.stage(), "closed");
}

#[test]
fn an_order_that_leaves_the_configuration_answers_who_waits() {
    let mut case = Case::new();
    case.world.say("www", [Say::Fail(world::silence())]);
    let token = case.reissue();
    let mut config = (*case.world.config).clone();
    let mut other = config.orders[0].clone();
    other.name = "other".into();
    other.handle = certcollectd_core::api::OrderRef::OrderNumber("other".into());
    config.orders = vec![other];
    case.world.reload(config);
    case.world.pass(DAY);
    assert!(!case.reply(token).ok);
    assert_eq!(case.sent(), 0);
}

#[test]
fn a_process_that_ends_when_nothing_is_due_asks_first() {
    let mut case = Case::new();
    let start = case.world.now;
    case.reissue();
    let polls = case.world.calls.len();
    while case.world.calls.len() == polls {
        case.world.pass(SECOND);
    }
    assert_eq!(case.sent(), 0, "the call waits for its gap");
    assert!(case.world.engine.is_occupied(start));
    case.world.pass(20 * SECOND);
    assert_eq!(case.sent(), 1);
    assert!(!case.world.engine.is_occupied(start));
}

/// What people and machines see at each stage: the metric, the exit code of `--nagios`, and what `explain` says.
#[test]
fn each_stage_is_seen_everywhere() {
    use certcollectd::status::{Explanation, Exposition, Screen, Status, Verdict, verdict};
    let look = |case: &Case| {
        let (loaded, now) = (case.world.load(), case.world.now);
        let status = Status::new(&case.world.config, &loaded, now);
        let metrics = status.metrics(Exposition::Text);
        let series = metrics.lines().filter(|line| line.starts_with("certcollectd_reissue_stage"));
        let series: Vec<String> = series.map(str::to_owned).collect();
        let explained = Explanation::new(&case.world.config, &loaded, "www", Vec::new(), now).unwrap().text();
        let json = serde_json::to_value(&status).unwrap()["orders"][0]["reissue"].clone();
        (series, verdict(&status), explained, json)
    };
    let stage =
        |stage: &str| vec![format!("certcollectd_reissue_stage{{order=\"www\",stage=\"{stage}\"}} 1")];
    // Who must see to it that the certificate is issued anew in time.
    let next = |case: &Case| {
        let ahead =
            certcollectd_core::forecast::forecast(&case.world.config, &case.world.load(), case.world.now);
        let is_needed = |what: &str| what.starts_with("its pending") || what.starts_with("have it");
        let event = ahead.orders[0].events.iter().find(|event| is_needed(&event.what)).unwrap();
        event.who.as_str()
    };
    let details = |case: &Case| {
        let status = Status::new(&case.world.config, &case.world.load(), case.world.now);
        status.details(&Screen::default())
    };
    let mut case = Case::new();
    let (series, _, _, json) = look(&case);
    assert!(series.is_empty() && json.is_null());
    assert_eq!(next(&case), "you");
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    case.world.pass(SECOND);
    let (series, _, explained, json) = look(&case);
    assert_eq!(series, stage("preparing"));
    assert_eq!(next(&case), "certcollectd");
    assert!(details(&case).contains("\nre-issue      waits for its proof, since "), "{}", details(&case));
    assert_eq!(json["stage"], "preparing");
    let record = json["records"][0].clone();
    let line = format!("{}. CNAME {}.", record[0].as_str().unwrap(), record[1].as_str().unwrap());
    assert!(explained.contains(&line), "{explained}");
    case.world.surveys.insert("www".into(), vec![seen()]);
    case.world.say(REPLACE, [Say::text("errorCode=-14&errorMessage=An unknown error")]);
    case.world.pass(HOUR);
    let (series, (verdict, line), explained, json) = look(&case);
    assert_eq!(series, stage("unclear"));
    assert_eq!(next(&case), "vendor", "nobody should ask once more");
    assert!(
        details(&case).contains("\nre-issue      unclear whether it was made, since "),
        "{}",
        details(&case)
    );
    assert_eq!((verdict, &json["code"]), (Verdict::Warning, &(-14).into()));
    assert!(line.contains("it is unclear whether that was done"), "{line}");
    assert!(explained.contains("-14") && explained.contains("--again"), "{explained}");
    case.world.say("www", [Say::text("errorCode=0")]);
    case.world.pass(DAY);
    assert_eq!(look(&case).0, stage("open"));
}

#[test]
fn what_is_being_prepared_can_be_withdrawn() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue();
    let token = case.world.command(Command::WithdrawReissue("www".into()));
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    case.world.surveys.insert("www".into(), vec![seen()]);
    case.world.pass(2 * DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (0, "closed"));
    assert_eq!(case.ran(HookEvent::DcvRemove), 1);
    // What was sent cannot be taken back.
    case.reissue();
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
    let token = case.world.command(Command::WithdrawReissue("www".into()));
    assert!(!case.reply(token).ok && case.stage() == "open", "{}", case.reply(token).text);
}

#[test]
fn what_is_withdrawn_leaves_the_unclear_one_before_it() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::Fail(world::silence())]);
    case.reissue();
    case.world.pass(HOUR);
    case.world.surveys.insert("www".into(), vec![missing()]);
    case.reissue_with(|command| command.again = true);
    assert_eq!(case.stage(), "preparing");
    let token = case.world.command(Command::WithdrawReissue("www".into()));
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "unclear"));
}

#[test]
fn another_unique_value_of_the_vendor_is_told() {
    for (answer, told) in [
        ("errorCode=0&certificateID=77&uniqueValue=Other1", Some("unique value Other1")),
        ("errorCode=0&certificateID=77&uniqueValue=abc123", None),
        ("errorCode=0&certificateID=77", None),
    ] {
        let mut case = Case::new();
        case.world.say(REPLACE, [Say::text(answer)]);
        case.reissue_with(|command| command.unique = Some("ABC123".into()));
        case.world.pass(HOUR);
        let said = case.world.record("www")["reissue"]["said"].to_string();
        assert!(said.contains("as certificate 77"), "{said}");
        assert_eq!(said.contains("it looks for"), told.is_some(), "{said}");
        assert!(told.is_none_or(|told| said.contains(told)), "{said}");
    }
}

#[test]
fn a_refused_one_is_over_once_another_certificate_is_in_place() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::text("errorCode=-15&errorMessage=no")]);
    case.reissue();
    case.world.pass(DAY);
    assert_eq!(case.stage(), "refused");
    let alarms = |case: &Case| case.world.record("www")["alarms"].to_string();
    assert!(alarms(&case).contains("reissue-refused"));
    // By somebody at the vendor's web site.
    case.world.say("www", [leaf(&case.key, NAMES, 1, 90)]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    assert_eq!(case.stage(), "closed");
    assert!(!alarms(&case).contains("reissue-refused"), "{}", alarms(&case));
    assert!(case.world.record("www")["reissue"]["sent"].is_null(), "it was not made by that request");
    assert_eq!(case.ran(HookEvent::DcvRemove), 1, "what was published for it goes");
}
