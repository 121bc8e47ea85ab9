//! `[defaults]`: what an order inherits, what it replaces, and mistakes that are told once.

use certcollectd::config::file::{DEFAULTS_TABLES, Source, TABLES, read};
use certcollectd_core::config::{Config, FileKind, KeySource, Order, Severity};
use insta::assert_snapshot;

use super::{ACCOUNT, config, said_of_order};

const HOOKS: &str =
    "[[hook]]\nname = \"nginx\"\nrun = [\"true\"]\n[[hook]]\nname = \"mail\"\nrun = [\"true\"]\n";

/// The configuration of a main file and one that it includes.
fn both(main: &str, included: &str) -> Config {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.to_owned() };
    let sources = [source("main.toml", &format!("{main}{ACCOUNT}{HOOKS}")), source("more.toml", included)];
    read(&sources).unwrap_or_else(|problems| panic!("{}", problems.render(&sources, false))).0
}

fn order<'a>(config: &'a Config, name: &str) -> &'a Order {
    config.orders.iter().find(|order| *order.name == *name).unwrap()
}

fn hooks(order: &Order) -> Vec<&str> {
    order.settings.hooks.iter().map(|hook| &**hook).collect()
}

fn keys(order: &Order) -> Vec<&str> {
    order.key.files().1.iter().map(|path| path.to_str().unwrap()).collect()
}

#[test]
fn an_order_inherits_what_it_does_not_say() {
    let config = both(
        r#"
        [[order]]
        name = "all"
        order_number = "1"
        [[order]]
        name = "own"
        order_number = "2"
        account = "main"
        key_file = ["/k/{name}.1", "/k/2"]
        hooks = ["mail"]
        interval = "5h"
        params = { A = "3", c = "4" }
        [order.files]
        cert = "{name}.pem"
        mode = "0640"
        [order.verify]
        dates = "warn"
        [[order.copy]]
        from = "cert"
        to = "/c/own-{name}"
        [defaults]
        product = "ssl"
        domains = ["www.example.com"]
        key_file = "/etc/ssl/private/{name}.key"
        hooks = ["nginx", "mail"]
        response = "zip"
        params = { a = "1", b = "2" }
        interval = "4h"
        guard_interval = "off"
        [defaults.files]
        key = "key.pem"
        group = "33"
        mode = "0600"
        [defaults.verify]
        coverage = "off"
        dates = "off"
        trust_anchors = "/roots/{name}.pem"
        [[defaults.copy]]
        from = "combined"
        to = "/c/{name}"
        [[defaults.copy]]
        from = "root"
        to = "/c/{{root}}-{name}"
        "#,
        "[[order]]\nname = \"included\"\norder_number = \"3\"\nhooks = []\ncopy = []\ndomains = []\n",
    );
    let [all, own, included] = ["all", "own", "included"].map(|name| order(&config, name));
    assert_eq!(keys(all), ["/etc/ssl/private/all.key"]);
    assert_eq!(keys(own), ["/k/own.1", "/k/2"]);
    assert_eq!(keys(included), ["/etc/ssl/private/included.key"]);
    assert_eq!((hooks(all), hooks(own), hooks(included)), (vec!["nginx", "mail"], vec!["mail"], vec![]));
    assert_eq!((all.domains.len(), own.domains.len(), included.domains.len()), (1, 1, 0));
    let hours = |order: &Order| order.settings.cadence.interval.as_secs() / 3600;
    assert_eq!((hours(all), hours(own), hours(included)), (4, 5, 4));
    assert_eq!(own.settings.cadence.guard_interval, None);
    let params = |order: &Order| {
        order.settings.params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(params(all), ["a=1", "b=2"]);
    assert_eq!(params(own), ["A=3", "c=4", "b=2"]);
    assert!(config.orders.iter().all(|order| order.settings.response.is_some()));
    for (order, cert, mode) in [(all, "cert.pem", 0o600), (own, "own.pem", 0o640)] {
        let files = &order.settings.files;
        assert_eq!((files.name(FileKind::Cert), files.mode), (Some(cert), mode));
        assert_eq!((files.name(FileKind::Key), files.group.as_deref()), (Some("key.pem"), Some("33")));
    }
    assert_eq!((all.settings.verify.dates, own.settings.verify.dates), (Severity::Off, Severity::Warn));
    assert_eq!(own.settings.verify.coverage, Severity::Off);
    let anchors = own.settings.trust_anchors.as_ref().unwrap();
    assert_eq!(anchors.to_str(), Some("/roots/own.pem"));
    let copies = |order: &Order| {
        order.copies.iter().map(|copy| copy.to.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(copies(all), ["/c/all", "/c/{root}-all"]);
    assert_eq!(copies(own), ["/c/own-own"]);
    assert_eq!(copies(included), [""; 0]);
}

#[test]
fn the_order_s_way_to_a_key_replaces_the_other() {
    let orders = "[[order]]\nname = \"a\"\norder_number = \"1\"\n\
        [[order]]\nname = \"b\"\norder_number = \"2\"\ncsr_file = \"/b.csr\"\n\
        [[order]]\nname = \"c\"\norder_number = \"3\"\nkey_file = \"/c.key\"\n\
        [[order]]\nname = \"d\"\norder_number = \"4\"\nkey_file = []\n";
    let keys = |default: &str| -> Vec<KeySource> {
        both(default, orders).orders.into_iter().map(|order| order.key.clone()).collect()
    };
    let [a, b, c, d] = &keys("[defaults]\nkey_file = \"/{name}.key\"\n")[..] else { panic!("four orders") };
    let csr = KeySource::Csr("/b.csr".into());
    let key = |path: &str| KeySource::Keys([path.into()].into());
    assert_eq!((a, b, c, d), (&key("/a.key"), &csr, &key("/c.key"), &KeySource::None));
    let [a, b, c, d] = &keys("[defaults]\ncsr_file = \"/{name}.csr\"\n")[..] else { panic!("four orders") };
    assert_eq!((a, b, c, d), (&KeySource::Csr("/a.csr".into()), &csr, &key("/c.key"), &KeySource::None));
}

#[test]
fn each_key_but_name_and_number_has_a_default() {
    let names = |title: &str| -> Vec<&str> {
        let mut all = TABLES.iter().chain(&DEFAULTS_TABLES);
        all.find(|keys| keys.title == title).unwrap().names().collect()
    };
    let own = ["name", "order_number", "certificate_id", "base_order_number"];
    let mut order = names("[[order]]");
    order.retain(|name| !own.contains(name));
    assert_eq!(order, names("[defaults]"));
    for table in ["files]", "verify]"] {
        assert_eq!(names(&format!("[order.{table}")), names(&format!("[defaults.{table}")));
    }
    assert_eq!(names("[[order.copy]]"), names("[[defaults.copy]]"));
    for keys in DEFAULTS_TABLES {
        for name in keys.names() {
            let parent = if keys.title == "[defaults]" { "" } else { "[defaults]\n" };
            let text = format!("{parent}{}\n{name} = 1979-05-27\n", keys.title);
            let said = said_of_order(&text);
            assert_eq!(said.matches(&format!("error: `{name}` must be")).count(), 1, "{said}");
        }
    }
}

/// Three orders, and what is said about defaults above them.
fn said_of(defaults: &str) -> String {
    let orders: String =
        (1..=3).map(|n| format!("[[order]]\nname = \"o{n}\"\norder_number = \"{n}\"\n")).collect();
    said_of_order(&format!("{defaults}{orders}"))
}

#[test]
fn a_mistake_is_told_once_at_its_line() {
    assert_snapshot!(said_of(
        "[defaults]\nprivate_key = \"/x\"\norder_number = \"9\"\nacount = \"main\"\naccount = \"mian\"\n\
         key_file = \"/k/{nmae}.key\"\ncsr_file = \"/k/{name\"\nhooks = [\"ngnx\"]\ninterval = \"3\"\n\
         product = \"tls\"\ndomains = [\"www\"]\nparams = { a = 1 }\n\
         [defaults.files]\nowner = 7\ncert = \"{mane}.pem\"\nkye = \"k\"\n\
         [defaults.verify]\ntrust_anchors = \"{name}.pem\"\n\
         [[defaults.copy]]\nfrom = \"cert\"\nto = \"/x/{}\"\n[[defaults.copy]]\nfrom = \"cert\"\n"
    ), @r#"
    error: unknown key `private_key` in [defaults]
     --> config.toml:2:1
      |
    2 | private_key = "/x"
      | ^^^^^^^^^^^ did you mean `key_file`?

    error: unknown key `order_number` in [defaults]
     --> config.toml:3:1
      |
    3 | order_number = "9"
      | ^^^^^^^^^^^^
      |
      = help: `order_number` belongs to [[order]]

    error: unknown key `acount` in [defaults]
     --> config.toml:4:1
      |
    4 | acount = "main"
      | ^^^^^^ did you mean `account`?

    error: there is no account with the name "mian"
     --> config.toml:5:11
      |
    5 | account = "mian"
      |           ^^^^^^ did you mean "main"?
      |
      = help: known: main

    error: `key_file` has the unknown placeholder "{nmae}"
     --> config.toml:6:12
      |
    6 | key_file = "/k/{nmae}.key"
      |            ^^^^^^^^^^^^^^^
      |
      = help: {name} stands for the order's name; a brace of the path itself is doubled: {{ or }}

    error: `csr_file` has a single `{`
     --> config.toml:7:12
      |
    7 | csr_file = "/k/{name"
      |            ^^^^^^^^^^
      |
      = help: {name} stands for the order's name; a brace of the path itself is doubled: {{ or }}

    error: there is no hook with the name "ngnx"
     --> config.toml:8:10
      |
    8 | hooks = ["ngnx"]
      |          ^^^^^^
      |
      = help: there is no [[hook]] at all

    error: `interval` has no unit
     --> config.toml:9:12
      |
    9 | interval = "3"
      |            ^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `product` has an unknown value
      --> config.toml:10:11
       |
    10 | product = "tls"
       |           ^^^^^
       |
       = help: one of "ssl", "mark", "smime"

    error: an entry of `domains` is only a part of a domain name
      --> config.toml:11:12
       |
    11 | domains = ["www"]
       |            ^^^^^
       |
       = help: such as "www.example.com" or "*.example.com"

    error: an entry of `params` must be text
      --> config.toml:12:16
       |
    12 | params = { a = 1 }
       |                ^ this is an integer
       |
       = help: put it in quotes: a = "1"

    error: `owner` must be text
      --> config.toml:14:9
       |
    14 | owner = 7
       |         ^ this is an integer
       |
       = help: put it in quotes: owner = "7"

    error: `cert` has the unknown placeholder "{mane}"
      --> config.toml:15:8
       |
    15 | cert = "{mane}.pem"
       |        ^^^^^^^^^^^^
       |
       = help: {name} stands for the order's name; a brace of the path itself is doubled: {{ or }}

    error: unknown key `kye` in [defaults.files]
      --> config.toml:16:1
       |
    16 | kye = "k"
       | ^^^ did you mean `key`?

    error: `trust_anchors` is not an absolute path
      --> config.toml:18:17
       |
    18 | trust_anchors = "{name}.pem"
       |                 ^^^^^^^^^^^^
       |
       = help: begin with a slash; the daemon has no working directory

    error: `to` has the unknown placeholder "{}"
      --> config.toml:21:6
       |
    21 | to = "/x/{}"
       |      ^^^^^^^
       |
       = help: {name} stands for the order's name; a brace of the path itself is doubled: {{ or }}

    error: [[defaults.copy]] needs `to`
      --> config.toml:22:1
       |
    22 | [[defaults.copy]]
       | ^^^^^^^^^^^^^^^^^ missing here
       |
       = help: an absolute path, such as to = "/etc/haproxy/site.pem"

    config.toml: 17 errors
    "#);
}

#[test]
fn what_does_not_fit_together() {
    assert_snapshot!(said_of(
        "[defaults]\n[defaults.files]\nkey = \"key.pem\"\n[[defaults.copy]]\nfrom = \"cert\"\nto = \"/x/cert.pem\"\n\
         [[order]]\nname = \"a\"\norder_number = \"8\"\nkey_file = \"/a.key\"\ncopy = []\n\
         [order.files]\nchain = \"key.pem\"\n\
         [[order]]\nname = \"b\"\norder_number = \"9\"\nkey_file = []\ncopy = []\n"
    ), @r#"
    error: every order would write the same file
     --> config.toml:6:6
      |
    6 | to = "/x/cert.pem"
      |      ^^^^^^^^^^^^^
      |
      = help: put {name} into the path, which stands for the order's name

    error: two files of one order with the name "key.pem"
      --> config.toml:13:9
       |
    13 | chain = "key.pem"
       |         ^^^^^^^^^
       |
      ::: config.toml:3:7
       |
     3 | key = "key.pem"
       |       --------- the other one

    error: `key_file` is an empty list
      --> config.toml:17:12
       |
    17 | key_file = []
       |            ^^
       |
       = help: omit it if the key is not on this machine

    error: an inherited `key` needs the order's private key
      --> config.toml:19:1
       |
    19 | [[order]]
       | ^^^^^^^^^
       |
      ::: config.toml:3:7
       |
     3 | key = "key.pem"
       |       --------- inherited from here
       |
       = help: set its key_file; if its key is not on this machine: key = false in [order.files]

    error: an inherited `key` needs the order's private key
      --> config.toml:22:1
       |
    22 | [[order]]
       | ^^^^^^^^^
       |
      ::: config.toml:3:7
       |
     3 | key = "key.pem"
       |       --------- inherited from here
       |
       = help: set its key_file; if its key is not on this machine: key = false in [order.files]

    error: an inherited `key` needs the order's private key
      --> config.toml:25:1
       |
    25 | [[order]]
       | ^^^^^^^^^
       |
      ::: config.toml:3:7
       |
     3 | key = "key.pem"
       |       --------- inherited from here
       |
       = help: set its key_file; if its key is not on this machine: key = false in [order.files]

    config.toml: 6 errors
    "#);
    assert_snapshot!(said_of(
        "[defaults]\nkey_file = \"/etc/ssl/certcollectd/{name}/key.pem\"\nresponse = \"cmmf\"\n\
         [[defaults.copy]]\nfrom = \"cert\"\nto = \"/var/lib/certcollectd/{name}\"\n\
         [defaults.files]\ncert = false\nchain = false\nfullchain = false\n"
    ), @r#"
    error: the key_file of `o1` is among the installed files of `o1`
     --> config.toml:2:12
      |
    2 | key_file = "/etc/ssl/certcollectd/{name}/key.pem"
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: they are replaced with each new certificate; keep it elsewhere

    warning: `response` is not a format of product = "ssl"
     --> config.toml:3:12
      |
    3 | response = "cmmf"
      |            ^^^^^^ not used for such orders
      |
      = help: use one of individual, pkcs7, zip, netscape, pkcs7-binary, zip-binary, individual-lines, pkcs7-lines, zip-lines, netscape-lines

    error: a copy conflicts with `state_dir`
     --> config.toml:6:6
      |
    6 | to = "/var/lib/certcollectd/{name}"
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: choose another path for the copy; an existing file there is replaced

    error: all files of the order are switched off
      --> config.toml:11:1
       |
    11 | [[order]]
       | ^^^^^^^^^
       |
       = help: keep at least one; it shows which certificate is installed

    error: all files of the order are switched off
      --> config.toml:14:1
       |
    14 | [[order]]
       | ^^^^^^^^^
       |
       = help: keep at least one; it shows which certificate is installed

    error: all files of the order are switched off
      --> config.toml:17:1
       |
    17 | [[order]]
       | ^^^^^^^^^
       |
       = help: keep at least one; it shows which certificate is installed

    config.toml: 5 errors, 1 warning
    "#);
}

#[test]
fn a_default_need_not_suit_every_product() {
    let order = |name: &str, product: &str| {
        format!("[[order]]\nname = \"{name}\"\norder_number = \"{}\"\nproduct = \"{product}\"\n", name.len())
    };
    let defaults = "[defaults]\nresponse = \"cmmf\"\ndomains = [\"jane@example.com\"]\n";
    let (mail, web) = (order("m", "smime"), order("ww", "ssl"));
    assert_snapshot!(said_of_order(&format!("{defaults}{mail}")), @"");
    assert_snapshot!(said_of_order(&format!("{defaults}{mail}{web}domains = []\n")), @r#"
    warning: `response` is not a format of product = "ssl"
     --> config.toml:2:12
      |
    2 | response = "cmmf"
      |            ^^^^^^ not used for such orders
      |
      = help: use one of individual, pkcs7, zip, netscape, pkcs7-binary, zip-binary, individual-lines, pkcs7-lines, zip-lines, netscape-lines

    config.toml: 1 warning
    "#);
    assert_snapshot!(said_of_order(&format!("{defaults}{web}")), @r#"
    warning: `response` is not a format of product = "ssl"
     --> config.toml:2:12
      |
    2 | response = "cmmf"
      |            ^^^^^^ not used for such orders
      |
      = help: use one of individual, pkcs7, zip, netscape, pkcs7-binary, zip-binary, individual-lines, pkcs7-lines, zip-lines, netscape-lines

    error: an entry of `domains` is an e-mail address
     --> config.toml:3:12
      |
    3 | domains = ["jane@example.com"]
      |            ^^^^^^^^^^^^^^^^^^
      |
      = help: e-mail addresses belong to orders of product = "smime"

    config.toml: 1 error, 1 warning
    "#);
}

#[test]
fn there_is_one_and_in_the_main_file() {
    assert_snapshot!(said_of("[defaults]\nhooks = []\n[defaults]\nhooks = []\n"), @"
    error: `defaults` is given twice
     --> config.toml:3:2
      |
    1 | [defaults]
      |  -------- first here
    2 | hooks = []
    3 | [defaults]
      |  ^^^^^^^^ again here
      |
      = help: merge both into one table

    config.toml: 1 error
    ");
    assert_snapshot!(said_of("[[defaults]]\nhooks = []\n"), @"
    error: `defaults` must be a table
     --> config.toml:1:1
      |
    1 | [[defaults]]
      | ^^^^^^^^^^^^ this is a list
      |
      = help: write [defaults]

    config.toml: 1 error
    ");
    let source = |path: &str, text: String| Source { path: path.into(), text };
    let included = "[defaults]\nkey_file = \"/x/{nmae}\"\n[[order]]\nname = \"a\"\norder_number = \"1\"\n";
    let sources = [source("main.toml", ACCOUNT.into()), source("more.toml", included.into())];
    assert_snapshot!(read(&sources).unwrap_err().render(&sources, false), @"
    error: `defaults` in an included file
     --> more.toml:1:2
      |
    1 | [defaults]
      |  ^^^^^^^^ belongs to the main file
      |
      = help: an included file may contain only [[account]], [[order]] and [[hook]]

    main.toml: 1 error
    ");
    // Far apart, in a file that is read in pieces.
    let mut text = String::from("[defaults]\nkey_file = \"/k/{name}\"\n");
    for number in 0..3000 {
        text.push_str(&format!("[[order]]\nname = \"order-{number}\"\norder_number = \"{number}\"\n"));
    }
    text.push_str("[defaults]\nkey_file = \"/l/{name}\"\n");
    let said = said_of_order(&text);
    assert_snapshot!(said, @"
    error: `defaults` is given twice
        --> config.toml:9003:2
         |
    9003 | [defaults]
         |  ^^^^^^^^ again here
         |
        ::: config.toml:1:2
         |
       1 | [defaults]
         |  -------- first here

    config.toml: 1 error
    ");
}

#[test]
fn below_the_orders_it_holds_as_well() {
    let mut text = String::new();
    for number in 0..3000 {
        text.push_str(&format!("[[order]]\nname = \"order-{number}\"\norder_number = \"{number}\"\n"));
    }
    for header in ["[defaults]\nkey_file", "[\"def\\u0061ults\"]\nkey_file"] {
        let config = config(&format!("{text}{header} = \"/k/{{name}}\"\n{ACCOUNT}"));
        assert_eq!(keys(&config.orders[0]), ["/k/order-0"], "{header}");
        assert_eq!(keys(&config.orders[2999]), ["/k/order-2999"]);
    }
    let config = config(&format!("defaults.key_file = \"/k/{{name}}\"\n{text}{ACCOUNT}"));
    assert_eq!(keys(&config.orders[7]), ["/k/order-7"]);
}

#[test]
fn what_is_damaged_is_not_missed() {
    assert_snapshot!(said_of("[defaults]\nkey_file = /k/{name}\n[defaults.files]\nkey = \"key.pem\"\n"), @"
    error: unexpected key or value
     --> config.toml:2:15
      |
    2 | key_file = /k/{name}
      |               ^ expected newline, `#`

    config.toml: 1 error
    ");
}

#[test]
fn braces_in_the_paths_of_an_order() {
    let order =
        |path: &str| format!("[[order]]\nname = \"a\"\norder_number = \"1\"\ncsr_file = \"{path}\"\n");
    let found = config(&format!("{}{ACCOUNT}", order("/x/{{{name}}}")));
    assert_eq!(keys(&found.orders[0]), ["/x/{a}"]);
    assert_snapshot!(said_of_order(&order("/x/{y}")), @r#"
    error: `csr_file` has the unknown placeholder "{y}"
     --> config.toml:4:12
      |
    4 | csr_file = "/x/{y}"
      |            ^^^^^^^^
      |
      = help: {name} stands for the order's name; a brace of the path itself is doubled: {{ or }}

    config.toml: 1 error
    "#);
}

#[test]
fn orders_share_what_they_inherit() {
    let orders: String =
        (0..2000).map(|n| format!("[[order]]\nname = \"o{n}\"\norder_number = \"{n}\"\n")).collect();
    let config = config(&format!("[defaults]\nhooks = [\"nginx\"]\n{orders}{ACCOUNT}{HOOKS}"));
    let first = &config.orders[0].settings;
    assert!(config.orders.iter().all(|order| std::sync::Arc::ptr_eq(first, &order.settings)));
}
