//! Text that is not TOML, and keys that are unknown, missing or of the wrong kind.

use certcollectd::config::file::{Source, read};
use insta::assert_snapshot;

use super::{ACCOUNT, ORDER, said, said_of, said_of_order, source};

#[test]
fn a_table_that_may_be_given_once_is_refused_in_another_piece_as_well() {
    let orders: String =
        (0..5_000).map(|n| format!("[[order]]\nname = \"o{n}\"\norder_number = \"{n}\"\n")).collect();
    assert_snapshot!(said(&format!("[log]\n\
        level = \"info\"\n\
        {orders}[log]\n\
        level = \"warn\"\n\
        {ACCOUNT}")), @r#"
    error: `log` is given twice
         --> config.toml:15003:2
          |
    15003 | [log]
          |  ^^^ again here
          |
         ::: config.toml:1:2
          |
        1 | [log]
          |  --- first here

    config.toml: 1 error
    "#);
}

#[test]
fn syntax_errors_are_all_shown() {
    assert_snapshot!(said_of("[polling]\n\
        interval = 3h\n\
        spread 0.1\n\
        call_gap = \"10s\n\
        [log\n\
        level = 1\n\
        [http]\n\
        listen = \n"), @r#"
    error: unquoted text
     --> config.toml:2:12
      |
    2 | interval = 3h
      |            ^^
      |
      = help: put text in double quotes; numbers, true and false need none

    error: a key without `=` and a value
     --> config.toml:3:8
      |
    3 | spread 0.1
      |        ^ expected `=`
      |
      = help: a setting is written: key = value; a comment begins with #

    error: text without a closing quote
     --> config.toml:4:16
      |
    4 | call_gap = "10s
      |                ^ expected `"`

    error: unclosed table
     --> config.toml:5:5
      |
    5 | [log
      |     ^ expected `]`

    error: there is no value
     --> config.toml:8:10
      |
    8 | listen =
      |          ^ expected a value

    config.toml: 5 errors
    "#);
}

#[test]
fn syntax_errors_over_several_lines_show_where_it_began() {
    assert_snapshot!(said_of("include = [\n\
        \x20 \"a.toml\"\n\
        \x20 \"b.toml\",\n\
        ]\n\
        [log]\n\
        format = \"txt\"\n"), @r#"
    error: missing comma between array elements
     --> config.toml:3:3
      |
    1 | include = [
      |           - the value begins here
    2 |   "a.toml"
    3 |   "b.toml",
      |   ^ expected `,`
      |
      = help: if the value should end before this, close it there

    error: `format` has an unknown value
     --> config.toml:6:10
      |
    6 | format = "txt"
      |          ^^^^^ did you mean "text"?
      |
      = help: one of "auto", "text", "json"

    config.toml: 2 errors
    "#);
    assert_snapshot!(said_of("include = [\"a.toml\",\n[log]\nlevel = \"loud\"\n"), @r#"
    error: an unterminated value
     --> config.toml:1:11
      |
    1 | include = ["a.toml",
      |           ^ it begins here
    2 | [log]
      | ----- something else begins here

    error: `level` has the unknown level "loud"
     --> config.toml:3:9
      |
    3 | level = "loud"
      |         ^^^^^^
      |
      = help: error, warn, info, debug, trace or off, or a filter such as "info,certcollectd_core::engine=debug"

    config.toml: 2 errors
    "#);
}

#[test]
fn numbers_with_a_leading_zero() {
    assert_snapshot!(said_of_order("[[order]]\n\
        name = \"www\"\n\
        order_number = 0123\n\
        [order.files]\n\
        mode = 0644\n"), @r#"
    error: unexpected leading zero
     --> config.toml:3:16
      |
    3 | order_number = 0123
      |                ^
      |
      = help: a number does not begin with 0; a mode is text, such as "0644", and so is an order number

    error: unexpected leading zero
     --> config.toml:5:8
      |
    5 | mode = 0644
      |        ^
      |
      = help: a number does not begin with 0; a mode is text, such as "0644", and so is an order number

    config.toml: 2 errors
    "#);
}

#[test]
fn duplicate_keys_and_tables() {
    assert_snapshot!(said_of("[log]\n\
        level = \"info\"\n\
        format = \"text\"\n\
        level = \"warn\"\n\
        [http]\n\
        listen = \"127.0.0.1:1\"\n\
        [log]\n"), @r#"
    error: `level` is given twice
     --> config.toml:4:1
      |
    2 | level = "info"
      | ----- first here
    3 | format = "text"
    4 | level = "warn"
      | ^^^^^ again here

    error: `log` is given twice
     --> config.toml:7:2
      |
    1 | [log]
      |  --- first here
    ...
    7 | [log]
      |  ^^^ again here
      |
      = help: merge both into one table

    config.toml: 2 errors
    "#);
    assert_snapshot!(said_of_order("[[order]]\n\
        name = \"www\"\n\
        order_number = \"1\"\n\
        [order]\n\
        name = \"mail\"\n"), @r#"
    error: `order` is given twice
     --> config.toml:4:2
      |
    1 | [[order]]
      |   ----- first here
    ...
    4 | [order]
      |  ^^^^^ again here
      |
      = help: write [[order]] with double brackets, each time

    config.toml: 1 error
    "#);
}

#[test]
fn unknown_keys() {
    assert_snapshot!(said_of("intervall = \"3h\"\n\
        [polling]\n\
        intervall = \"3h\"\n\
        timeout = \"3s\"\n\
        state_dir = \"/x\"\n\
        whatever = 1\n\
        [orders]\n"), @r#"
    error: unknown key `intervall` at the top of the file
     --> config.toml:1:1
      |
    1 | intervall = "3h"
      | ^^^^^^^^^
      |
      = help: did you mean `interval` of [polling] or [[order]]?

    error: unknown key `intervall` in [polling]
     --> config.toml:3:1
      |
    3 | intervall = "3h"
      | ^^^^^^^^^ did you mean `interval`?

    error: unknown key `timeout` in [polling]
     --> config.toml:4:1
      |
    4 | timeout = "3s"
      | ^^^^^^^
      |
      = help: `timeout` belongs to [[hook]]

    error: unknown key `state_dir` in [polling]
     --> config.toml:5:1
      |
    5 | state_dir = "/x"
      | ^^^^^^^^^
      |
      = help: `state_dir` belongs at the top of the file, before the first [table]

    error: unknown key `whatever` in [polling]
     --> config.toml:6:1
      |
    6 | whatever = ******
      | ^^^^^^^^
      |
      = help: keys of [polling]: interval, max_interval, guard_interval, spread, call_gap, connect_timeout, request_timeout, settle, unknown_tries, merge_window

    error: unknown key `orders` at the top of the file
     --> config.toml:7:2
      |
    7 | [orders]
      |  ^^^^^^ did you mean `order`?

    config.toml: 6 errors
    "#);
}

#[test]
fn wrong_types() {
    assert_snapshot!(said_of("state_dir = 1\n\
        include = \"orders.d/*.toml\"\n\
        http = \"127.0.0.1:9797\"\n\
        [polling]\n\
        interval = 10800\n\
        spread = \"0.1\"\n\
        unknown_tries = 1.5\n\
        [log]\n\
        level = [\"info\"]\n\
        [[push]]\n"), @r#"
    error: `state_dir` must be text
     --> config.toml:1:13
      |
    1 | state_dir = 1
      |             ^ this is an integer
      |
      = help: an absolute path in quotes

    error: `include` must be a list
     --> config.toml:2:11
      |
    2 | include = "orders.d/*.toml"
      |           ^^^^^^^^^^^^^^^^^ this is text
      |
      = help: a list of patterns, such as include = ["orders.d/*.toml"]

    error: `http` must be a table
     --> config.toml:3:8
      |
    3 | http = "127.0.0.1:9797"
      |        ^^^^^^^^^^^^^^^^ this is text
      |
      = help: write [http]

    error: `interval` must be text
     --> config.toml:5:12
      |
    5 | interval = 10800
      |            ^^^^^ this is an integer
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    error: `spread` must be a number
     --> config.toml:6:10
      |
    6 | spread = "0.1"
      |          ^^^^^ this is text
      |
      = help: write it without quotes, such as spread = 0.1

    error: `unknown_tries` must be an integer
     --> config.toml:7:17
      |
    7 | unknown_tries = 1.5
      |                 ^^^ this is a number
      |
      = help: a whole number from 1 to 1000, without quotes

    error: `level` must be text
     --> config.toml:9:9
      |
    9 | level = ["info"]
      |         ^^^^^^^^ this is a list
      |
      = help: a level in quotes, such as "info"

    error: `push` must be a table
      --> config.toml:10:1
       |
    10 | [[push]]
       | ^^^^^^^^ this is a list
       |
       = help: write [push]

    config.toml: 8 errors
    "#);
}

#[test]
fn missing_keys() {
    assert_snapshot!(said("[[account]]\n\
        [[order]]\n\
        [[hook]]\n\
        [http]\n\
        [push]\n\
        [[order]]\n\
        name = \"a\"\n\
        order_number = \"1\"\n\
        [[order.copy]]\n"), @r#"
    error: [[account]] needs `name`
     --> config.toml:1:1
      |
    1 | [[account]]
      | ^^^^^^^^^^^ missing here
      |
      = help: a name of your own, such as name = "main"

    error: [[account]] needs `login_name`
     --> config.toml:1:1
      |
    1 | [[account]]
      | ^^^^^^^^^^^ missing here
      |
      = help: the login name at the vendor, such as login_name = "example-login"

    error: [[account]] needs `password`
     --> config.toml:1:1
      |
    1 | [[account]]
      | ^^^^^^^^^^^ missing here
      |
      = help: say where the password is kept: password = { file = "/run/secrets/sectigo" }

    error: [[order]] needs `name`
     --> config.toml:2:1
      |
    2 | [[order]]
      | ^^^^^^^^^ missing here
      |
      = help: a name of your own, such as name = "www"; it names the folder

    error: [[order]] needs one of `order_number`, `certificate_id`, `base_order_number`
     --> config.toml:2:1
      |
    2 | [[order]]
      | ^^^^^^^^^
      |
      = help: the number that the vendor gave the order, such as order_number = "123456789"

    error: [[hook]] needs `name`
     --> config.toml:3:1
      |
    3 | [[hook]]
      | ^^^^^^^^ missing here
      |
      = help: a name of your own, such as name = "nginx"

    error: [[hook]] needs one of `run`, `signal`, `http`, `socket`, `follow`
     --> config.toml:3:1
      |
    3 | [[hook]]
      | ^^^^^^^^
      |
      = help: what to do, such as run = ["systemctl", "reload", "nginx"]

    error: [http] needs `listen`
     --> config.toml:4:1
      |
    4 | [http]
      | ^^^^^^ missing here
      |
      = help: an address with a port, such as listen = "127.0.0.1:9797"

    error: [push] needs `listen`
     --> config.toml:5:1
      |
    5 | [push]
      | ^^^^^^ missing here
      |
      = help: an address with a port, such as listen = "127.0.0.1:9798"

    error: [[order.copy]] needs `from`
     --> config.toml:9:1
      |
    9 | [[order.copy]]
      | ^^^^^^^^^^^^^^ missing here
      |
      = help: which content, such as from = "fullchain"

    error: [[order.copy]] needs `to`
     --> config.toml:9:1
      |
    9 | [[order.copy]]
      | ^^^^^^^^^^^^^^ missing here
      |
      = help: an absolute path, such as to = "/etc/haproxy/site.pem"

    config.toml: 11 errors
    "#);
}

#[test]
fn an_empty_file() {
    assert_snapshot!(said(""), @r#"
    error: there is no [[account]]
    --> config.toml
     = help: add one with name, login_name and password; config/minimal.toml shows how

    warning: there is no [[order]], so there is nothing to do
    --> config.toml
     = help: add one with name and order_number

    config.toml: 1 error, 1 warning
    "#);
}

#[test]
fn no_order_is_fine() {
    assert_snapshot!(said(ACCOUNT), @r#"
    warning: there is no [[order]], so there is nothing to do
    --> config.toml
     = help: add one with name and order_number

    config.toml: 1 warning
    "#);
}

#[test]
fn a_second_level_of_brackets() {
    assert_snapshot!(said(&format!("[order]\n\
        name = \"a\"\n\
        order_number = \"1\"\n\
        [[polling]]\n\
        interval = \"3h\"\n\
        {ACCOUNT}")), @r#"
    error: `order` must be a list of tables
     --> config.toml:1:1
      |
    1 | [order]
      | ^^^^^^^ this is a table
      |
      = help: write [[order]] with double brackets

    error: `polling` must be a table
     --> config.toml:4:1
      |
    4 | [[polling]]
      | ^^^^^^^^^^^ this is a list
      |
      = help: write [polling]

    config.toml: 2 errors
    "#);
}

#[test]
fn what_an_included_file_may_hold() {
    let sources = [
        source(&format!("include = [\"*/x.toml\", \"\"]\n{ACCOUNT}{ORDER}")),
        Source { path: "orders.d/a.toml".into(), text: format!("state_dir = \"/x\"\n[pollin]\n{ORDER}") },
    ];
    let problems = read(&sources).expect_err("it is wrong");
    assert_snapshot!(problems.render(&sources, false), @r#"
    error: an entry of `include` has a wildcard in a folder
     --> config.toml:1:12
      |
    1 | include = ["*/x.toml", ""]
      |            ^^^^^^^^^^
      |
      = help: only the file name may have one, such as "orders.d/*.toml", relative to the folder of this file

    error: an entry of `include` does not name a file
     --> config.toml:1:24
      |
    1 | include = ["*/x.toml", ""]
      |                        ^^
      |
      = help: such as "orders.d/*.toml", relative to the folder of this file

    error: `state_dir` in an included file
     --> orders.d/a.toml:1:1
      |
    1 | state_dir = "/x"
      | ^^^^^^^^^ belongs to the main file
      |
      = help: an included file may contain only [[account]], [[order]] and [[hook]]

    error: unknown key `pollin` in an included file
     --> orders.d/a.toml:2:2
      |
    2 | [pollin]
      |  ^^^^^^
      |
      = help: did you mean `polling` of the top of the file?

    error: two orders with the name `www`
     --> orders.d/a.toml:5:8
      |
    5 | name = "www"
      |        ^^^^^ again here
      |
     ::: config.toml:9:8
      |
    9 | name = "www"
      |        ----- first here
      |
      = help: the name is also the order's folder, so it must be unique

    config.toml: 5 errors
    "#);
}

#[test]
fn an_included_file_that_holds_nothing_is_told() {
    let sources = [
        source(&format!("{ACCOUNT}{ORDER}")),
        Source { path: "orders.d/a.toml".into(), text: "# nothing yet\n\n".into() },
        Source { path: "orders.d/b.toml".into(), text: String::new() },
        Source { path: "orders.d/c.toml".into(), text: "\n[[hook".into() },
        Source { path: "orders.d/d.toml".into(), text: ORDER.replace("www", "mail").replace('1', "2") },
    ];
    let problems = read(&sources).expect_err("one is cut off");
    assert_eq!((problems.errors(), problems.warnings()), (1, 2));
    assert_eq!(
        problems.lines(&sources)[..2],
        ["a", "b"].map(|name| format!(
            "orders.d/{name}.toml: warning: an included file is empty; if it contained orders, restore them; otherwise remove it"
        ))
    );
}
