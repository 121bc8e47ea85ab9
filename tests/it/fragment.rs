//! `check --fragment FILE`: one included file by itself, as configuration management asks before it puts it in place.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::setting::Setting;

/// A main file that includes `orders.d/*.toml`, with a hook, and `[defaults]` for the key; no orders yet.
fn setting() -> Setting {
    let mut setting = Setting::new();
    setting.table("[[hook]]\nname = \"nginx\"\nrun = [\"true\"]");
    setting.table(
        "[defaults]\nkey_file = \"$DIR/{name}.key\"\nhooks = [\"nginx\"]\n[defaults.verify]\ntrust = \"off\"",
    );
    std::fs::create_dir(setting.path("orders.d")).unwrap();
    write_main(&setting);
    setting
}

fn write_main(setting: &Setting) {
    let text = format!("include = [\"orders.d/*.toml\"]\n{}", setting.configuration());
    setting.write("certcollectd.toml", &text);
}

/// An order that finds its key.
fn order(setting: &Setting, name: &str, number: &str) -> String {
    setting.write(&format!("{name}.key"), &setting.key.serialize_pem());
    format!("[[order]]\nname = \"{name}\"\norder_number = \"{number}\"\n")
}

fn expect(setting: &Setting, file: &Path, code: i32, parts: &[&str]) -> String {
    let (found, said) = setting.call(&["check", "--fragment", file.to_str().unwrap()]);
    assert_eq!(found, code, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    for made in ["state", "out"] {
        assert!(!setting.path(made).exists(), "{made} was made");
    }
    said
}

#[test]
fn names_are_those_of_the_configuration() {
    let setting = setting();
    let new = setting.path("new.toml");
    setting.write("new.toml", &order(&setting, "www", "1"));
    let said = expect(&setting, &new, 0, &["new.toml: 1 order, 0 accounts, 0 hooks: 0 errors, 0 warnings"]);
    assert!(!said.contains("in place of") && !said.contains("alone"), "{said}");
    setting.write(
        "new.toml",
        &format!("{}account = \"mian\"\nhooks = [\"ngin\"]\n", order(&setting, "www", "1")),
    );
    expect(
        &setting,
        &new,
        2,
        &["new.toml:4:11", "did you mean \"main\"?", "new.toml:5:10", "did you mean \"nginx\"?", "2 errors"],
    );
    setting.write("new.toml", "[polling]\ninterval = \"3h\"\n");
    expect(&setting, &new, 2, &["`polling` in an included file"]);
    setting.write("new.toml", "");
    expect(&setting, &new, 0, &["an included file is empty", "1 warning"]);
    // What [defaults] makes of it is looked at on this machine.
    setting.write("new.toml", "[[order]]\nname = \"mail\"\norder_number = \"2\"\n");
    expect(&setting, &new, 2, &["order mail: key_file", "mail.key"]);
}

#[test]
fn alone_it_may_name_what_is_elsewhere() {
    let setting = setting();
    std::fs::remove_file(setting.path("certcollectd.toml")).unwrap();
    let new = setting.path("new.toml");
    let text = "[[order]]\nname = \"www\"\norder_number = \"1\"\naccount = \"main\"\nhooks = [\"b\", \"a\"]\n\
        [order.files]\nkey = \"key.pem\"\n[[hook]]\nname = \"a\"\nrun = [\"/no/such/program\"]\n";
    setting.write("new.toml", text);
    let said = expect(
        &setting,
        &new,
        0,
        &[
            "checked alone",
            "there is no ",
            "certcollectd.toml",
            "not known here: account \"main\", hook \"b\"\n",
        ],
    );
    assert!(said.contains("1 order, 0 accounts, 1 hook: 0 errors, 0 warnings"), "{said}");
    setting.write(
        "new.toml",
        &format!("{text}[[order]]\nname = \"ww\"\norder_number = \"1\"\naccount = \"main\"\nx = 1\n"),
    );
    expect(
        &setting,
        &new,
        2,
        &["`www` and `ww` are the same order", "unknown key `x` in [[order]]", "2 errors"],
    );
}

#[test]
fn what_is_included_already_counts_once() {
    let setting = setting();
    let www = order(&setting, "www", "1");
    setting.write("orders.d/www.toml", &www);
    setting.write("orders.d/mail.toml", &order(&setting, "mail", "2"));
    // By its own path, and by another.
    let included = setting.path("orders.d/www.toml");
    let said = expect(&setting, &included, 0, &["www.toml: 1 order,"]);
    assert!(!said.contains("in place of"), "{said}");
    symlink(setting.path("orders.d"), setting.path("link.d")).unwrap();
    expect(&setting, &setting.path("link.d/www.toml"), 0, &["1 order,"]);
    symlink(&included, setting.path("another.toml")).unwrap();
    expect(&setting, &setting.path("another.toml"), 0, &["1 order,"]);
    // Its next version, under a name for the moment: the same, with one more order, and renamed.
    let new = setting.path("tmp1234");
    for text in [www.clone(), format!("{www}{}", order(&setting, "shop", "3")), order(&setting, "web", "1")] {
        setting.write("tmp1234", &text);
        expect(&setting, &new, 0, &["counted in place of ", "orders.d/www.toml"]);
    }
    // What another file has as well is there twice.
    setting.write("tmp1234", &format!("{www}{}", order(&setting, "post", "2")));
    expect(&setting, &new, 2, &["`mail` and `post` are the same order", "tmp1234:6:16", "mail.toml:3:16"]);
    setting.write("orders.d/www.toml", &format!("{www}{}", order(&setting, "mail", "2")));
    expect(&setting, &included, 2, &["two orders with the name `mail`"]);
    // The copy of a file in the main file is none.
    let mut setting = setting;
    setting.table(&order(&setting, "old", "9"));
    write_main(&setting);
    setting.write("tmp1234", &order(&setting, "old", "10"));
    expect(&setting, &new, 2, &["two orders with the name `old`"]);
}

#[test]
fn only_its_own_mistakes_count() {
    let setting = setting();
    let new = setting.path("new.toml");
    setting.write("new.toml", &order(&setting, "www", "1"));
    setting.write("orders.d/broken.toml", "[[order]]\nname = \"bad name\"\norder_numbr = \"7\"\n= = =\n");
    let said = expect(&setting, &new, 0, &["other files have ", "0 errors, 0 warnings"]);
    assert!(!said.contains("broken.toml"), "{said}");
    // More of them than are shown.
    let many: String = (0..150).map(|_| "[[order]]\nname = \"\"\norder_number = \"\"\n").collect();
    setting.write("orders.d/broken.toml", &many);
    expect(&setting, &new, 0, &["other files have "]);
    setting.write("new.toml", &format!("{}nonsense = 1\n", order(&setting, "www", "1")));
    expect(&setting, &new, 2, &["new.toml:4:1", "unknown key `nonsense`", "1 error,"]);
}

#[test]
fn what_others_need_of_it_is_missed() {
    let setting = setting();
    let hook = "[[hook]]\nname = \"haproxy\"\nrun = [\"true\"]\n";
    let user = format!("{}hooks = [\"haproxy\"]\n", order(&setting, "www", "1"));
    setting.write("orders.d/hooks.toml", &format!("{hook}{}", order(&setting, "mail", "2")));
    setting.write("orders.d/www.toml", &user);
    expect(&setting, &setting.path("orders.d/hooks.toml"), 0, &["1 order, 0 accounts, 1 hook: 0 errors"]);
    setting.write("new.toml", &order(&setting, "mail", "2"));
    expect(
        &setting,
        &setting.path("new.toml"),
        2,
        &["there is no hook with the name \"haproxy\"", "orders.d/www.toml:4:10"],
    );
}

#[test]
fn what_is_no_fragment() {
    let setting = setting();
    expect(
        &setting,
        &setting.path("certcollectd.toml"),
        2,
        &["this is the main file; check it without --fragment"],
    );
    expect(&setting, &setting.path("nowhere.toml"), 2, &["nowhere.toml: "]);
    let (code, said) = setting.call(&["check", "--login", "--fragment", "x"]);
    assert!(code == 2 && said.contains("cannot be used with"), "{said}");
}
