//! Values that are of the right kind and still wrong.

use insta::assert_snapshot;

use super::{ACCOUNT, ORDER, said, said_of, said_of_order};

#[test]
fn durations_out_of_range() {
    assert_snapshot!(said_of("[polling]\n\
        interval = \"0s\"\n\
        max_interval = \"400d\"\n\
        guard_interval = \"never\"\n\
        call_gap = \"2h\"\n\
        connect_timeout = \"30 bananas\"\n\
        request_timeout = \"3M\"\n"), @r#"
    error: `interval` is too short: at least 1ms
     --> config.toml:2:12
      |
    2 | interval = "0s"
      |            ^^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `max_interval` is too long: at most 366d
     --> config.toml:3:16
      |
    3 | max_interval = "400d"
      |                ^^^^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `guard_interval` is not a duration
     --> config.toml:4:18
      |
    4 | guard_interval = "never"
      |                  ^^^^^^^
      |
      = help: a duration with a unit, such as "24h", or "off" to disable the guard

    error: `call_gap` is too long: at most 1h
     --> config.toml:5:12
      |
    5 | call_gap = "2h"
      |            ^^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `connect_timeout` has the unknown unit "bananas"
     --> config.toml:6:19
      |
    6 | connect_timeout = "30 bananas"
      |                   ^^^^^^^^^^^^
      |
      = help: units are ms, s, m, h, d and w

    error: `request_timeout` uses the unit "M", which has no fixed length
     --> config.toml:7:19
      |
    7 | request_timeout = "3M"
      |                   ^^^^
      |
      = help: m is minutes; write months and years as days, such as "30d"

    config.toml: 6 errors
    "#);
}

#[test]
fn settle_out_of_range() {
    assert_snapshot!(said_of("[polling]\nsettle = \"999ms\"\n"), @r#"
    error: `settle` is too short: at least 1s
     --> config.toml:2:10
      |
    2 | settle = "999ms"
      |          ^^^^^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    config.toml: 1 error
    "#);
    assert_snapshot!(said_of("[polling]\nsettle = \"601s\"\n"), @r#"
    error: `settle` is too long: at most 10m
     --> config.toml:2:10
      |
    2 | settle = "601s"
      |          ^^^^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    config.toml: 1 error
    "#);
}

#[test]
fn numbers_out_of_range() {
    assert_snapshot!(said_of("[polling]\nspread = 10\nunknown_tries = 0\n"), @r#"
    error: `spread` is out of range
     --> config.toml:2:10
      |
    2 | spread = 10
      |          ^^
      |
      = help: a number from 0 to 0.5: 0.1 stretches an interval by up to ten per cent

    error: `unknown_tries` is out of range
     --> config.toml:3:17
      |
    3 | unknown_tries = 0
      |                 ^
      |
      = help: a whole number from 1 to 1000, without quotes

    config.toml: 2 errors
    "#);
}

#[test]
fn names() {
    assert_snapshot!(said_of_order("[[order]]\n\
        name = \"WWW\"\n\
        order_number = \"1\"\n\
        [[order]]\n\
        name = \".www\"\n\
        order_number = \"2\"\n\
        [[order]]\n\
        name = \"www/mail\"\n\
        order_number = \"3\"\n"), @r#"
    error: `name` has capital letters
     --> config.toml:2:8
      |
    2 | name = "WWW"
      |        ^^^^^
      |
      = help: write "www"

    error: `name` begins with a dot
     --> config.toml:5:8
      |
    5 | name = ".www"
      |        ^^^^^^
      |
      = help: names are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot

    error: `name` has the character '/'
     --> config.toml:8:8
      |
    8 | name = "www/mail"
      |        ^^^^^^^^^^
      |
      = help: names are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot

    config.toml: 3 errors
    "#);
}

#[test]
fn addresses_of_the_vendor() {
    assert_snapshot!(said("[[account]]\nname = \"a\"\nlogin_name = \"x\"\npassword = { env = \"X\" }\n\
         base_url = \"http://secure.trust-provider.com\"\nproxy = \"proxy:3128\"\nca_file = \"ca.pem\"\n\
         [[account]]\nname = \"b\"\nlogin_name = \"y\"\npassword = { env = \"X\" }\n\
         base_url = \"https://secure.trust-provider.com/?x\"\nproxy = \"http://u:hunter2@proxy\"\n"), @r#"
    warning: there is no [[order]], so there is nothing to do
    --> config.toml
     = help: add one with name and order_number

    error: `base_url` is not https
     --> config.toml:5:12
      |
    5 | base_url = "http://secure.trust-provider.com"
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: the request carries the login, so it must begin with https://

    error: `proxy` is not a URL
     --> config.toml:6:9
      |
    6 | proxy = "proxy:3128"
      |         ^^^^^^^^^^^^
      |
      = help: write it like "http://proxy.example.com:3128"; http, https and socks5 are known

    error: `ca_file` is not an absolute path
     --> config.toml:7:11
      |
    7 | ca_file = "ca.pem"
      |           ^^^^^^^^
      |
      = help: begin with a slash; the daemon has no working directory

    error: `base_url` has a query or a fragment
      --> config.toml:12:12
       |
    12 | base_url = "https://secure.trust-provider.com/?x"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write it like "https://secure.trust-provider.com"

    error: `proxy` contains a user name or password
      --> config.toml:13:9
       |
    13 | proxy = ******
       |         ^^^^^^
       |
       = help: remove the part before the @; use proxy_user and proxy_password instead

    config.toml: 5 errors, 1 warning
    "#);
}

#[test]
fn windows() {
    let text = format!(
        "freeze = [\"2026-12-18\", \"2027-01-04/2026-12-18\", \"2027-02-29/2027-03-01\"]\n{ACCOUNT}{ORDER}
windows = [\"nigth\"]
window_margin = \"400d\"
[[window]]
name = \"night\"
days = [\"mon\", \"Tuesday\"]
from = \"24:00\"
to = \"5:00\"
timezone = \"Europe/Berlim\"
[[window]]
name = \"none\"
days = []
from = \"02:00\"
to = \"02:00\"
timezone = \"UTC\"
[[window]]
name = \"night\"
from = \"02:00\"
to = \"05:00\"
"
    );
    assert_snapshot!(said(&text), @r#"
    error: an entry of `freeze` is not two days with a slash between them
     --> config.toml:1:11
      |
    1 | freeze = ["2026-12-18", "2027-01-04/2026-12-18", "2027-02-29/2027-03-01"]
      |           ^^^^^^^^^^^^
      |
      = help: the first and the last day, such as freeze = ["2026-12-18/2027-01-04"]

    error: an entry of `freeze` ends before it begins
     --> config.toml:1:25
      |
    1 | freeze = ["2026-12-18", "2027-01-04/2026-12-18", "2027-02-29/2027-03-01"]
      |                         ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: the first and the last day, such as freeze = ["2026-12-18/2027-01-04"]

    error: an entry of `freeze` has a day that does not exist
     --> config.toml:1:50
      |
    1 | freeze = ["2026-12-18", "2027-01-04/2026-12-18", "2027-02-29/2027-03-01"]
      |                                                  ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: the first and the last day, such as freeze = ["2026-12-18/2027-01-04"]

    error: there is no window with the name "nigth"
      --> config.toml:12:12
       |
    12 | windows = ["nigth"]
       |            ^^^^^^^ did you mean "night"?
       |
       = help: known: night, none

    error: `window_margin` is too long: at most 366d
      --> config.toml:13:17
       |
    13 | window_margin = "400d"
       |                 ^^^^^^
       |
       = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: an entry of `days` has an unknown value
      --> config.toml:16:16
       |
    16 | days = ["mon", "Tuesday"]
       |                ^^^^^^^^^
       |
       = help: one of "mon", "tue", "wed", "thu", "fri", "sat", "sun"

    error: `from` is the end of a day
      --> config.toml:17:8
       |
    17 | from = "24:00"
       |        ^^^^^^^
       |
       = help: write "00:00", and the day on which that is

    error: `to` is not a time from "00:00" to "24:00"
      --> config.toml:18:6
       |
    18 | to = "5:00"
       |      ^^^^^^
       |
       = help: a time of the day as text, such as "02:00"

    error: `timezone` is not a known time zone: "Europe/Berlim"
      --> config.toml:19:12
       |
    19 | timezone = "Europe/Berlim"
       |            ^^^^^^^^^^^^^^^
       |
       = help: did you mean "Europe/Berlin"? a name of the IANA database, such as timezone = "Europe/Berlin" or "UTC"

    error: `days` is an empty list
      --> config.toml:22:8
       |
    22 | days = []
       |        ^^
       |
       = help: omit it for every day

    error: `to` is the same as `from`
      --> config.toml:24:6
       |
    24 | to = "02:00"
       |      ^^^^^^^
       |
       = help: a whole day is from = "00:00" and to = "24:00"

    error: [[window]] needs `timezone`
      --> config.toml:26:1
       |
    26 | [[window]]
       | ^^^^^^^^^^ missing here
       |
       = help: a name of the IANA database, such as timezone = "Europe/Berlin" or "UTC"

    error: two windows with the name `night`
      --> config.toml:27:8
       |
    27 | name = "night"
       |        ^^^^^^^ again here
       |
      ::: config.toml:15:8
       |
    15 | name = "night"
       |        ------- first here

    config.toml: 13 errors
    "#);
}

#[test]
fn probes() {
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}
[[order.probe]]
connect = \"www.example.com\"
server_name = \"*.example.com\"
starttls = \"SMTP\"
within = \"11m\"
every = \"100ms\"
on_failure = \"roll-back\"
[[order.probe]]
port = 443
[[order]]
name = \"mark\"
product = \"mark\"
order_number = \"2\"
domains = [\"example.com\"]
[[order.probe]]
connect = \"127.0.0.1:443\"
[[order]]
name = \"twice\"
order_number = \"3\"
domains = [\"example.com\"]
[[order.probe]]
connect = \"unix:/run/web-{{name}}.sock\"
[[order.probe]]
connect = \"unix:/run/web-{{name}}.sock\"
[[order.probe]]
connect = \"unix:/run/{{nmae}}.sock\"
")), @r#"
    error: `connect` has no port
      --> config.toml:12:11
       |
    12 | connect = "www.example.com"
       |           ^^^^^^^^^^^^^^^^^
       |
       = help: a host and a port, such as "127.0.0.1:443", or "unix:" and the path of a socket

    error: `server_name` is a wildcard
      --> config.toml:13:15
       |
    13 | server_name = "*.example.com"
       |               ^^^^^^^^^^^^^^^
       |
       = help: a name that the certificate covers, such as "www.example.com"

    error: `starttls` has an unknown value
      --> config.toml:14:12
       |
    14 | starttls = "SMTP"
       |            ^^^^^^
       |
       = help: one of "smtp", "imap", "pop3", "ldap", "postgres"

    error: `within` is too long: at most 10m
      --> config.toml:15:10
       |
    15 | within = "11m"
       |          ^^^^^
       |
       = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `every` is too short: at least 1s
      --> config.toml:16:9
       |
    16 | every = "100ms"
       |         ^^^^^^^
       |
       = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `on_failure` has an unknown value
      --> config.toml:17:14
       |
    17 | on_failure = "roll-back"
       |              ^^^^^^^^^^^ did you mean "rollback"?
       |
       = help: one of "warn", "rollback"

    error: [[order.probe]] needs `connect`
      --> config.toml:18:1
       |
    18 | [[order.probe]]
       | ^^^^^^^^^^^^^^^ missing here
       |
       = help: a host and a port, such as "127.0.0.1:443", or "unix:" and the path of a socket

    error: unknown key `port` in [[order.probe]]
      --> config.toml:19:1
       |
    19 | port = ******
       | ^^^^
       |
       = help: keys of [[order.probe]]: connect, server_name, starttls, within, every, on_failure

    error: [[order.probe]] with product = "mark"
      --> config.toml:25:1
       |
    25 | [[order.probe]]
       | ^^^^^^^^^^^^^^^
       |
       = help: no TLS server presents such a certificate; only for product = "ssl"

    error: two probes of unix:/run/web-twice.sock
      --> config.toml:33:1
       |
    33 | [[order.probe]]
       | ^^^^^^^^^^^^^^^
       |
       = help: remove one of them, or give each its server_name

    error: `connect` has the unknown placeholder "{nmae}"
      --> config.toml:36:11
       |
    36 | connect = "unix:/run/{nmae}.sock"
       |           ^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: {name} stands for the order's name; a brace of the path itself is doubled: {{ or }}

    config.toml: 11 errors
    "#);
}

#[test]
fn rehearsals() {
    assert_snapshot!(said_of("[rehearsal]\nevery = 30\n"), @r#"
    error: `every` must be text
     --> config.toml:2:9
      |
    2 | every = 30
      |         ^^ this is an integer
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    config.toml: 1 error
    "#);
    assert_snapshot!(said_of("[rehearsal]\n"), @r#"
    error: [rehearsal] needs `every`
     --> config.toml:1:1
      |
    1 | [rehearsal]
      | ^^^^^^^^^^^ missing here
      |
      = help: how often, such as every = "30d"

    config.toml: 1 error
    "#);
    assert_snapshot!(said_of("[rehearsal]\nevery = \"0s\"\nhooks = [\"nginx\"]\n"), @r#"
    error: `every` is too short: at least 1s
     --> config.toml:2:9
      |
    2 | every = "0s"
      |         ^^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: unknown key `hooks` in [rehearsal]
     --> config.toml:3:1
      |
    3 | hooks = ["nginx"]
      | ^^^^^
      |
      = help: `hooks` belongs to [[order]]

    config.toml: 2 errors
    "#);
}

#[test]
fn listeners() {
    assert_snapshot!(said_of("[http]\n\
        listen = \"localhost:9797\"\n\
        [push]\n\
        listen = \"127.0.0.1\"\n\
        path = \"push?x\"\n\
        user = \"a:b\"\n"), @r#"
    error: `listen` is not an address with a port
     --> config.toml:2:10
      |
    2 | listen = "localhost:9797"
      |          ^^^^^^^^^^^^^^^^
      |
      = help: "127.0.0.1:9797" for this host only, "0.0.0.0:9797" or "[::]:9797" for all

    error: `listen` is not an address with a port
     --> config.toml:4:10
      |
    4 | listen = "127.0.0.1"
      |          ^^^^^^^^^^^
      |
      = help: "127.0.0.1:9797" for this host only, "0.0.0.0:9797" or "[::]:9797" for all

    error: `path` does not begin with a slash
     --> config.toml:5:8
      |
    5 | path = "push?x"
      |        ^^^^^^^^
      |
      = help: such as "/push"

    error: `user` without `password`
     --> config.toml:6:1
      |
    6 | user = "a:b"
      | ^^^^
      |
      = help: a login needs both; omit both to disable it

    error: `user` is not a user name
     --> config.toml:6:8
      |
    6 | user = "a:b"
      |        ^^^^^
      |
      = help: not empty, without a colon or control characters

    config.toml: 5 errors
    "#);
    assert_snapshot!(said_of("[http]\n\
        listen = \"0.0.0.0:80\"\n\
        [push]\n\
        listen = \"127.0.0.1:80\"\n\
        password = \"hunter2\"\n"), @r#"
    error: [http] and [push] listen on the same port
     --> config.toml:4:10
      |
    2 | listen = "0.0.0.0:80"
      |          ------------ the other one
    3 | [push]
    4 | listen = "127.0.0.1:80"
      |          ^^^^^^^^^^^^^^
      |
      = help: give one of them another port

    error: `password` without `user`
     --> config.toml:5:1
      |
    5 | password = ******
      | ^^^^^^^^
      |
      = help: a login needs both; omit both to disable it

    error: `password` must say where the password is kept
     --> config.toml:5:12
      |
    5 | password = ******
      |            ^^^^^^ a password does not belong in this file
      |
      = help: write password = { file = "/run/secrets/sectigo" }, or { credential = "sectigo" } for a systemd credential, or { env = "NAME" } for an environment variable

    config.toml: 3 errors
    "#);
}

#[test]
fn logging() {
    assert_snapshot!(said_of("[log]\nformat = \"jason\"\nlevel = \"inof\"\n"), @r#"
    error: `format` has an unknown value
     --> config.toml:2:10
      |
    2 | format = "jason"
      |          ^^^^^^^ did you mean "json"?
      |
      = help: one of "auto", "text", "json"

    error: `level` has the unknown level "inof"
     --> config.toml:3:9
      |
    3 | level = "inof"
      |         ^^^^^^
      |
      = help: did you mean "info"? error, warn, info, debug, trace or off, or a filter such as "info,certcollectd_core::engine=debug"

    config.toml: 2 errors
    "#);
}

#[test]
fn resolvers() {
    assert_snapshot!(said_of("[dns]\nresolver = [\"dns.example.com\", \"192.0.2.1:0\", 53]\nservers = []\n"), @r##"
    error: an entry of `resolver` is not the address of a resolver
     --> config.toml:2:13
      |
    2 | resolver = ["dns.example.com", "192.0.2.1:0", 53]
      |             ^^^^^^^^^^^^^^^^^
      |
      = help: IP addresses with a port or without, such as resolver = ["192.0.2.53", "[2001:db8::53]:5353"]

    error: an entry of `resolver` is not the address of a resolver
     --> config.toml:2:32
      |
    2 | resolver = ["dns.example.com", "192.0.2.1:0", 53]
      |                                ^^^^^^^^^^^^^
      |
      = help: IP addresses with a port or without, such as resolver = ["192.0.2.53", "[2001:db8::53]:5353"]

    error: an entry of `resolver` must be text
     --> config.toml:2:47
      |
    2 | resolver = ["dns.example.com", "192.0.2.1:0", 53]
      |                                               ^^ this is an integer
      |
      = help: IP addresses with a port or without, such as resolver = ["192.0.2.53", "[2001:db8::53]:5353"]

    error: unknown key `servers` in [dns]
     --> config.toml:3:1
      |
    3 | servers = ******
      | ^^^^^^^
      |
      = help: keys of [dns]: resolver

    config.toml: 4 errors
    "##);
    assert_snapshot!(said_of("[dns]\nresolver = \"192.0.2.1\"\n"), @r##"
    error: `resolver` must be a list
     --> config.toml:2:12
      |
    2 | resolver = "192.0.2.1"
      |            ^^^^^^^^^^^ this is text
      |
      = help: IP addresses with a port or without, such as resolver = ["192.0.2.53", "[2001:db8::53]:5353"]

    config.toml: 1 error
    "##);
}

#[test]
fn metrics() {
    assert_snapshot!(said_of("[metrics]\nper_order = \"no\"\ntextfile = \"/etc/ssl/www.key\"\n"), @r#"
    error: `per_order` must be true or false
     --> config.toml:2:13
      |
    2 | per_order = "no"
      |             ^^^^ this is text
      |
      = help: write per_order = true, without quotes

    error: `textfile` does not end in .prom
     --> config.toml:3:12
      |
    3 | textfile = "/etc/ssl/www.key"
      |            ^^^^^^^^^^^^^^^^^^
      |
      = help: node_exporter reads no other files

    config.toml: 2 errors
    "#);
}

#[test]
fn a_push_listener_that_anybody_can_reach_asks_for_a_password() {
    let open = "[push] requires no password and is reachable from other hosts";
    let login = "\nuser = \"a\"\npassword = { env = \"B\" }\n";
    for (listen, warned) in [
        ("0.0.0.0:1", true),
        ("[::]:1", true),
        ("192.0.2.1:1", true),
        ("127.0.0.1:1", false),
        ("127.8.9.1:1", false),
        ("[::1]:1", false),
        ("[::ffff:127.0.0.1]:1", false),
    ] {
        let text = format!("[push]\nlisten = \"{listen}\"\n");
        let found = said_of(&text);
        assert_eq!(found.contains(open), warned, "{found}");
        assert!(!found.contains("error"), "{found}");
        assert!(!said_of(&(text + login)).contains(open), "{listen}");
    }
}

#[test]
fn the_login_of_a_proxy_is_whole_or_not_there() {
    let account = |more: &str| said(&format!("{}{more}{ORDER}", ACCOUNT.trim_end().to_owned() + "\n"));
    let (proxy, user, password) = (
        "proxy = \"http://proxy:3128\"\n",
        "proxy_user = \"svc\"\n",
        "proxy_password = { file = \"/run/secrets/proxy\" }\n",
    );
    for (written, wrong) in [
        ([proxy, user, password].concat(), None),
        ([proxy].concat(), None),
        ([proxy, user].concat(), Some("`proxy_user` without `proxy_password`")),
        ([proxy, password].concat(), Some("`proxy_password` without `proxy_user`")),
        ([user, password].concat(), Some("`proxy_user` without `proxy`")),
        ([proxy, password, "proxy_user = \"a:b\"\n"].concat(), Some("`proxy_user` is not a user name")),
        (
            [proxy, password, &format!("proxy_user = \"{}\"\n", "x".repeat(256))].concat(),
            Some("is longer than 255"),
        ),
        (
            [proxy, user, "proxy_password = \"hunter2\"\n"].concat(),
            Some("`proxy_password` must say where the password is kept"),
        ),
        ([proxy, user, "proxy_password = { file = \"hunter2\" }\n"].concat(), Some("`file`")),
    ] {
        let found = account(&written);
        assert!(!found.contains("hunter2"), "{found}");
        match wrong {
            Some(wrong) => assert!(
                found.contains(&format!("error: {wrong}")) || found.contains(wrong),
                "{wrong}: {found}"
            ),
            None => assert_eq!(found, "", "{written}"),
        }
    }
}
