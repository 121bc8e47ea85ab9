//! What proves control: the hooks that publish it and remove it.

use super::*;

#[test]
fn a_hook_that_cannot_publish_is_owed_and_told() {
    let mut case = Case::new();
    case.world.hook_results.insert("dns".into(), vec![failed("exit code 1"), HookResult::Done]);
    let token = case.reissue();
    let reply = case.reply(token);
    assert!(
        reply.waits_for_proof() && reply.text.contains("hook dns: failed: exit code 1"),
        "{}",
        reply.text
    );
    assert!(case.world.surveyed.is_empty(), "what is not published is not looked for");
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"));
    assert_eq!(case.ran(HookEvent::DcvPublish), 2);
}

#[test]
fn the_hook_is_told_what_to_publish_and_the_same_to_remove() {
    let mut case = Case::new();
    case.reissue();
    case.world.pass(20 * SECOND);
    let request = case.world.request.clone().unwrap();
    assert_eq!(request.endpoint, Endpoint::ReplaceSsl);
    case.world.say("www", [leaf(&case.key, NAMES, 0, 90)]);
    case.world.pass(DAY);
    let proofs: Vec<_> =
        case.world.ran.iter().filter(|ran| ran.hook == "dns").map(|ran| &ran.proofs).collect();
    let [publish, remove] = &proofs[..] else { panic!("{proofs:?}") };
    assert_eq!(publish, remove);
    let proof = publish[0].as_ref().unwrap();
    let field = |name: &str| request.fields.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let der = base64::engine::general_purpose::STANDARD.decode(field("csr")).unwrap();
    let token = certcollectd_core::api::dcv::Token::with_unique(&der, &field("uniqueValue"));
    assert_eq!(proof.method, "CNAME_CSR_HASH");
    assert_eq!(proof.records, format!("{} {}", token.record_name("www.example.com"), token.record_target()));
    assert_eq!(proof.file, None);
}

#[test]
fn a_file_is_told_where_files_are_the_proof() {
    let mut case = Case::new();
    case.reissue_with(|command| command.dcv = Some(Dcv::Http));
    let proof = case.world.ran.last().unwrap().proofs[0].clone().unwrap();
    assert_eq!((proof.method, proof.records.as_str()), ("HTTP_CSR_HASH", ""));
    let (name, content) = proof.file.unwrap();
    assert!(name.ends_with(".txt") && content.lines().count() == 3, "{name}: {content}");
}

#[test]
fn a_hook_for_proofs_runs_for_one_order_and_in_no_rehearsal() {
    let mut case = Case::with(|config| {
        let mut shop = world::order("shop");
        shop.settings = config.orders[0].settings.clone();
        shop.csr_file = Some("/shop.csr".into());
        config.orders.push(shop);
        for order in &mut config.orders {
            world::change(order, |settings| settings.hooks = vec!["dns".into()]);
        }
    });
    case.world.say("shop", [leaf(&case.key, NAMES, -80, 90)]);
    case.world.requests.insert("shop".into(), Ok(request(&case.key, NAMES)));
    case.world.pass(60 * SECOND);
    let token = case.world.command(Command::Rehearse("www".into()));
    assert_eq!(case.reply(token).text, "www has no hooks");
    assert!(case.world.ran.is_empty(), "{:#?}", case.world.ran);
    case.reissue();
    case.reissue_with(|command| command.order = "shop".into());
    case.world.pass(60 * SECOND);
    let ran: Vec<_> =
        case.world.ran.iter().filter(|ran| ran.hook == "dns").map(|ran| &ran.orders[..]).collect();
    assert_eq!(ran, [["www"], ["shop"]]);
}

#[test]
fn a_hook_for_proofs_that_is_no_longer_named_is_not_owed() {
    let mut case = Case::new();
    case.world.hook_results.insert("dns".into(), vec![failed("exit code 1")]);
    case.reissue();
    assert_eq!(case.ran(HookEvent::DcvPublish), 1);
    let mut config = (*case.world.config).clone();
    world::change(&mut config.orders[0], |settings| settings.reissue.as_mut().unwrap().dcv_hook = None);
    case.world.reload(config);
    case.world.pass(HOUR);
    assert_eq!(case.ran(HookEvent::DcvPublish), 1, "it is dropped");
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"), "what is seen is enough");
}

#[test]
fn what_was_published_for_the_one_before_is_removed_in_the_end() {
    let mut case = Case::new();
    case.world.say(REPLACE, [Say::Fail(world::silence()), Say::text("errorCode=0")]);
    case.reissue();
    case.world.pass(DAY);
    let published = case.world.record("www")["reissue"]["records"].clone();
    assert!(!published.as_array().unwrap().is_empty());
    case.reissue_with(|command| {
        command.again = true;
        command.dcv = Some(Dcv::Reuse);
    });
    case.world.pass(HOUR);
    assert_eq!((case.sent(), case.stage().as_str()), (2, "open"));
    assert_eq!(case.world.record("www")["reissue"]["records"], published);
    case.world.say("www", [leaf(&case.key, NAMES, 1, 90)]);
    case.world.pass(DAY);
    assert_eq!((case.stage().as_str(), case.ran(HookEvent::DcvRemove)), ("closed", 1));
    // The next one by itself publishes nothing, and removes nothing.
    case.world.pass(70 * DAY);
    case.reissue_with(|command| command.dcv = Some(Dcv::Reuse));
    case.world.pass(HOUR);
    case.world.say("www", [leaf(&case.key, NAMES, 73, 90)]);
    case.world.pass(DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (3, "closed"));
    assert_eq!((case.ran(HookEvent::DcvPublish), case.ran(HookEvent::DcvRemove)), (1, 1));
}
