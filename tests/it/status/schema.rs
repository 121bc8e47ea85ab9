use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use certcollectd::status::{Status, schema};
use certcollectd_core::config::Config;
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::vitals::Vitals;
use rcgen::KeyPair;
use serde_json::Value;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/status.schema.json");

static SCHEMA: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("status.json", serde_json::from_str(&schema()).unwrap()).unwrap();
    let index = compiler.compile("status.json", &mut schemas).unwrap();
    (schemas, index)
});

fn check(status: &Value) -> Result<(), String> {
    let (schemas, index) = &*SCHEMA;
    schemas.validate(status, *index).map_err(|error| format!("{error:#}"))
}

/// Asserts that what `status --json` said is what its schema promises.
pub fn keeps(status: &Value) {
    assert_eq!(check(status), Ok(()), "{status:#}");
}

fn said(world: &World) -> Value {
    serde_json::from_str(&Status::new(&world.config, &world.load(), world.now).json()).unwrap()
}

#[test]
fn the_schema_is_made_from_the_code() {
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(FILE, schema()).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(file == schema(), "write it anew with\n  REGENERATE=1 cargo test --test it status::schema");
}

#[test]
fn each_key_is_described() {
    fn look(schema: &Value, path: &str, all: &mut usize) {
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let about = inner["description"].as_str().unwrap_or_default();
            assert!(about.len() > 3 && !about.ends_with('.'), "{path}/{name}: {about}");
            *all += 1;
            look(inner, &format!("{path}/{name}"), all);
        }
        look_inside(schema, path, all);
    }
    fn look_inside(schema: &Value, path: &str, all: &mut usize) {
        let inner = schema["anyOf"].as_array().into_iter().flatten().chain(schema.get("items"));
        inner.for_each(|inner| look(inner, path, all));
    }
    let mut all = 0;
    look(&serde_json::from_str(&schema()).unwrap(), "", &mut all);
    assert!(all > 60, "{all}");
}

#[test]
fn it_takes_what_is_said_of_orders_in_every_state() {
    let mut config = world::config(&["fine", "hook", "slow", "odd", "new", "unpaid"]);
    config.hooks.push(world::hook("reload"));
    world::change(&mut config.orders[1], |settings| settings.hooks.push("reload".into()));
    let mut world = World::new(config);
    keeps(&said(&world));
    let issued = |days: i64, more: &str| {
        let (begin, end) = (START - (90 - days) * 86_400, START + days * 86_400);
        let leaf = certs::leaf(&KeyPair::generate().unwrap(), &["www.example.com"], begin, end);
        Say::Body(200, [certs::issued(&leaf), more.as_bytes().to_vec()].concat())
    };
    world.say("fine", [issued(60, "&productTermEndDate=1800000000")]);
    world.say("hook", [issued(8, "")]);
    world.say("slow", [Say::text("errorCode=0&dcvStatus=2&fqdn=other.example.net")]);
    world.say("odd", [Say::text("errorCode=-20&errorMessage=Rejected")]);
    world.say("unpaid", [Say::text("errorCode=-22")]);
    world.hook_results.insert("reload".into(), vec![HookResult::failed("exit code 1")]);
    world.pass(HOUR);
    let status = said(&world);
    keeps(&status);
    assert_eq!(status["orders"][1]["hooks"][0]["state"], "failing", "{status:#}");
    world.pass(10 * DAY);
    keeps(&said(&world));
    // Without its entry it is installed all the same.
    let mut config = world::config(&["slow"]);
    config.accounts = world.config.accounts.clone();
    world.reload(config);
    world.pass(HOUR);
    let status = said(&world);
    keeps(&status);
    assert_eq!(status["absent"].as_array().unwrap().len(), 2, "{status:#}");
    world.say("slow", [Say::text("errorCode=-16&errorMessage=Incorrect+login+details")]);
    world.pass(10 * DAY);
    let status = said(&world);
    keeps(&status);
    assert_eq!(status["accounts"][0]["state"], "closed", "{status:#}");
    let nothing = World::new(Config { orders: Vec::new(), ..world::config(&[]) });
    let vitals = Vitals { failed_saves: 1, ..Vitals::default() };
    let status = Status::new(&nothing.config, &nothing.load(), nothing.now).with(&vitals);
    keeps(&serde_json::from_str(&status.json()).unwrap());
}

#[test]
fn it_refuses_what_is_not_promised() {
    let world = World::new(world::config(&["www"]));
    let changes: [fn(&mut Value); 4] = [
        |status| status["extra"] = 1.into(),
        |status| _ = status["orders"][0].as_object_mut().unwrap().remove("since"),
        |status| status["orders"][0]["phase"] = "happy".into(),
        |status| status["at"] = "yesterday".into(),
    ];
    for change in changes {
        let mut status = said(&world);
        change(&mut status);
        assert!(check(&status).is_err(), "{status:#}");
    }
}
