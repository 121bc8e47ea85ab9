//! What an entry adds to its calls.

use certcollectd_core::api::{Product, Request, Response};
use certcollectd_core::config::Account;
use certcollectd_core::engine::command::{Command, Target};

use crate::world::{self, HOUR, Say, World};

/// Name and value of what went along with the last call, without what each such call has.
fn along(world: &World) -> Vec<String> {
    let request = world.request.as_ref().unwrap();
    let own = |name: &str| Request::is_own(name);
    let more = request.fields.iter().filter(|(name, _)| !own(name));
    more.map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn parameters_of_the_operator_go_with_the_call_that_collects_and_with_no_other() {
    let pairs = |text: &str| {
        text.split_whitespace()
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    };
    for (product, of_order, of_account, expected) in [
        (Product::Ssl, "", "behaviourVersion=1", &["behaviourVersion=1"][..]),
        (Product::Ssl, "behaviourversion=2", "behaviourVersion=1 x=3", &["behaviourversion=2", "x=3"]),
        (Product::Mark, "", "behaviourVersion=1", &[]),
        (Product::Mark, "responseMimeType=application/zip", "x=1", &["responseMimeType=application/zip"]),
        (Product::Smime, "x=1", "", &["x=1"]),
    ] {
        let mut config = world::config(&["www"]);
        world::change(&mut config.orders[0], |settings| {
            settings.product = product;
            settings.params = pairs(of_order);
        });
        let account = (*config.accounts[0]).clone();
        config.accounts[0] = Account { params: pairs(of_account), ..account }.into();
        let mut world = World::new(config);
        world.say("www", [Say::text("0")]);
        world.pass(HOUR);
        assert_eq!(along(&world), expected, "{of_order} {of_account}");
        if product == Product::Ssl {
            world.command(Command::Domains(Target::Order("www".into())));
            world.pass(HOUR);
            assert_eq!(world.request.as_ref().unwrap().fields.len(), 3, "{:?}", world.request);
        }
    }
}

#[test]
fn an_order_can_be_asked_for_in_a_form_of_its_own() {
    let form = |order: Option<&str>, account: Option<&str>| {
        let word = |word: Option<&str>| Response::from_word(word?);
        let mut config = world::config(&["www"]);
        world::change(&mut config.orders[0], |settings| settings.response = word(order));
        let of_main = (*config.accounts[0]).clone();
        config.accounts[0] = Account { response: word(account), ..of_main }.into();
        let mut world = World::new(config);
        world.pass(HOUR);
        let fields = world.request.as_ref().unwrap().fields.clone();
        fields.into_iter().find(|(name, _)| name == "responseType").unwrap().1
    };
    assert_eq!(form(None, None), "3");
    assert_eq!(form(None, Some("zip")), "0");
    assert_eq!(form(Some("pkcs7"), Some("zip")), "2");
}
