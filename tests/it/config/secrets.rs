//! No message shows a password, wherever it was written.

use certcollectd::config::file::read;
use insta::assert_snapshot;

use super::damage::{Dice, mutate};
use super::{ACCOUNT, EXAMPLE, ORDER, said, source};

#[test]
fn a_password_in_the_file_is_refused_and_not_shown() {
    let account = "[[account]]\nname = \"main\"\nlogin_name = \"x\"\n";
    assert_snapshot!(said(&format!("{account}password = \"hunter2\"\n{ORDER}")), @r#"
    error: `password` must say where the password is kept
     --> config.toml:4:12
      |
    4 | password = ******
      |            ^^^^^^ a password does not belong in this file
      |
      = help: write password = { file = "/run/secrets/sectigo" }, or { credential = "sectigo" } for a systemd credential, or { env = "NAME" } for an environment variable

    config.toml: 1 error
    "#);
}

#[test]
fn a_password_in_the_wrong_form_is_not_shown() {
    assert_snapshot!(said("[[account]]\nname = \"a\"\nlogin_name = \"x\"\npassword = { file = \"hunter2\" }\n\
         [[account]]\nname = \"b\"\nlogin_name = \"y\"\npassword = { env = \"hunter-2\" }\n\
         [[account]]\nname = \"c\"\nlogin_name = \"z\"\npassword = { value = \"hunter2\" }\n\
         [[account]]\nname = \"d\"\nlogin_name = \"u\"\npassword = { file = \"/x\", env = \"X\" }\n\
         [[account]]\nname = \"e\"\nlogin_name = \"v\"\npasswrod = \"hunter2\"\n"), @r#"
    warning: there is no [[order]], so there is nothing to do
    --> config.toml
     = help: add one with name and order_number

    error: `file` is not an absolute path
     --> config.toml:4:21
      |
    4 | password = { file = ****** }
      |                     ^^^^^^
      |
      = help: begin with a slash; the daemon has no working directory

    error: `env` is not the name of an environment variable
     --> config.toml:8:20
      |
    8 | password = { env = ****** }
      |                    ^^^^^^
      |
      = help: letters, digits and _ only; give the name of the variable, not its value

    error: password = { … } needs one of `file`, `credential`, `env`
      --> config.toml:12:12
       |
    12 | password = { value = ****** }
       |            ^^^^^^^^^^^^^^^^^^
       |
       = help: write password = { file = "/run/secrets/sectigo" }, or { credential = "sectigo" } for a systemd credential, or { env = "NAME" } for an environment variable

    error: unknown key `value` in password = { … }
      --> config.toml:12:14
       |
    12 | password = { value = ****** }
       |              ^^^^^
       |
       = help: keys of password = { … }: file, credential, env

    error: both `file` and `env` in password = { … }
      --> config.toml:16:27
       |
    16 | password = { file = "/x", env = "X" }
       |              ----         ^^^ only one of them is allowed
       |              |
       |              the other one

    error: unknown key `passwrod` in [[account]]
      --> config.toml:20:1
       |
    20 | passwrod = ******
       | ^^^^^^^^ did you mean `password`?

    config.toml: 6 errors, 1 warning
    "#);
}

/// Ways to write a password where it does not belong.
const LEAKS: [&str; 22] = [
    "password = \"hunter2\"",
    "password = 'hunter2'",
    "password = \"\"\"hunter2\"\"\"",
    "password = \"\"\"\nhunter2\n\"\"\"",
    "password = '''\nhunter2",
    "password = hunter2",
    "password = \"hunter2",
    "password = [\"hunter2\"]",
    "password = [\n\"hunter2\"\n",
    "password = { file = \"hunter2\" }",
    "password = { value = \"hunter2\" }",
    "password = { value = \"hunter2\"",
    "password.value = \"hunter2\"",
    "\"password\" = \"hunter2\"",
    "password \"hunter2\"",
    "password: hunter2",
    "password =\n\"hunter2\"",
    "passwrod = \"hunter2\"\nlogin_name = 3",
    "login_password = \"hunter2\"",
    "pw = \"hunter2\" x",
    "base_url = \"http://user:hunter2@example.com\"",
    "proxy = \"ftp://user:hunter2@proxy:1\"",
];

#[test]
fn no_secret_is_ever_shown() {
    for leak in LEAKS {
        for text in [
            format!("[[account]]\nname = \"main\"\n{leak}\n"),
            format!("[[account]]\n{leak}\nname = \"main\"\n{leak}\n{ORDER}"),
            format!("{leak}\n{ACCOUNT}"),
            format!("[[order]]\nhooks = [\"a\",\n{leak}\nname = \"main\"\n"),
            format!("[push]\nuser = \"x\"\n{leak}\n[log]\nx y\n"),
        ] {
            let sources = [source(&text)];
            let problems = read(&sources).expect_err("a password in the file");
            for shown in [problems.render(&sources, false), problems.lines(&sources).join("\n")] {
                assert!(!shown.contains("hunter"), "{text}\n--- shows\n{shown}");
            }
        }
    }
}

#[test]
fn damaged_files_never_show_a_secret() {
    let text = EXAMPLE
        .replace("password = { file = \"/run/secrets/sectigo\" }", "password = \"HUNTER2\"")
        .replace("login_name = ", "login_nam = ");
    assert!(text.contains("HUNTER2"));
    for seed in 1..=2_000 {
        let damaged = mutate(&text, &mut Dice::new(seed));
        let sources = [source(&damaged)];
        let (Ok((_, problems)) | Err(problems)) = read(&sources);
        let shown = problems.render(&sources, false) + &problems.lines(&sources).join("\n");
        assert!(!shown.contains("HUNTER"), "seed {seed}\n{damaged}\n--- shows\n{shown}");
    }
}
