//! Settings that are right alone and wrong together.

use insta::assert_snapshot;

use super::{ACCOUNT, ORDER, said, said_of, said_of_order};

#[test]
fn folders() {
    assert_snapshot!(said_of("state_dir = \"var/lib/x\"\ninstall_dir = \"/etc/../x\"\n"), @r#"
    error: `state_dir` is not an absolute path
     --> config.toml:1:13
      |
    1 | state_dir = "var/lib/x"
      |             ^^^^^^^^^^^
      |
      = help: begin with a slash; the daemon has no working directory

    error: `install_dir` contains `..`
     --> config.toml:2:15
      |
    2 | install_dir = "/etc/../x"
      |               ^^^^^^^^^^^
      |
      = help: write the path without it

    config.toml: 2 errors
    "#);
    assert_snapshot!(said_of("state_dir = \"/etc/ssl/certcollectd/state\"\n"), @r#"
    error: `state_dir` lies in `install_dir`
     --> config.toml:1:13
      |
    1 | state_dir = "/etc/ssl/certcollectd/state"
      |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: keep them apart; the defaults are /var/lib/certcollectd and /etc/ssl/certcollectd

    config.toml: 1 error
    "#);
    assert_snapshot!(said_of("state_dir = \"/srv\"\ninstall_dir = \"/srv/certs\"\n"), @r#"
    error: `install_dir` lies in `state_dir`
     --> config.toml:2:15
      |
    1 | state_dir = "/srv"
      |             ------
    2 | install_dir = "/srv/certs"
      |               ^^^^^^^^^^^^
      |
      = help: keep them apart; the defaults are /var/lib/certcollectd and /etc/ssl/certcollectd

    config.toml: 1 error
    "#);
}

#[test]
fn names_given_twice() {
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}{ORDER}{}", ACCOUNT.replace("example-login", "other"))), @r#"
    error: two orders with the name `www`
      --> config.toml:12:8
       |
     8 | name = "www"
       |        ----- first here
    ...
    12 | name = "www"
       |        ^^^^^ again here
       |
       = help: the name is also the order's folder, so it must be unique

    error: two accounts with the name `main`
      --> config.toml:16:8
       |
    16 | name = "main"
       |        ^^^^^^ again here
       |
      ::: config.toml:3:8
       |
     3 | name = "main"
       |        ------ first here

    config.toml: 2 errors
    "#);
}

#[test]
fn one_order_under_two_names() {
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}{}", ORDER.replace("www", "mail"))), @r#"
    error: `www` and `mail` are the same order
      --> config.toml:13:16
       |
     9 | order_number = "1"
       |                --- first here
    ...
    13 | order_number = "1"
       |                ^^^ again here
       |
       = help: the vendor allows one poll per interval of an order; use [[order.copy]] to install it in more places

    config.toml: 1 error
    "#);
}

#[test]
fn checks_that_cannot_be_made() {
    assert_snapshot!(said_of_order(
        "[[order]]\nname = \"a\"\norder_number = \"1\"\n\
         [order.verify]\nkey = \"block\"\ndomains = \"warn\"\nchain = \"of\"\n\
         [[order]]\nname = \"b\"\norder_number = \"2\"\nproduct = \"mark\"\n\
         [order.verify]\ntrust_anchors = \"/roots.pem\"\n"
    ), @r#"
    warning: there is no key to verify against
     --> config.toml:5:1
      |
    5 | key = "block"
      | ^^^
      |
      = help: set the order's key_file or csr_file

    warning: there are no domains to verify
     --> config.toml:6:1
      |
    6 | domains = "warn"
      | ^^^^^^^
      |
      = help: list the names that the certificate must cover in the order's domains

    error: `chain` has an unknown value
     --> config.toml:7:9
      |
    7 | chain = "of"
      |         ^^^^ did you mean "off"?
      |
      = help: one of "block", "warn", "off"

    warning: `trust_anchors` is not used
      --> config.toml:13:1
       |
    13 | trust_anchors = "/roots.pem"
       | ^^^^^^^^^^^^^
       |
       = help: for mark certificates trust is off unless set; add trust = "warn"

    config.toml: 1 error, 3 warnings
    "#);
}

#[test]
fn files_in_each_others_way() {
    assert_snapshot!(said_of_order(
        "[[order]]\nname = \"a\"\norder_number = \"1\"\nkey_file = \"/k/a.key\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/etc/x.pem\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/etc/ssl/certcollectd/.b/x.pem\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/var/lib/certcollectd/state.db\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/etc/ssl\"\n\
         [[order]]\nname = \"b\"\norder_number = \"2\"\nkey_file = \"/etc/ssl/certcollectd/a/key.pem\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/etc//x.pem\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/etc/x.pem/y.pem\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/k/a.key\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"/etc/ssl/certcollectd/shared.pem\"\n"
    ), @r#"
    error: one copy needs a folder where another writes a file
      --> config.toml:10:6
       |
    10 | to = "/etc/ssl/certcollectd/.b/x.pem"
       |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ...
    16 | to = "/etc/ssl"
       |      ---------- this is the file

    error: a copy among the installed files of `b`
      --> config.toml:10:6
       |
    10 | to = "/etc/ssl/certcollectd/.b/x.pem"
       |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    error: a copy conflicts with `state_dir`
      --> config.toml:13:6
       |
    13 | to = "/var/lib/certcollectd/state.db"
       |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    error: a copy conflicts with `install_dir`
      --> config.toml:16:6
       |
    16 | to = "/etc/ssl"
       |      ^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    error: the key_file of `b` is among the installed files of `a`
      --> config.toml:18:8
       |
    18 | name = "b"
       |        ^^^
       |
       = help: they are replaced with each new certificate; keep it elsewhere

    error: `a` and `b` write the same file
      --> config.toml:23:6
       |
    23 | to = "/etc//x.pem"
       |      ^^^^^^^^^^^^^ again here
       |
      ::: config.toml:7:6
       |
     7 | to = "/etc/x.pem"
       |      ------------ first here

    error: one copy needs a folder where another writes a file
      --> config.toml:26:6
       |
    23 | to = "/etc//x.pem"
       |      ------------- this is the file
    ...
    26 | to = "/etc/x.pem/y.pem"
       |      ^^^^^^^^^^^^^^^^^^

    error: a copy over the key_file of `a`
      --> config.toml:29:6
       |
    29 | to = "/k/a.key"
       |      ^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    config.toml: 8 errors
    "#);
}

/// HAProxy's one file: the copy holds the very key that it replaces.
#[test]
fn a_combined_copy_may_replace_the_orders_only_key_file() {
    let order = |keys: &str, from: &str| {
        format!(
            "[[order]]\nname = \"a\"\norder_number = \"1\"\nkey_file = {keys}\n\
             [[order.copy]]\nfrom = \"{from}\"\nto = \"/k/a.pem\"\n"
        )
    };
    let problems = |text: &str| {
        let problems = |text: &str| said(&format!("{ACCOUNT}{text}"));
        problems(text).lines().filter(|line| line.starts_with("error")).map(str::to_owned).collect::<Vec<_>>()
    };
    let one = "\"/k/a.pem\"";
    for keys in [one, "[\"/k/a.pem\"]", "[\"/k/new.key\", \"/k/old.key\"]"] {
        assert_eq!(problems(&order(keys, "combined")), [""; 0], "{keys}");
    }
    for from in ["fullchain", "key"] {
        assert_eq!(problems(&order(one, from)), ["error: a copy over the key_file of `a`"]);
    }
    // The one whose certificate is installed takes the place of the other.
    for keys in ["[\"/k/new.key\", \"/k/a.pem\"]", "[\"/k/a.pem\", \"/k/new.key\"]"] {
        assert_eq!(
            problems(&order(keys, "combined")),
            ["error: a copy over one of several key files of `a`"],
            "{keys}"
        );
    }
    // Not where another order reads the key from it, whichever stands first.
    let other = "[[order]]\nname = \"b\"\norder_number = \"2\"\nkey_file = \"/k/a.pem\"\n";
    let a = order(one, "combined");
    for text in [format!("{a}{other}"), format!("{other}{a}")] {
        assert_eq!(problems(&text), ["error: a copy over the key_file of `b`"]);
    }
}

#[test]
fn names_that_lead_nowhere() {
    assert_snapshot!(said(&format!("{ACCOUNT}
[[hook]]
name = \"nginx\"
run = [\"true\"]
[[order]]
name = \"a\"
account = \"mian\"
order_number = \"1\"
hooks = [\"ngnix\", \"haproxy\"]
")), @r#"
    error: there is no account with the name "mian"
      --> config.toml:12:11
       |
    12 | account = "mian"
       |           ^^^^^^ did you mean "main"?
       |
       = help: known: main

    error: there is no hook with the name "ngnix"
      --> config.toml:14:10
       |
    14 | hooks = ["ngnix", "haproxy"]
       |          ^^^^^^^ did you mean "nginx"?
       |
       = help: known: nginx

    error: there is no hook with the name "haproxy"
      --> config.toml:14:19
       |
    14 | hooks = ["ngnix", "haproxy"]
       |                   ^^^^^^^^^
       |
       = help: known: nginx

    config.toml: 3 errors
    "#);
}

#[test]
fn an_order_says_which_account_where_there_are_two() {
    let other = ACCOUNT.replace("main", "other").replace("example-login", "x");
    assert_snapshot!(said(&format!("{ORDER}{ACCOUNT}{other}")), @r#"
    error: the order `www` does not say which account
     --> config.toml:3:8
      |
    3 | name = "www"
      |        ^^^^^
      |
      = help: there is more than one; add account = "main"

    config.toml: 1 error
    "#);
}

#[test]
fn a_hook_for_nobody() {
    assert_snapshot!(said_of("[[hook]]\nname = \"nginx\"\nrun = [\"true\"]\n"), @r#"
    warning: no order uses the hook `nginx`
     --> config.toml:2:8
      |
    2 | name = "nginx"
      |        ^^^^^^^
      |
      = help: add hooks = ["nginx"] to the orders that need it

    config.toml: 1 warning
    "#);
}

#[test]
fn a_window_for_nobody_and_one_that_nobody_made() {
    let window = "[[window]]\nname = \"night\"\nfrom = \"02:00\"\nto = \"05:00\"\ntimezone = \"UTC\"\n";
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}{window}")), @r#"
    warning: no order uses the window `night`
      --> config.toml:11:8
       |
    11 | name = "night"
       |        ^^^^^^^
       |
       = help: add windows = ["night"] to the orders that it is for, or to [defaults]

    config.toml: 1 warning
    "#);
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}windows = [\"nigth\"]\n{window}{window}")), @r#"
    error: there is no window with the name "nigth"
      --> config.toml:10:12
       |
    10 | windows = ["nigth"]
       |            ^^^^^^^ did you mean "night"?
       |
       = help: known: night

    error: two windows with the name `night`
      --> config.toml:17:8
       |
    12 | name = "night"
       |        ------- first here
    ...
    17 | name = "night"
       |        ^^^^^^^ again here

    config.toml: 2 errors
    "#);
}

#[test]
fn two_hooks_of_one_companion() {
    let hook = |name: &str, follow: &str| format!("[[hook]]\nname = \"{name}\"\nfollow = \"{follow}\"\n");
    let hooks = hook("a", "web") + &hook("b", "/run/follow/web") + &hook("c", "edge");
    let order = ORDER.to_owned() + "hooks = [\"a\", \"b\", \"c\"]\n";
    assert_snapshot!(said(&format!("{ACCOUNT}{order}{hooks}")), @r#"
    error: two hooks follow the companion `web`
      --> config.toml:15:8
       |
    12 | name = "a"
       |        --- first here
    ...
    15 | name = "b"
       |        ^^^ again here
       |
       = help: name one hook in all orders that it serves, or give each companion a --name of its own

    config.toml: 1 error
    "#);
}

#[test]
fn two_accounts_with_one_login() {
    let other = ACCOUNT.replace("main", "other");
    assert_snapshot!(said(&format!("{ACCOUNT}{other}{}account = \"main\"\n", ORDER)), @r#"
    error: two accounts with the same login name
     --> config.toml:9:14
      |
    4 | login_name = "example-login"
      |              --------------- first here
    ...
    9 | login_name = "example-login"
      |              ^^^^^^^^^^^^^^^ again here
      |
      = help: the vendor wants one call at a time, so use one [[account]] per login

    config.toml: 1 error
    "#);
}

#[test]
fn intervals_that_contradict_each_other() {
    assert_snapshot!(said_of("[polling]\n\
        interval = \"12h\"\n\
        max_interval = \"6h\"\n\
        guard_interval = \"3h\"\n\
        connect_timeout = \"2m\"\n\
        request_timeout = \"1m\"\n"), @r#"
    warning: `max_interval` is shorter than `interval`, so 12h holds
     --> config.toml:3:16
      |
    2 | interval = "12h"
      |            ----- `interval`
    3 | max_interval = "6h"
      |                ^^^^ 6h

    warning: `guard_interval` is shorter than `interval`, so 12h holds
     --> config.toml:4:18
      |
    2 | interval = "12h"
      |            ----- `interval`
    3 | max_interval = "6h"
    4 | guard_interval = "3h"
      |                  ^^^^ 3h

    error: `connect_timeout` is longer than `request_timeout`
     --> config.toml:5:19
      |
    5 | connect_timeout = "2m"
      |                   ^^^^ 2m
    6 | request_timeout = "1m"
      |                   ---- 1m
      |
      = help: the connection is part of the whole call

    config.toml: 1 error, 2 warnings
    "#);
    assert_snapshot!(said(&format!("[polling]\n\
        max_interval = \"24h\"\n\
        {ACCOUNT}{ORDER}interval = \"2d\"\n")), @r#"
    warning: `max_interval` is shorter than `interval`, so 2d holds
      --> config.toml:2:16
       |
     2 | max_interval = "24h"
       |                ^^^^^ 1d
       |
      ::: config.toml:12:12
       |
    12 | interval = "2d"
       |            ---- `interval`

    config.toml: 1 warning
    "#);
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}guard_interval = \"1h\"\n")), @r#"
    warning: `guard_interval` is shorter than `interval`, so 3h holds
      --> config.toml:10:18
       |
    10 | guard_interval = "1h"
       |                  ^^^^ 1h
       |
       = help: `interval` is the minimum time between two polls; shorten it as well

    config.toml: 1 warning
    "#);
}

#[test]
fn the_vendors_rule_is_quoted() {
    assert_snapshot!(said_of("[polling]\ninterval = \"1h\"\n"), @r#"
    warning: `interval` is shorter than the vendor allows
     --> config.toml:2:12
      |
    2 | interval = "1h"
      |            ^^^^ 1h
      |
      = help: Sectigo asks for polling "no more often than once every 3 hours" and may block the whole account otherwise

    config.toml: 1 warning
    "#);
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}interval = \"10m\"\n")), @r#"
    warning: `interval` is shorter than the vendor allows
      --> config.toml:10:12
       |
    10 | interval = "10m"
       |            ^^^^^ 10m
       |
       = help: Sectigo asks for polling "no more often than once every 3 hours" and may block the whole account otherwise

    config.toml: 1 warning
    "#);
    let elsewhere = format!("{ACCOUNT}base_url = \"https://127.0.0.1:8443\"\n");
    assert_eq!(said(&format!("[polling]\ninterval = \"1s\"\n{elsewhere}{ORDER}")), "");
}

#[test]
fn a_form_of_answers_that_a_product_does_not_have() {
    let order = |name: &str, product: &str, number: &str| {
        format!("[[order]]\nname = \"{name}\"\nproduct = \"{product}\"\norder_number = \"{number}\"\n")
    };
    let orders = order("www", "ssl", "1") + &order("jane", "smime", "2") + &order("joe", "smime", "3");
    assert_snapshot!(said(&format!("{ACCOUNT}response = \"zip\"\n{orders}")), @r##"
    warning: `response` is not a format of product = "smime"
      --> config.toml:6:12
       |
     6 | response = "zip"
       |            ^^^^^
    ...
    12 | name = "jane"
       |        ------ `jane` is requested in its product's default format
       |
       = help: use one of individual, pkcs7, netscape, pkcs7-binary, individual-lines, pkcs7-lines, netscape-lines, cmmf

    config.toml: 1 warning
    "##);
    assert_snapshot!(said(&format!("{ACCOUNT}response = \"cmmf-binary\"\n{orders}")), @r##"
    error: `response` is not a response format
     --> config.toml:6:12
      |
    6 | response = "cmmf-binary"
      |            ^^^^^^^^^^^^^
      |
      = help: individual, pkcs7, zip or netscape; with the suffix -lines or (pkcs7, zip) -binary; or cmmf

    config.toml: 1 error
    "##);
}

#[test]
fn a_form_of_answers_of_one_order() {
    let order = |product: &str, response: &str| {
        format!(
            "[[order]]\nname = \"www\"\nproduct = \"{product}\"\norder_number = \"1\"\nresponse = \"{response}\"\n"
        )
    };
    // What the account says is for the others.
    assert_eq!(said(&format!("{ACCOUNT}response = \"netscape\"\n{}", order("mark", "zip"))), "");
    assert_snapshot!(said(&format!("{ACCOUNT}{}", order("smime", "zip"))), @r##"
    error: `response` is not a format of product = "smime"
      --> config.toml:10:12
       |
    10 | response = "zip"
       |            ^^^^^
       |
       = help: use one of individual, pkcs7, netscape, pkcs7-binary, individual-lines, pkcs7-lines, netscape-lines, cmmf

    config.toml: 1 error
    "##);
}

#[test]
fn parameters_that_are_sent_along() {
    let params = |text: &str| said_of_order(&format!("{ORDER}params = {{ {text} }}\n"));
    assert_eq!(params("behaviourVersion = \"1\", responseMimeType = \"\""), "");
    assert_eq!(said(&format!("{ACCOUNT}params = {{ behaviourVersion = \"1\" }}\n{ORDER}")), "");
    for own in [
        "loginName",
        "LOGINPASSWORD",
        "ordernumber",
        "certificateID",
        "baseOrderNumber",
        "querytype",
        "responseType",
        "responseEncoding",
        "responseFormat",
        "showFQDN",
        "showvalidityperiod",
        "showExtStatus",
        "showMDCDomainDetails",
        "showMDCDomainDetails2",
        "showStatusDetails",
    ] {
        let said = params(&format!("{own} = \"1\""));
        assert!(
            said.contains(&format!("error: `{own}` in `params` is sent by certcollectd itself")),
            "{said}"
        );
    }
    for (odd, why) in [
        ("\"\" = \"1\"", "is not a parameter name"),
        ("\"a b\" = \"1\"", "is not a parameter name"),
        ("\"a&b\" = \"1\"", "is not a parameter name"),
        ("\"\u{e4}\" = \"1\"", "is not a parameter name"),
        (&*format!("{} = \"1\"", "a".repeat(65)), "is not a parameter name"),
        ("a = \"1\", A = \"2\"", "is given twice"),
        ("a = 1", "must be text"),
        ("a = [\"1\"]", "must be text"),
        ("a = \"x\\ny\"", "holds a control character"),
        (&*format!("a = \"{}\"", "x".repeat(257)), "has more than 256 characters"),
    ] {
        let said = params(odd);
        assert!(said.contains(why) && said.contains("1 error"), "{odd}: {said}");
    }
    let many: Vec<String> = (0..17).map(|number| format!("p{number} = \"1\"")).collect();
    assert!(params(&many.join(", ")).contains("has more than 16 entries"));
    assert!(said_of_order(&format!("{ORDER}params = \"x\"\n")).contains("`params` must be a table"));
}
