//! What speaks against a re-issue, and what a dry run says of it.

use super::*;

#[test]
fn each_rule_stops_it() {
    let mut case = Case::new();
    case.world.requests.insert("www".into(), Ok(request(&case.key, &["shop.example.org"])));
    let token = case.reissue();
    case.stops(token, "shop.example.org");

    let mut case = Case::with(|config| {
        world::change(&mut config.orders[0], |settings| {
            settings.product = certcollectd_core::api::Product::Mark
        });
    });
    let token = case.reissue_with(|command| command.dcv = Some(Dcv::Reuse));
    let reply = case.reply(token);
    assert!(!reply.ok && reply.text.contains("product mark"), "{}", reply.text);

    let mut case = Case::new();
    case.world.pass(Duration::ZERO);
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    case.world.pass(12 * HOUR);
    case.world.command(Command::Poll("www".into()));
    let token = case.reissue();
    case.stops(token, "younger than 24 hours");

    let mut case = Case::with(|config| config.reissues.per_day = 0);
    let token = case.reissue();
    case.stops(token, "per_day");

    let mut case = Case::new();
    case.world.say("www", [Say::text("errorCode=-16&errorMessage=no")]);
    let token = case.reissue();
    case.world.pass(HOUR);
    case.stops(token, "closed");
    let token = case.reissue();
    case.stops(token, "closed");

    let mut case = Case::new();
    case.world.say("www", [leaf(&case.key, NAMES, -80, 400)]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    let token = case.reissue();
    case.stops(token, "fewer than 7");
}

#[test]
fn a_key_that_is_no_candidate_is_found_before_anything_is_sent() {
    let mut case = Case::with(|config| {
        config.orders[0].key = KeySource::Keys(Box::new(["/www.key".into()]));
    });
    let candidate = |key: &KeyPair| KeyCandidate {
        label: "/www.key".into(),
        key: cert::key::from_private_key_pem(key.serialize_pem().as_bytes())
            .map_err(|error| error.to_string()),
    };
    let other = KeyPair::generate().unwrap();
    case.world.keys.insert("www".into(), vec![candidate(&other)]);
    let token = case.reissue();
    case.stops(token, "none of the keys in key_file");
    case.world.keys.insert("www".into(), vec![candidate(&case.key)]);
    let token = case.reissue();
    case.world.pass(HOUR);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
}

#[test]
fn two_in_vain_stop_the_account_until_the_operators_word() {
    let mut case = Case::with(|config| {
        let mut other = config.orders[0].clone();
        other.name = "b".into();
        other.handle = certcollectd_core::api::OrderRef::OrderNumber("b".into());
        config.orders.push(other);
    });
    case.world.say(REPLACE, [Say::text("errorCode=-15&errorMessage=no")]);
    for again in [false, true] {
        case.reissue_with(|command| command.again = again);
        case.world.pass(DAY);
    }
    assert_eq!(case.sent(), 2);
    let token = case.reissue_with(|command| command.again = true);
    assert!(case.reply(token).text.contains("resume --reissues"), "{}", case.reply(token).text);
    case.world.restart();
    let token = case.reissue_with(|command| command.again = true);
    assert!(
        case.reply(token).text.contains("resume --reissues"),
        "over restarts: {}",
        case.reply(token).text
    );
    let token = case.world.command(Command::ResumeReissues(None));
    assert!(case.reply(token).ok);
    case.world.say(REPLACE, [Say::text("errorCode=0")]);
    let token = case.reissue_with(|command| command.again = true);
    case.world.pass(HOUR);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
}

#[test]
fn a_dry_run_shows_everything_and_changes_nothing() {
    let mut case = Case::new();
    let rows = case.world.rows.orders["www"].1.clone();
    let token = case.reissue_with(|command| command.dry_run = true);
    let reply = case.reply(token).clone();
    assert!(reply.ok, "{}", reply.text);
    for part in ["orderNumber", "uniqueValue", "CNAME", "days later", "younger than 24 hours"] {
        assert!(reply.text.contains(part), "{part}: {}", reply.text);
    }
    assert!(!reply.text.contains("login\n") && !reply.text.contains("loginPassword"));
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.ran(HookEvent::DcvPublish)), (0, 0));
    assert_eq!(case.world.rows.orders["www"].1, rows);
    // What it showed is what is sent.
    let unique = reply.data["fields"]["uniqueValue"].as_str().unwrap().to_owned();
    case.reissue();
    case.world.pass(HOUR);
    let request = case.world.request.clone().unwrap();
    assert!(request.fields.iter().any(|(name, value)| name == "uniqueValue" && *value == unique));
}

#[test]
fn a_dry_run_says_that_the_proof_is_missing() {
    let mut case = Case::new();
    case.world.surveys.insert("www".into(), vec![missing()]);
    let token = case.reissue_with(|command| command.dry_run = true);
    assert!(case.reply(token).waits_for_proof(), "{:?}", case.reply(token));
}

#[test]
fn the_budget_holds_whatever_the_clock_shows() {
    let mut case = Case::with(|config| config.reissues.per_day = 1);
    case.world.say(REPLACE, [Say::text("errorCode=-15&errorMessage=no"), Say::text("errorCode=0")]);
    case.reissue();
    case.world.pass(HOUR);
    assert_eq!(case.sent(), 1);
    // A clock that is set back puts the call into the future; it counts all the same.
    case.world.now.wall -= 48 * 3600 * 1000;
    case.world.handle(Event::Woke);
    let token = case.reissue_with(|command| command.again = true);
    assert!(case.reply(token).text.contains("per_day"), "{}", case.reply(token).text);
    case.world.now.wall += 48 * 3600 * 1000;
    case.world.pass(DAY);
    case.reissue_with(|command| command.again = true);
    case.world.pass(HOUR);
    assert_eq!(case.sent(), 2);
}

#[test]
fn a_request_with_several_names_sends_the_installed_list() {
    let names = ["www.example.com", "example.com", "shop.example.com"];
    let mut case = Case::new();
    case.world.say("www", [leaf(&case.key, &names, -79, 90)]);
    case.world.command(Command::Poll("www".into()));
    case.world.pass(HOUR);
    case.world.requests.insert("www".into(), Ok(request(&case.key, &["www.example.com"])));
    let token = case.reissue();
    case.world.pass(HOUR);
    assert!(case.reply(token).ok, "{}", case.reply(token).text);
    let fields = case.world.request.clone().unwrap().fields;
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("domainNames"), Some("www.example.com,example.com,shop.example.com"));
    assert_eq!(field("primaryDomainName"), Some("www.example.com"));
}

#[test]
fn a_request_that_the_vendor_would_not_take_is_not_sent() {
    let mut case = Case::new();
    let check = |case: &mut Case, bytes: Result<Vec<u8>, String>, why: &str| {
        case.world.requests.insert("www".into(), bytes);
        let token = case.reissue();
        case.stops(token, why);
        assert_eq!(case.stage(), "none");
    };
    check(&mut case, Err("/www.csr: it does not exist".into()), "/www.csr: it does not exist");
    check(&mut case, Ok(b"-----BEGIN NONSENSE".to_vec()), "cannot be used");
    let good = request(&case.key, NAMES);
    let mut altered = good.clone();
    let at = altered.windows(3).position(|bytes| bytes == b"www").unwrap();
    altered[at] = b'v';
    check(&mut case, Ok(altered), "is not signed with its own key, or was changed");
    let pem = |der: &[u8]| {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    };
    check(&mut case, Ok((pem(&good) + &pem(&good)).into_bytes()), "cannot be used");
    let names: Vec<String> = (0..900).map(|at| format!("a-rather-long-name-{at}.www.example.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let long = request(&case.key, &names);
    check(&mut case, Ok(long), "at most 32767");
}
