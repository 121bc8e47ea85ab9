//! `[order.reissue]`, `[reissues]`, and the hooks for proofs.

use std::time::Duration;

use certcollectd_core::config::{
    CsrSource, Dcv, HookEvent, KeySource, Order, ReissueBudget, ReissueSettings,
};
use insta::assert_snapshot;

use super::{ACCOUNT, ORDER, config, said, said_of, said_of_order};

const DNS: &str =
    "\n[[hook]]\nname = \"dns\"\non = [\"dcv-publish\", \"dcv-remove\"]\nrun = [\"/usr/local/sbin/dns\"]\n";

/// An order with these keys and tables.
fn order(name: &str, text: &str) -> String {
    let number: String = name.bytes().map(|byte| byte.to_string()).collect();
    format!("\n[[order]]\nname = \"{name}\"\norder_number = \"{number}\"\n{text}")
}

fn reissue<'a>(orders: &'a [Order], name: &str) -> Option<&'a ReissueSettings> {
    orders.iter().find(|order| *order.name == *name).unwrap().settings.reissue.as_ref()
}

#[test]
fn requests_and_proofs_are_read() {
    let orders = [
        order("a", "csr_file = \"/a.csr\"\n[order.reissue]\n"),
        order(
            "b",
            "key_file = \"/b.key\"\ncsr_file = \"/b.csr\"\n[order.reissue]\ndcv = \"http\"\ndcv_hook = \"dns\"\n",
        ),
        order(
            "c",
            "key_file = [\"/c.key\"]\n[order.reissue]\nwhen = \"manual\"\ncsr = \"command\"\n\
             csr_command = [\"/bin/csr\", \"{name}\", \"{{x}}\"]\ncsr_timeout = \"5m\"\ndcv = \"reuse\"\n",
        ),
        order("d", "key_file = \"/d.key\"\ncsr_file = \"/d.csr\"\n"),
    ];
    let config = config(&format!("[reissues]\nper_day = 7\n{ACCOUNT}{}{DNS}", orders.concat()));
    let file = |dcv, hook: Option<&str>| ReissueSettings {
        csr: CsrSource::File,
        dcv,
        dcv_hook: hook.map(Into::into),
    };
    assert_eq!(reissue(&config.orders, "a"), Some(&file(None, None)));
    assert_eq!(reissue(&config.orders, "b"), Some(&file(Some(Dcv::Http), Some("dns"))));
    let command = CsrSource::Command {
        argv: ["/bin/csr".into(), "c".into(), "{x}".into()].into(),
        timeout: Duration::from_secs(300),
    };
    let expected = ReissueSettings { csr: command, dcv: Some(Dcv::Reuse), dcv_hook: None };
    assert_eq!(reissue(&config.orders, "c"), Some(&expected));
    assert_eq!(reissue(&config.orders, "d"), None, "absent is never");
    assert_eq!(config.reissues.per_day, 7);
    assert_eq!(ReissueBudget::default().per_day, 20);
    let hook = config.hook("dns").unwrap();
    assert_eq!((&hook.on[..], hook.merge), (&[HookEvent::DcvPublish, HookEvent::DcvRemove][..], false));
    let settings = &config.orders[1].settings;
    assert_eq!(settings.hooks_for(HookEvent::DcvRemove), ["dns".into()]);
    assert_eq!(settings.hooks_for(HookEvent::Installed), []);
}

#[test]
fn a_request_beside_a_key_says_nothing_about_the_key() {
    let text = [
        order("a", "csr_file = \"/a.csr\"\n"),
        order("b", "key_file = \"/b.key\"\ncsr_file = \"/b.csr\"\n"),
        order("c", "key_file = \"/c.key\"\n"),
    ];
    let read = |defaults: &str| -> Vec<(KeySource, Option<String>)> {
        let orders = config(&format!("{defaults}{ACCOUNT}{}", text.concat())).orders;
        let csr = |order: &Order| order.csr_file.as_ref().map(|path| path.display().to_string());
        orders.iter().map(|order| (order.key.clone(), csr(order))).collect()
    };
    let key = |path: &str| KeySource::Keys([path.into()].into());
    let csr = |path: &str| Some(path.to_owned());
    let a = (KeySource::Csr("/a.csr".into()), csr("/a.csr"));
    let b = (key("/b.key"), csr("/b.csr"));
    let both = "[defaults]\nkey_file = \"/{name}.k\"\ncsr_file = \"/{name}.r\"\n";
    assert_eq!(read(both), [a.clone(), b.clone(), (key("/c.key"), csr("/c.r"))]);
    let request = "[defaults]\ncsr_file = \"/{name}.r\"\n";
    assert_eq!(read(request), [a.clone(), b.clone(), (key("/c.key"), csr("/c.r"))]);
    let only_key = "[defaults]\nkey_file = \"/{name}.k\"\n";
    assert_eq!(read(only_key), [a, b, (key("/c.key"), None)]);
}

#[test]
fn a_default_is_used_where_it_can_be() {
    let text = [
        "[defaults.reissue]\ncsr = \"command\"\ncsr_command = [\"csr\", \"{name}\"]\ndcv = \"cname\"\ndcv_hook = \"dns\"\n",
        ACCOUNT,
        &order("key", "key_file = \"/k\"\n"),
        &order("keyless", ""),
        &order("mark", "product = \"mark\"\nkey_file = \"/m\"\n"),
        &order("file", "key_file = \"/k\"\ncsr_file = \"/f.csr\"\n[order.reissue]\ncsr = \"file\"\n"),
        &order("reuse", "key_file = \"/k\"\n[order.reissue]\ndcv = \"reuse\"\n"),
        DNS,
    ];
    let orders = config(&text.concat()).orders;
    let command = |name: &str| CsrSource::Command {
        argv: ["csr".into(), name.into()].into(),
        timeout: CsrSource::TIMEOUT,
    };
    let cname = |csr| ReissueSettings { csr, dcv: Some(Dcv::Cname), dcv_hook: Some("dns".into()) };
    assert_eq!(reissue(&orders, "key"), Some(&cname(command("key"))));
    assert_eq!(reissue(&orders, "keyless"), Some(&cname(CsrSource::File)), "for a request by --csr");
    assert_eq!(reissue(&orders, "mark"), None);
    assert_eq!(reissue(&orders, "file"), Some(&cname(CsrSource::File)));
    let reuse = ReissueSettings { csr: command("reuse"), dcv: Some(Dcv::Reuse), dcv_hook: None };
    assert_eq!(reissue(&orders, "reuse"), Some(&reuse));
}

#[test]
fn what_cannot_be_asked_for() {
    let text = [
        order("a", "[order.reissue]\nwhen = \"calendar\"\ncsr = \"file\"\n"),
        order("b", "product = \"mark\"\ncsr_file = \"/b\"\n[order.reissue]\n"),
        order("c", "[order.reissue]\ncsr = \"command\"\ncsr_command = [\"csr\"]\n"),
        order("d", "key_file = \"/d\"\n[order.reissue]\ncsr = \"command\"\n"),
        order("e", "csr_file = \"/e\"\n[order.reissue]\ncsr_command = [\"csr\"]\ncsr_timeout = \"2h\"\n"),
        order("g", "[order.reissue]\nwhen = \"always\"\n"),
        order(
            "f",
            "key_file = \"/f\"\n[order.reissue]\ncsr = \"command\"\ncsr_command = [\"./csr\", \"{nmae}\"]\n",
        ),
    ];
    assert_snapshot!(said_of_order(&text.concat()), @r#"
    error: `when` is "calendar", which does not exist yet
     --> config.toml:6:8
      |
    6 | when = "calendar"
      |        ^^^^^^^^^^
      |
      = help: use "manual": a re-issue is asked for by `certcollectd reissue`

    error: csr = "file" without `csr_file`
     --> config.toml:7:7
      |
    7 | csr = "file"
      |       ^^^^^^
      |
      = help: name the order's request there, beside its key_file; or use csr = "command"

    error: [order.reissue] with product = "mark"
      --> config.toml:14:1
       |
    14 | [order.reissue]
       | ^^^^^^^^^^^^^^^
       |
       = help: re-issues under one number are for product = "ssl" only

    error: csr = "command" without `key_file`
      --> config.toml:20:7
       |
    20 | csr = "command"
       |       ^^^^^^^^^
       |
       = help: set the order's key_file to where the program keeps the new key, which may be one of a list

    error: csr = "command" without `csr_command`
      --> config.toml:28:7
       |
    28 | csr = "command"
       |       ^^^^^^^^^
       |
       = help: the program and its arguments, one by one: csr_command = ["/usr/local/sbin/new-csr", "{name}"]

    error: `csr_command` without csr = "command"
      --> config.toml:35:1
       |
    35 | csr_command = ["csr"]
       | ^^^^^^^^^^^
       |
       = help: add csr = "command", or remove it

    error: `csr_timeout` without csr = "command"
      --> config.toml:36:1
       |
    36 | csr_timeout = "2h"
       | ^^^^^^^^^^^
       |
       = help: add csr = "command", or remove it

    error: `csr_timeout` is too long: at most 1h
      --> config.toml:36:15
       |
    36 | csr_timeout = "2h"
       |               ^^^^
       |
       = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `when` has an unknown value
      --> config.toml:42:8
       |
    42 | when = "always"
       |        ^^^^^^^^
       |
       = help: one of "manual"

    error: an entry of `csr_command` names a program by a relative path
      --> config.toml:50:16
       |
    50 | csr_command = ["./csr", "{nmae}"]
       |                ^^^^^^^
       |
       = help: the name of a program in PATH, or its absolute path

    error: an entry of `csr_command` has the unknown placeholder "{nmae}"
      --> config.toml:50:25
       |
    50 | csr_command = ["./csr", "{nmae}"]
       |                         ^^^^^^^^
       |
       = help: {name} stands for the order's name; a brace of the path itself is doubled: {{ or }}

    config.toml: 11 errors
    "#);
}

#[test]
fn what_cannot_be_proven() {
    let other = "\n[[hook]]\nname = \"nginx\"\nrun = [\"true\"]\n";
    let half = "\n[[hook]]\nname = \"half\"\non = [\"dcv-publish\"]\nrun = [\"true\"]\n";
    let with = |name: &str, text: &str| order(name, &format!("csr_file = \"/x\"\n[order.reissue]\n{text}"));
    let text = [
        with("a", "dcv_hook = \"dns\"\n"),
        with("b", "dcv = \"reuse\"\ndcv_hook = \"dns\"\n"),
        with("c", "dcv = \"cname\"\ndcv_hook = \"nsd\"\n"),
        with("d", "dcv = \"cname\"\ndcv_hook = \"nginx\"\n"),
        with("e", "dcv = \"cname\"\ndcv_hook = \"half\"\n"),
        with("f", "dcv = \"email\"\ndcv_hook = \"dns\"\n"),
        order("g", "domains = [\"*.example.com\"]\ncsr_file = \"/g\"\n[order.reissue]\ndcv = \"https\"\n"),
        other.to_owned(),
        half.to_owned(),
        DNS.to_owned(),
    ];
    assert_snapshot!(said_of_order(&text.concat()), @r#"
    error: `dcv_hook` without `dcv`
     --> config.toml:7:1
      |
    7 | dcv_hook = "dns"
      | ^^^^^^^^
      |
      = help: add dcv = "cname", "http" or "https", which the hook publishes

    error: `dcv_hook` with dcv = "reuse"
      --> config.toml:15:1
       |
    15 | dcv_hook = "dns"
       | ^^^^^^^^
       |
       = help: nothing is published then; remove it

    error: there is no hook with the name "nsd"
      --> config.toml:23:12
       |
    23 | dcv_hook = "nsd"
       |            ^^^^^
       |
       = help: known: dns, half, nginx

    error: the hook `nginx` does not publish and remove proofs
      --> config.toml:31:12
       |
    31 | dcv_hook = "nginx"
       |            ^^^^^^^
       |
      ::: config.toml:58:8
       |
    58 | name = "nginx"
       |        ------- this hook
       |
       = help: it needs on = ["dcv-publish", "dcv-remove"]

    error: the hook `half` does not publish and remove proofs
      --> config.toml:39:12
       |
    39 | dcv_hook = "half"
       |            ^^^^^^
       |
      ::: config.toml:62:8
       |
    62 | name = "half"
       |        ------ this hook
       |
       = help: it needs on = ["dcv-publish", "dcv-remove"]

    error: `dcv` has an unknown value
      --> config.toml:46:7
       |
    46 | dcv = "email"
       |       ^^^^^^^
       |
       = help: one of "cname", "http", "https", "reuse"

    warning: `dcv` is a file, and a wildcard cannot be proven by one
      --> config.toml:55:7
       |
    55 | dcv = "https"
       |       ^^^^^^^
       |
       = help: use dcv = "cname" for orders with a wildcard

    config.toml: 6 errors, 1 warning
    "#);
}

#[test]
fn a_hook_for_proofs_does_nothing_else() {
    let hook = |name: &str, text: &str| format!("\n[[hook]]\nname = \"{name}\"\n{text}");
    let text = [
        ACCOUNT.to_owned(),
        ORDER.to_owned() + "hooks = [\"f\"]\n",
        hook("a", "on = [\"dcv-publish\", \"installed\"]\nrun = [\"true\"]\n"),
        hook("b", "on = [\"dcv-publish\"]\nmerge = true\nrun = [\"true\"]\n"),
        hook("c", "on = [\"dcv-remove\"]\nsignal = { pid_file = \"/p\", name = \"HUP\" }\n"),
        hook("d", "on = [\"dcv-remove\"]\nsocket = \"/s\"\n"),
        hook("e", "on = [\"dcv-publish\", \"dcv-remove\"]\nfollow = \"web\"\n"),
        hook("f", "on = [\"dcv-publish\", \"dcv-remove\"]\nmerge = false\nrun = [\"true\"]\n"),
    ];
    assert_snapshot!(said(&text.concat()), @r#"
    warning: no order uses the hook `a`
      --> config.toml:13:8
       |
    13 | name = "a"
       |        ^^^
       |
       = help: add dcv_hook = "a" to [order.reissue] of the orders that need it

    error: `on` mixes the proof of a re-issue with other events
      --> config.toml:14:6
       |
    14 | on = ["dcv-publish", "installed"]
       |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: on = ["dcv-publish", "dcv-remove"]; give the other events a hook of their own

    warning: no order uses the hook `b`
      --> config.toml:18:8
       |
    18 | name = "b"
       |        ^^^
       |
       = help: add dcv_hook = "b" to [order.reissue] of the orders that need it

    error: `merge` is true, and each order has a proof of its own
      --> config.toml:20:9
       |
    20 | merge = true
       |         ^^^^
       |
       = help: remove it

    warning: no order uses the hook `c`
      --> config.toml:24:8
       |
    24 | name = "c"
       |        ^^^
       |
       = help: add dcv_hook = "c" to [order.reissue] of the orders that need it

    error: `signal` does not tell what to publish
      --> config.toml:26:10
       |
    26 | signal = { pid_file = "/p", name = "HUP" }
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: use run, whose program is told it in its environment

    warning: no order uses the hook `d`
      --> config.toml:29:8
       |
    29 | name = "d"
       |        ^^^
       |
       = help: add dcv_hook = "d" to [order.reissue] of the orders that need it

    error: `socket` does not tell what to publish
      --> config.toml:31:10
       |
    31 | socket = "/s"
       |          ^^^^
       |
       = help: use run, whose program is told it in its environment

    warning: no order uses the hook `e`
      --> config.toml:34:8
       |
    34 | name = "e"
       |        ^^^
       |
       = help: add dcv_hook = "e" to [order.reissue] of the orders that need it

    error: `on` is about more than installed certificates, and a companion only reloads those
      --> config.toml:35:6
       |
    35 | on = ["dcv-publish", "dcv-remove"]
       |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: on = ["installed"]

    warning: no order uses the hook `f`
      --> config.toml:39:8
       |
    39 | name = "f"
       |        ^^^
       |
       = help: add dcv_hook = "f" to [order.reissue] of the orders that need it

    config.toml: 5 errors, 6 warnings
    "#);
}

#[test]
fn calls_of_a_day() {
    assert_snapshot!(said_of("[reissues]\nper_day = 0\n"), @r"
    error: `per_day` is out of range
     --> config.toml:2:11
      |
    2 | per_day = 0
      |           ^
      |
      = help: a whole number from 1 to 10000, without quotes

    config.toml: 1 error
    ");
    assert_snapshot!(said_of("[reissues]\nper_day = 10001\n"), @r"
    error: `per_day` is out of range
     --> config.toml:2:11
      |
    2 | per_day = 10001
      |           ^^^^^
      |
      = help: a whole number from 1 to 10000, without quotes

    config.toml: 1 error
    ");
    assert_snapshot!(said_of("[reissues]\nper_day = \"9\"\n"), @r#"
    error: `per_day` must be an integer
     --> config.toml:2:11
      |
    2 | per_day = "9"
      |           ^^^ this is text
      |
      = help: a whole number from 1 to 10000, without quotes

    config.toml: 1 error
    "#);
}

#[test]
fn a_request_is_no_place_for_a_copy() {
    let text = order(
        "a",
        "key_file = \"/a.key\"\ncsr_file = \"/a.csr\"\n[[order.copy]]\nfrom = \"combined\"\nto = \"/a.csr\"\n",
    ) + &order("b", "csr_file = \"/etc/ssl/certcollectd/a/b.csr\"\nkey_file = \"/b.key\"\n");
    assert_snapshot!(said_of_order(&text), @r#"
    error: a copy over the csr_file of `a`
     --> config.toml:9:6
      |
    9 | to = "/a.csr"
      |      ^^^^^^^^
      |
      = help: choose another path for the copy; an existing file there is replaced

    error: the csr_file of `b` is among the installed files of `a`
      --> config.toml:12:8
       |
    12 | name = "b"
       |        ^^^
       |
       = help: they are replaced with each new certificate; keep it elsewhere

    config.toml: 2 errors
    "#);
}
