//! Values of hooks that are of the right kind and still wrong.

use insta::assert_snapshot;

use super::{ACCOUNT, ORDER, said, said_of};

#[test]
fn calls_of_hooks() {
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}
[[hook]]
name = \"chat\"
[hook.http]
url = \"https://chat.example.com\"
headers = {{ Authorization = \"Bearer abc\", Host = \"x\", \"a b\" = \"c\", X-Odd = \"ä\", X-Twice = \"x\", x-twice = \"y\", X-Api-Key = {{ value = \"abc\" }} }}
body = \"{{{{summry}}}}\"
[[hook]]
name = \"pager\"
http = {{ url = \"https://pager.example.com\", headers = [\"a\"], body = \"{{{{event}}\" }}
")), @r#"
    warning: no order uses the hook `chat`
      --> config.toml:12:8
       |
    12 | name = "chat"
       |        ^^^^^^
       |
       = help: add hooks = ["chat"] to the orders that need it

    error: `Authorization` must say where it is kept
      --> config.toml:15:29
       |
    15 | headers = { Authorization = ******, Host = ******, "a b" = ******, X-Odd = "ä", X-Twice = "x", x-twice = ******, X-Api-Key = { value...
       |                             ^^^^^^ a secret does not belong in this file
       |
       = help: write Authorization = { file = "/run/secrets/sectigo" }, or { credential = "sectigo" } for a systemd credential, or { env = "NAME" } for an environment variable

    error: the header `Host` is sent by certcollectd itself
      --> config.toml:15:37
       |
    15 | headers = { Authorization = ******, Host = ******, "a b" = ******, X-Odd = "ä", X-Twice = "x", x-twice = ******, X-Api-Key = { value...
       |                                     ^^^^
       |
       = help: remove it

    error: the header `a b` has no valid name
      --> config.toml:15:52
       |
    15 | headers = { Authorization = ******, Host = ******, "a b" = ******, X-Odd = "ä", X-Twice = "x", x-twice = ******, X-Api-Key = { value...
       |                                                    ^^^^^
       |
       = help: such as Authorization or X-Priority

    error: an entry of `headers` is no value of a header
      --> config.toml:15:76
       |
    15 | headers = { Authorization = ******, Host = ******, "a b" = ******, X-Odd = "ä", X-Twice = "x", x-twice = ******, X-Api-Key = { value...
       |                                                                            ^^^
       |
       = help: at most 1024 printable ASCII characters

    error: the header `x-twice` is given twice
      --> config.toml:15:96
       |
    15 | headers = { Authorization = ******, Host = ******, "a b" = ******, X-Odd = "ä", X-Twice = "x", x-twice = ******, X-Api-Key = { value...
       |                                                                                                ^^^^^^^
       |
       = help: upper and lower case make no difference

    error: password = { … } needs one of `file`, `credential`, `env`
      --> config.toml:15:126
       |
    15 | ...dd = "ä", X-Twice = "x", x-twice = ******, X-Api-Key = { value = ****** } }
       |                                                           ^^^^^^^^^^^^^^^^^^
       |
       = help: write X-Api-Key = { file = "/run/secrets/sectigo" }, or { credential = "sectigo" } for a systemd credential, or { env = "NAME" } for an environment variable

    error: unknown key `value` in password = { … }
      --> config.toml:15:128
       |
    15 | ..., X-Odd = "ä", X-Twice = "x", x-twice = ******, X-Api-Key = { value = ****** } }
       |                                                                  ^^^^^
       |
       = help: keys of password = { … }: file, credential, env

    error: `body` has the unknown variable "summry"
      --> config.toml:16:8
       |
    16 | body = "{{summry}}"
       |        ^^^^^^^^^^^^
       |
       = help: did you mean "summary"? variables are event, order, account, order_number, product, dir, cert, chain, fullchain, domains, serial, fingerprint, not_after, generation, summary, next, key, time, until, rehearsal, dcv_method, dcv_records, dcv_file_name, dcv_file_content

    warning: no order uses the hook `pager`
      --> config.toml:18:8
       |
    18 | name = "pager"
       |        ^^^^^^^
       |
       = help: add hooks = ["pager"] to the orders that need it

    error: `headers` must be a table
      --> config.toml:19:55
       |
    19 | http = { url = "https://pager.example.com", headers = ["a"], body = "{{event}" }
       |                                                       ^^^^^ this is a list
       |
       = help: names and values, such as headers = { Authorization = { file = "/etc/certcollectd/token" } }

    error: `body` has a `{{` without its `}}`
      --> config.toml:19:69
       |
    19 | http = { url = "https://pager.example.com", headers = ["a"], body = "{{event}" }
       |                                                                     ^^^^^^^^^^
       |
       = help: a text such as body = '{"text": "{{summary}}"}'

    config.toml: 10 errors, 2 warnings
    "#);
}

#[test]
fn an_address_or_a_body_that_is_kept_elsewhere_is_no_text() {
    for key in ["url", "body"] {
        let call = |value: &str| {
            let url = if key == "url" { "" } else { "url = \"https://chat.example.com\"\n" };
            let hook = format!("[[hook]]\nname = \"chat\"\n[hook.http]\n{url}{key} = {value}\n");
            said(&format!("{ACCOUNT}{ORDER}{hook}"))
        };
        let kept = call("{ file = \"/etc/certcollectd/chat\" }");
        assert!(!kept.contains("error"), "{kept}");
        for wrong in ["{ value = \"s3cret\" }", "{ file = \"s3cret\" }", "{ env = \"a s3cret\" }"] {
            let text = call(wrong);
            assert!(text.contains("error: ") && !text.contains("s3cret"), "{text}");
        }
    }
}

#[test]
fn hooks() {
    assert_snapshot!(said(&format!("{ACCOUNT}{ORDER}
[[hook]]
name = \"a\"
run = \"systemctl reload nginx\"
[[hook]]
name = \"b\"
run = []
on = []
[[hook]]
name = \"c\"
run = [\"./reload\"]
signal = {{ pid_file = \"/run/x.pid\", name = \"HUP\" }}
[[hook]]
name = \"d\"
signal = {{ pid_file = \"x.pid\", name = \"SIGKILL\" }}
on = [\"instaled\"]
[[hook]]
name = \"e\"
http = {{ url = \"docker.sock\", method = \"P OST\" }}
timeout = 60
merge = \"no\"
[[hook]]
name = \"f\"
http = {{ url = \"http+unix://run/docker.sock\" }}
on = [\"failed\", \"failed\"]
")), @r#"
    warning: no order uses the hook `a`
      --> config.toml:12:8
       |
    12 | name = "a"
       |        ^^^
       |
       = help: add hooks = ["a"] to the orders that need it

    error: `run` must be a list
      --> config.toml:13:7
       |
    13 | run = "systemctl reload nginx"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^ this is text
       |
       = help: one argument each: run = ["systemctl", "reload", "nginx"]; no shell is involved

    warning: no order uses the hook `b`
      --> config.toml:15:8
       |
    15 | name = "b"
       |        ^^^
       |
       = help: add hooks = ["b"] to the orders that need it

    error: `run` is empty
      --> config.toml:16:7
       |
    16 | run = []
       |       ^^
       |
       = help: the program and its arguments, one by one: run = ["systemctl", "reload", "nginx"]

    error: `on` is empty, so the hook would never run
      --> config.toml:17:6
       |
    17 | on = []
       |      ^^
       |
       = help: a list of events, such as on = ["installed", "failed"]

    warning: no order uses the hook `c`
      --> config.toml:19:8
       |
    19 | name = "c"
       |        ^^^
       |
       = help: add hooks = ["c"] to the orders that need it

    error: both `run` and `signal` in [[hook]]
      --> config.toml:21:1
       |
    20 | run = ["./reload"]
       | --- the other one
    21 | signal = { pid_file = "/run/x.pid", name = "HUP" }
       | ^^^^^^ only one of them is allowed

    warning: no order uses the hook `d`
      --> config.toml:23:8
       |
    23 | name = "d"
       |        ^^^
       |
       = help: add hooks = ["d"] to the orders that need it

    error: `pid_file` is not an absolute path
      --> config.toml:24:23
       |
    24 | signal = { pid_file = "x.pid", name = "SIGKILL" }
       |                       ^^^^^^^
       |
       = help: begin with a slash; the daemon has no working directory

    error: `name` is not a signal that a hook may send
      --> config.toml:24:39
       |
    24 | signal = { pid_file = "x.pid", name = "SIGKILL" }
       |                                       ^^^^^^^^^
       |
       = help: one of HUP, INT, QUIT, TERM, USR1, USR2, ALRM, CONT, TTIN, TTOU, WINCH, URG, IO

    error: an entry of `on` has an unknown value
      --> config.toml:25:7
       |
    25 | on = ["instaled"]
       |       ^^^^^^^^^^ did you mean "installed"?
       |
       = help: one of "installed", "failed", "expiring", "probe-failed", "recovered", "revoked", "dcv-publish", "dcv-remove"

    warning: no order uses the hook `e`
      --> config.toml:27:8
       |
    27 | name = "e"
       |        ^^^
       |
       = help: add hooks = ["e"] to the orders that need it

    error: `url` is not a URL
      --> config.toml:28:16
       |
    28 | http = { url = "docker.sock", method = "P OST" }
       |                ^^^^^^^^^^^^^
       |
       = help: http://, https:// or http+unix:// and an address, such as "http+unix:///run/docker.sock/containers/web/kill?signal=HUP"

    error: `method` is not an HTTP method
      --> config.toml:28:40
       |
    28 | http = { url = "docker.sock", method = "P OST" }
       |                                        ^^^^^^^
       |
       = help: such as "POST" or "PUT"

    error: `timeout` must be text
      --> config.toml:29:11
       |
    29 | timeout = 60
       |           ^^ this is an integer
       |
       = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `merge` must be true or false
      --> config.toml:30:9
       |
    30 | merge = "no"
       |         ^^^^ this is text
       |
       = help: write merge = true, without quotes

    warning: no order uses the hook `f`
      --> config.toml:32:8
       |
    32 | name = "f"
       |        ^^^
       |
       = help: add hooks = ["f"] to the orders that need it

    error: `url` does not name a socket
      --> config.toml:33:16
       |
    33 | http = { url = "http+unix://run/docker.sock" }
       |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: http+unix:// is followed by the absolute path of the socket, so three slashes in all

    warning: listed twice in `on`
      --> config.toml:34:17
       |
    34 | on = ["failed", "failed"]
       |       --------  ^^^^^^^^ again here
       |       |
       |       first here

    config.toml: 12 errors, 7 warnings
    "#);
}

#[test]
fn a_program_is_told_no_more_than_linux_lets_it() {
    let hook = |length: usize| {
        let argument = "x".repeat(length - "/bin/echo\0\0".len());
        said_of(&format!("[[hook]]\nname = \"a\"\nrun = [\"/bin/echo\", \"{argument}\"]\n"))
    };
    let said = hook(32 * 1024 + 1);
    assert!(said.contains("`run` is 32769 bytes long, more than the 32768"), "{said:.400}");
    assert!(said.contains("put it into a script"), "{said:.400}");
    assert!(!hook(32 * 1024).contains("bytes long"));
}
