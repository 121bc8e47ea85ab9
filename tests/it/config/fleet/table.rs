//! What can be wrong with the table itself.

use super::*;

#[test]
fn the_store() {
    let of = |store: &str, endpoints: &str| {
        said(&follower("", "").replace(STORE, &format!("store = \"{store}\"\nendpoints = [{endpoints}]\n")))
    };
    let etcd = "\"10.0.0.1:2379\", \"https://10.0.0.1\", \"https://user:hunter2@10.0.0.1:2379\", \
        \"https://10.0.0.1:2379/v3\", \"postgres://10.0.0.1:5432/certs\"";
    assert_snapshot!(of("etcd", etcd), @r#"
    error: an entry of `endpoints` is not a URL
     --> config.toml:5:14
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |              ^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    error: an entry of `endpoints` has no port
     --> config.toml:5:31
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                               ^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    error: an entry of `endpoints` contains a user name or password
     --> config.toml:5:51
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                                                   ^^^^^^
      |
      = help: remove the part before the @; use user and password of [fleet] instead

    error: an entry of `endpoints` has more than a host and a port
     --> config.toml:5:59
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    error: an entry of `endpoints` has a scheme that is not the store's
     --> config.toml:5:87
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                                                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    config.toml: 5 errors
    "#);
    let postgres = "\"postgres://db:5432\", \"postgres://user:hunter2@db:5432/certs\", \"postgres://db/certs\", \
        \"postgres://db:5432/certs?sslmode=off\", \"https://db:5432/certs\"";
    assert_snapshot!(of("postgres", postgres), @r#"
    error: an entry of `endpoints` names no database
     --> config.toml:5:14
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |              ^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    error: an entry of `endpoints` contains a user name or password
     --> config.toml:5:36
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                    ^^^^^^
      |
      = help: remove the part before the @; use user and password of [fleet] instead

    error: an entry of `endpoints` has no port
     --> config.toml:5:44
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                            ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    error: an entry of `endpoints` has more than the name of a database
     --> config.toml:5:67
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    error: an entry of `endpoints` has a scheme that is not the store's
     --> config.toml:5:107
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                                                                                           ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    config.toml: 5 errors
    "#);
    assert_snapshot!(of("consul", "\"https://10.0.0.1:2379\""), @r#"
    error: `store` has an unknown value
     --> config.toml:4:9
      |
    4 | store = "consul"
      |         ^^^^^^^^
      |
      = help: one of "etcd", "postgres"

    config.toml: 1 error
    "#);
    assert_snapshot!(of("etcd", ""), @r#"
    error: `endpoints` is an empty list
     --> config.toml:5:13
      |
    5 | endpoints = []
      |             ^^
      |
      = help: such as endpoints = ["https://10.0.0.1:2379"], one for each member

    config.toml: 1 error
    "#);
    // In the clear only where nobody is on the way.
    assert_snapshot!(of("etcd", "\"http://10.0.0.1:2379\", \"http://localhost:2379\", \"http://[::1]:2379\""), @r#"
    warning: the store is reached without TLS
     --> config.toml:5:14
      |
    5 | endpoints = ["http://10.0.0.1:2379", "http://localhost:2379", "http://[::1]:2379"]
      |              ^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: its password crosses the network in the clear, and anybody on the way can change what it says; use https://

    config.toml: 1 warning
    "#);
    assert_snapshot!(said(&follower("cert_file = \"/etc/x.pem\"\nuser = \"web-1\"\nname = \"Web-1\"\n", "")), @r#"
    error: `cert_file` without `key_file`
     --> config.toml:6:1
      |
    6 | cert_file = "/etc/x.pem"
      | ^^^^^^^^^
      |
      = help: a client certificate needs both; omit both if the store asks for none

    error: `user` without `password`
     --> config.toml:7:1
      |
    7 | user = "web-1"
      | ^^^^
      |
      = help: a login needs both; omit both to disable it

    error: `name` has capital letters
     --> config.toml:8:8
      |
    8 | name = "Web-1"
      |        ^^^^^^^
      |
      = help: write "web-1"

    config.toml: 3 errors
    "#);
    assert_snapshot!(said(&follower("key_file = \"/etc/x.key\"\npassword = \"hunter2\"\nprefix = \"a b/\"\n", "")), @r#"
    error: `key_file` without `cert_file`
     --> config.toml:6:1
      |
    6 | key_file = "/etc/x.key"
      | ^^^^^^^^
      |
      = help: a client certificate needs both; omit both if the store asks for none

    error: `password` without `user`
     --> config.toml:7:1
      |
    7 | password = ******
      | ^^^^^^^^
      |
      = help: a login needs both; omit both to disable it

    error: `password` must say where the password is kept
     --> config.toml:7:12
      |
    7 | password = ******
      |            ^^^^^^ a password does not belong in this file
      |
      = help: write password = { file = "/run/secrets/sectigo" }, or { credential = "sectigo" } for a systemd credential, or { env = "NAME" } for an environment variable

    error: `prefix` has a character that keys must not have
     --> config.toml:8:10
      |
    8 | prefix = "a b/"
      |          ^^^^^^
      |
      = help: 1 to 100 letters, digits and . _ - /, such as "certcollectd/main/"

    config.toml: 4 errors
    "#);
    let copy = "key_file = \"/etc/www.key\"\n[[order.copy]]\nfrom = \"cert\"\nto = \"/etc/etcd-ca.pem\"\n\
        [[order.copy]]\nfrom = \"chain\"\nto = \"/etc/etcd-password\"\n";
    let files =
        "ca_file = \"/etc/etcd-ca.pem\"\nuser = \"web-1\"\npassword = { file = \"/etc/etcd-password\" }\n";
    assert_snapshot!(said(&follower(files, copy)), @r#"
    error: a copy over the ca_file of [fleet]
      --> config.toml:15:6
       |
    15 | to = "/etc/etcd-ca.pem"
       |      ^^^^^^^^^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    error: a copy over the password of [fleet]
      --> config.toml:18:6
       |
    18 | to = "/etc/etcd-password"
       |      ^^^^^^^^^^^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    config.toml: 2 errors
    "#);
}

#[test]
fn a_lease_covers_its_calls() {
    let local =
        |text: String| text.replace("login_name", "base_url = \"https://127.0.0.1:8443\"\nlogin_name");
    assert_eq!(said(&collector("lease = \"170s\"\n", "")), "");
    assert_snapshot!(said(&collector("lease = \"169s\"\n", "")), @r#"
    error: `lease` is too short for the calls that it covers
     --> config.toml:6:9
      |
    6 | lease = "169s"
      |         ^^^^^^ 2m49s
      |
      = help: at least 2m50s, which is twice request_timeout (1m), settle (20s) and margin (5s): calls go on for half of it while the store does not answer

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&format!("[polling]\nrequest_timeout = \"2m\"\n{}", collector("", ""))), @r"
    error: `lease` is too short for the calls that it covers
     --> config.toml:3:1
      |
    3 | [fleet]
      | ^^^^^^^ 3m
      |
      = help: at least 4m50s, which is twice request_timeout (2m), settle (20s) and margin (5s): calls go on for half of it while the store does not answer

    config.toml: 1 error
    ");
    assert_eq!(said(&local(collector("lease = \"115s\"\n", ""))), "");
    assert_snapshot!(said(&local(collector("lease = \"105s\"\nbeat = \"21s\"\n", ""))), @r#"
    error: `lease` is too short for the calls that it covers
     --> config.toml:6:9
      |
    6 | lease = "105s"
      |         ^^^^^^ 1m45s
      |
      = help: at least 1m46s, which is beat (21s), request_timeout (1m), settle (20s) and margin (5s): or no call may ever begin

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&collector("beat = \"46s\"\nmargin = \"5\"\n", "")), @r#"
    error: `beat` is longer than a quarter of `lease`
     --> config.toml:6:8
      |
    6 | beat = "46s"
      |        ^^^^^ 46s
      |
      = help: at most 45s: a beat that is lost must not end the lease

    error: `margin` has no unit
     --> config.toml:7:10
      |
    7 | margin = "5"
      |          ^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    config.toml: 2 errors
    "#);
}

#[test]
fn waves() {
    let of = |waves: &str| said(&collector(&format!("wave = [\n{waves}\n]\n"), ""));
    assert_snapshot!(of("{ share = 0.5 },\n{ hosts = [\"a\"] },\n{ share = 0.1 },\n{ share = 1 }"), @r#"
    error: a wave is smaller than the one before it
     --> config.toml:9:11
      |
    7 | { share = 0.5 },
      |           --- this is more
    8 | { hosts = ["a"] },
    9 | { share = 0.1 },
      |           ^^^
      |
      = help: a share counts the hosts of the waves before, too

    config.toml: 1 error
    "#);
    assert_snapshot!(of("{ share = 0.5 },\n{ share = 0.5, hosts = [\"a\"] },\n{ soak = \"1m\" }"), @r#"
    error: both `share` and `hosts` in [[fleet.wave]]
     --> config.toml:8:16
      |
    8 | { share = 0.5, hosts = ["a"] },
      |   -----        ^^^^^ only one of them is allowed
      |   |
      |   the other one

    error: [[fleet.wave]] needs one of `hosts`, `share`
     --> config.toml:9:1
      |
    9 | { soak = "1m" }
      | ^^^^^^^^^^^^^^^
      |
      = help: hosts = ["web-001"] for some by name, or share = 0.1 for a tenth of all

    config.toml: 2 errors
    "#);
    assert_snapshot!(of("{ share = 0 },\n{ share = 1.1 },\n{ share = \"1\" },\n{ hosts = [] },\n{ hosts = [\"A\"] }"), @r#"
    error: `share` is out of range
     --> config.toml:7:11
      |
    7 | { share = 0 },
      |           ^
      |
      = help: a number from 0.001 to 1: 0.1 is a tenth of the hosts, 1.0 all of them

    error: `share` is out of range
     --> config.toml:8:11
      |
    8 | { share = 1.1 },
      |           ^^^
      |
      = help: a number from 0.001 to 1: 0.1 is a tenth of the hosts, 1.0 all of them

    error: `share` must be a number
     --> config.toml:9:11
      |
    9 | { share = "1" },
      |           ^^^ this is text
      |
      = help: write it without quotes, such as share = 0.1

    error: `hosts` is an empty list
      --> config.toml:10:11
       |
    10 | { hosts = [] },
       |           ^^
       |
       = help: hosts = ["web-001"] for some by name, or share = 0.1 for a tenth of all

    error: an entry of `hosts` has capital letters
      --> config.toml:11:12
       |
    11 | { hosts = ["A"] }
       |            ^^^
       |
       = help: write "a"

    config.toml: 5 errors
    "#);
    assert_snapshot!(of("{ share = 1.0, at_once = 0, soak = 5 }"), @r#"
    error: `at_once` is out of range
     --> config.toml:7:26
      |
    7 | { share = 1.0, at_once = 0, soak = 5 }
      |                          ^
      |
      = help: a whole number from 1 to 100000, without quotes

    error: `soak` must be text
     --> config.toml:7:36
      |
    7 | { share = 1.0, at_once = 0, soak = 5 }
      |                                    ^ this is an integer
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    config.toml: 2 errors
    "#);
    assert_snapshot!(of("{ share = 0.5 }"), @r"
    error: the last wave does not reach all hosts
     --> config.toml:6:8
      |
    6 | wave = [
      |        ^
      |
      = help: some would never get a certificate; end with { share = 1.0 }

    config.toml: 1 error
    ");
    assert_snapshot!(of(""), @r"
    error: `wave` is an empty list
     --> config.toml:6:8
      |
    6 | wave = [
      |        ^
      |
      = help: omit it, and all hosts are one wave

    config.toml: 1 error
    ");
}

/// The lease is made for the calls that it was configured with.
#[test]
fn calls_of_a_collector_do_not_grow_under_its_lease() {
    let timed = |seconds: u32| {
        let polling = format!("[polling]\nrequest_timeout = \"{seconds}s\"\n");
        config(&format!("{polling}{}", collector("", "")))
    };
    assert!(timed(30).gives_way_to(&timed(20)));
    assert!(!timed(20).gives_way_to(&timed(30)));
    let alone = |seconds: u32| config(&format!("[polling]\nrequest_timeout = \"{seconds}s\"\n{ACCOUNT}"));
    assert!(alone(20).gives_way_to(&alone(30)));
}
