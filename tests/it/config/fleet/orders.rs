//! What a role makes of accounts, orders and hooks, and refuses.

use super::*;

#[test]
fn a_follower_holds_nothing_of_the_vendors() {
    let polling = "[polling]\ninterval = \"6h\"\n[push]\nlisten = \"127.0.0.1:0\"\n[reissues]\nper_day = 5\n";
    assert_snapshot!(said(&format!("{polling}{ACCOUNT}{}", follower("", ""))), @r#"
    error: [polling] on a follower
     --> config.toml:1:2
      |
    1 | [polling]
      |  ^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: [push] on a follower
     --> config.toml:3:2
      |
    3 | [push]
      |  ^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: [reissues] on a follower
     --> config.toml:5:2
      |
    5 | [reissues]
      |  ^^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: an [[account]] on a follower
     --> config.toml:9:8
      |
    9 | name = "main"
      |        ^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    config.toml: 4 errors
    "#);
    let order = "order_number = \"1\"\naccount = \"main\"\ninterval = \"6h\"\nresponse = \"zip\"\n\
        params = { behaviourVersion = \"1\" }\n[order.reissue]\nwhen = \"manual\"\n";
    assert_snapshot!(said(&follower("", order)), @r#"
    error: `order_number` on a follower
     --> config.toml:9:1
      |
    9 | order_number = "1"
      | ^^^^^^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `account` on a follower
      --> config.toml:10:1
       |
    10 | account = "main"
       | ^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `interval` on a follower
      --> config.toml:11:1
       |
    11 | interval = "6h"
       | ^^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `response` on a follower
      --> config.toml:12:1
       |
    12 | response = "zip"
       | ^^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `params` on a follower
      --> config.toml:13:1
       |
    13 | params = { behaviourVersion = "1" }
       | ^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `reissue` on a follower
      --> config.toml:14:8
       |
    14 | [order.reissue]
       |        ^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    config.toml: 6 errors
    "#);
    assert_snapshot!(said(&format!("[defaults]\naccount = \"main\"\nspread = 0.2\n{}", follower("", ""))), @r#"
    error: `account` on a follower
     --> config.toml:2:1
      |
    2 | account = "main"
      | ^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `spread` on a follower
     --> config.toml:3:1
      |
    3 | spread = 0.2
      | ^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    config.toml: 2 errors
    "#);
    let lease = "lease = \"3m\"\nbeat = \"20s\"\nmargin = \"5s\"\nwave = [{ share = 1.0 }]\n";
    assert_snapshot!(said(&follower(lease, "")), @r#"
    error: `lease` on a follower
     --> config.toml:6:1
      |
    6 | lease = "3m"
      | ^^^^^
      |
      = help: it is the collectors' to say; remove it

    error: `beat` on a follower
     --> config.toml:7:1
      |
    7 | beat = "20s"
      | ^^^^
      |
      = help: it is the collectors' to say; remove it

    error: `margin` on a follower
     --> config.toml:8:1
      |
    8 | margin = "5s"
      | ^^^^^^
      |
      = help: it is the collectors' to say; remove it

    error: `wave` on a follower
     --> config.toml:9:1
      |
    9 | wave = [{ share = 1.0 }]
      | ^^^^
      |
      = help: it is the collectors' to say; remove it

    config.toml: 4 errors
    "#);
    assert_snapshot!(said(&fleet("follower", "")), @r"
    warning: there is no [[order]], so there is nothing to do
    --> config.toml
     = help: add one with name and group

    config.toml: 1 warning
    ");
}

#[test]
fn a_follower_trusts_what_public_roots_say() {
    assert_snapshot!(said(&follower("", "[order.verify]\ntrust = \"warn\"\n")), @r#"
    warning: a follower whose `trust` is not "block"
      --> config.toml:10:9
       |
    10 | trust = "warn"
       |         ^^^^^^
       |
       = help: whoever may write to the store can make it install a certificate of their own CA; for a private root, name that in trust_anchors

    config.toml: 1 warning
    "#);
    assert_snapshot!(said(&follower("", "product = \"mark\"\n")), @r"
    error: the order `www` needs `trust_anchors`
     --> config.toml:6:1
      |
    6 | [[order]]
      | ^^^^^^^^^
      |
      = help: the roots of mark certificates are in no system's store; name theirs in [order.verify]

    config.toml: 1 error
    ");
    let anchors = "product = \"mark\"\n[order.verify]\ntrust_anchors = \"/etc/ssl/mark.pem\"\n";
    assert_eq!(said(&follower("", anchors)), "");
    assert_eq!(config(&collector("", "")).orders[0].settings.verify.trust, Severity::Warn);
}

#[test]
fn a_collector_installs_nothing() {
    let order = "hooks = [\"nginx\", \"mail\"]\nwindows = [\"night\"]\nwindow_margin = \"3d\"\n\
        [order.files]\ncert = \"c.pem\"\n[[order.copy]]\nfrom = \"cert\"\nto = \"/etc/c.pem\"\n\
        [[order.probe]]\nconnect = \"127.0.0.1:443\"\n\
        [[hook]]\nname = \"nginx\"\nrun = [\"true\"]\n\
        [[hook]]\nname = \"mail\"\non = [\"failed\", \"installed\"]\nrun = [\"true\"]\n";
    let text = collector("", order);
    assert_snapshot!(said(&text.replace("windows = [\"night\"]\n", "windows = []\n")), @r#"
    warning: `windows` on a collector has no effect
      --> config.toml:16:1
       |
    16 | windows = []
       | ^^^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `window_margin` on a collector has no effect
      --> config.toml:17:1
       |
    17 | window_margin = "3d"
       | ^^^^^^^^^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `files` on a collector has no effect
      --> config.toml:18:8
       |
    18 | [order.files]
       |        ^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `copy` on a collector has no effect
      --> config.toml:20:9
       |
    20 | [[order.copy]]
       |         ^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `probe` on a collector has no effect
      --> config.toml:23:9
       |
    23 | [[order.probe]]
       |         ^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: the hook `nginx` never runs on a collector
      --> config.toml:26:8
       |
    26 | name = "nginx"
       |        ^^^^^^^
       |
       = help: a collector installs nothing; it may be on failed, expiring, revoked or recovered

    config.toml: 6 warnings
    "#);
    let order = &config(&text.replace("windows = [\"night\"]\n", "windows = []\n")).orders[0];
    assert_eq!(order.settings.files, Files::default());
    assert_eq!((order.settings.probes.len(), order.copies.len(), order.settings.windows.len()), (0, 0, 0));
    let request = "csr_file = \"/etc/ssl/www.csr\"\n[order.reissue]\ncsr = \"file\"\ndcv = \"cname\"\n";
    assert_eq!(said(&collector("", request)), "");
}

#[test]
fn groups() {
    assert_snapshot!(said(&follower("", "").replace("group = \"web\"", "group = \"wbe\"")), @r#"
    error: there is no group with the name "wbe"
     --> config.toml:8:9
      |
    8 | group = "wbe"
      |         ^^^^^ did you mean "web"?
      |
      = help: `groups` of [fleet] are web, mail

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&follower("", "").replace("group = \"web\"\n", "")), @r#"
    error: the order `www` does not say which group
     --> config.toml:6:1
      |
    6 | [[order]]
      | ^^^^^^^^^
      |
      = help: add the group of hosts that install it: group = "web"

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&collector("", "").replace("group = \"web\"\n", "")), @r#"
    error: the order `www` does not say which group
      --> config.toml:11:1
       |
    11 | [[order]]
       | ^^^^^^^^^
       |
       = help: add the group of hosts that install it: group = "web"

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&follower("", "").replace("groups = [\"web\", \"mail\"]\n", "")), @r#"
    error: [fleet] needs `groups`
     --> config.toml:1:1
      |
    1 | [fleet]
      | ^^^^^^^ missing here
      |
      = help: names of groups of hosts, such as groups = ["web-eu"]

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&follower("", "").replace("[\"web\", \"mail\"]", "[\"Web\", \"a/b\"]")), @r#"
    error: an entry of `groups` has capital letters
     --> config.toml:3:11
      |
    3 | groups = ["Web", "a/b"]
      |           ^^^^^
      |
      = help: write "web"

    error: an entry of `groups` has the character '/'
     --> config.toml:3:18
      |
    3 | groups = ["Web", "a/b"]
      |                  ^^^^^
      |
      = help: names are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot

    config.toml: 2 errors
    "#);
    assert_snapshot!(said(&follower("", "").replace("[\"web\", \"mail\"]", "[]")), @r#"
    error: `groups` is an empty list
     --> config.toml:3:10
      |
    3 | groups = []
      |          ^^
      |
      = help: names of groups of hosts, such as groups = ["web-eu"]

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&format!("{ACCOUNT}[[order]]\nname = \"www\"\norder_number = \"1\"\ngroup = \"web\"\n")), @r#"
    error: `group` without `[fleet]`
     --> config.toml:9:1
      |
    9 | group = "web"
      | ^^^^^
      |
      = help: a group is of hosts that share certificates; add [fleet], or remove it

    config.toml: 1 error
    "#);
}
