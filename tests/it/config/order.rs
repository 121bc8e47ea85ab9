//! Values of an order that are of the right kind and still wrong.

use insta::assert_snapshot;

use super::said_of_order;

#[test]
fn order_numbers() {
    assert_snapshot!(said_of_order(
        "[[order]]\nname = \"a\"\norder_number = 123456789\n\
         [[order]]\nname = \"b\"\norder_number = \" 1\"\n\
         [[order]]\nname = \"c\"\norder_number = \"1\"\ncertificate_id = \"2\"\n\
         [[order]]\nname = \"d\"\ncertificate_id = \"12345678901234567\"\n\
         [[order]]\nname = \"e\"\nproduct = \"mark\"\norder_number = \"A1\"\n\
         [[order]]\nname = \"f\"\nproduct = \"smime\"\ncertificate_id = \"1\"\n\
         [[order]]\nname = \"g\"\nproduct = \"tls\"\norder_number = \"1\"\n"
    ), @r##"
    error: `order_number` must be text
     --> config.toml:3:16
      |
    3 | order_number = 123456789
      |                ^^^^^^^^^ this is an integer
      |
      = help: put it in quotes: order_number = "123456789"

    error: `order_number` has leading or trailing spaces
     --> config.toml:6:16
      |
    6 | order_number = " 1"
      |                ^^^^
      |
      = help: write the number as the vendor gave it, such as "123456789"

    error: both `order_number` and `certificate_id` in [[order]]
      --> config.toml:10:1
       |
     9 | order_number = "1"
       | ------------ the other one
    10 | certificate_id = "2"
       | ^^^^^^^^^^^^^^ only one of them is allowed

    error: `certificate_id` has more than 16 digits
      --> config.toml:13:18
       |
    13 | certificate_id = "12345678901234567"
       |                  ^^^^^^^^^^^^^^^^^^^
       |
       = help: 1 to 16 digits in quotes, such as "123456789"

    error: `order_number` is not a number
      --> config.toml:17:16
       |
    17 | order_number = "A1"
       |                ^^^^
       |
       = help: 1 to 128 digits in quotes, such as "123456789"

    error: `certificate_id` with product = "smime"
      --> config.toml:21:1
       |
    20 | product = "smime"
       |           -------
    21 | certificate_id = "1"
       | ^^^^^^^^^^^^^^ only for product = "ssl"
       |
       = help: give its order_number

    error: `product` has an unknown value
      --> config.toml:24:11
       |
    24 | product = "tls"
       |           ^^^^^
       |
       = help: one of "ssl", "mark", "smime"

    config.toml: 7 errors
    "##);
}

#[test]
fn domains_and_keys() {
    assert_snapshot!(said_of_order(
        "[[order]]\nname = \"a\"\norder_number = \"1\"\n\
         domains = [\"www\", \"w*.example.com\", \"jane@example.com\", \"www.example.com.\", \"ok.example\", \"OK.example\"]\n\
         key_file = \"a.key\"\ncsr_file = \"/a.csr\"\n\
         [[order]]\nname = \"b\"\norder_number = \"2\"\nproduct = \"smime\"\ndomains = [\"example.com\"]\nkey_file = []\n"
    ), @r#"
    error: an entry of `domains` is only a part of a domain name
     --> config.toml:4:12
      |
    4 | domains = ["www", "w*.example.com", "jane@example.com", "www.example.com.", "ok.example", "OK.example"]
      |            ^^^^^
      |
      = help: such as "www.example.com" or "*.example.com"

    error: an entry of `domains` has a star that is not the whole first label
     --> config.toml:4:19
      |
    4 | domains = ["www", "w*.example.com", "jane@example.com", "www.example.com.", "ok.example", "OK.example"]
      |                   ^^^^^^^^^^^^^^^^
      |
      = help: such as "www.example.com" or "*.example.com"

    error: an entry of `domains` is an e-mail address
     --> config.toml:4:37
      |
    4 | domains = ["www", "w*.example.com", "jane@example.com", "www.example.com.", "ok.example", "OK.example"]
      |                                     ^^^^^^^^^^^^^^^^^^
      |
      = help: e-mail addresses belong to orders of product = "smime"

    error: an entry of `domains` ends with a dot
     --> config.toml:4:57
      |
    4 | domains = ["www", "w*.example.com", "jane@example.com", "www.example.com.", "ok.example", "OK.example"]
      |                                                         ^^^^^^^^^^^^^^^^^^
      |
      = help: such as "www.example.com" or "*.example.com"

    warning: listed twice in `domains`
     --> config.toml:4:91
      |
    4 | domains = ["www", "w*.example.com", "jane@example.com", "www.example.com.", "ok.example", "OK.example"]
      |                                                                             ------------  ^^^^^^^^^^^^ again here
      |                                                                             |
      |                                                                             first here

    error: `key_file` is not an absolute path
     --> config.toml:5:12
      |
    5 | key_file = "a.key"
      |            ^^^^^^^
      |
      = help: begin with a slash; the daemon has no working directory

    error: an entry of `domains` is not an e-mail address
      --> config.toml:11:12
       |
    11 | domains = ["example.com"]
       |            ^^^^^^^^^^^^^
       |
       = help: an order of product = "smime" lists e-mail addresses, such as "jane@example.com"

    error: `key_file` is an empty list
      --> config.toml:12:12
       |
    12 | key_file = []
       |            ^^
       |
       = help: omit it if the key is not on this machine

    config.toml: 7 errors, 1 warning
    "#);
}

#[test]
fn names_of_files() {
    assert_snapshot!(said_of_order(
        "[[order]]\nname = \"a\"\norder_number = \"1\"\n\
         [order.files]\ncert = \"../cert.pem\"\nchain = \"\"\nfullchain = true\nkey = \"key.pem\"\nroot = \"x.pem\"\nder = \"x.pem\"\n\
         owner = 0\ngroup = \"ssl cert\"\nmode = 644\n\
         [[order]]\nname = \"b\"\norder_number = \"2\"\nkey_file = \"/b.key\"\n\
         [order.files]\nkey = \"cert.pem\"\nmode = \"0666\"\n\
         [[order]]\nname = \"c\"\norder_number = \"3\"\n\
         [order.files]\ncert = false\nchain = false\nfullchain = false\n"
    ), @r#"
    error: `cert` has a slash
     --> config.toml:5:8
      |
    5 | cert = "../cert.pem"
      |        ^^^^^^^^^^^^^
      |
      = help: give a plain file name, such as "cert.pem"; for other places use [[order.copy]]

    error: `chain` is empty
     --> config.toml:6:9
      |
    6 | chain = ""
      |         ^^
      |
      = help: give a file name, or false for no such file

    error: `fullchain` does not say which name
     --> config.toml:7:13
      |
    7 | fullchain = true
      |             ^^^^
      |
      = help: a file name in quotes, or false for no such file

    error: `key` needs the order's private key
     --> config.toml:8:7
      |
    8 | key = "key.pem"
      |       ^^^^^^^^^
      |
      = help: set its key_file; with a csr_file, or without either, the key is not on this machine

    error: two files of one order with the name "x.pem"
      --> config.toml:10:7
       |
     9 | root = "x.pem"
       |        ------- the other one
    10 | der = "x.pem"
       |       ^^^^^^^

    error: `owner` must be text
      --> config.toml:11:9
       |
    11 | owner = 0
       |         ^ this is an integer
       |
       = help: put it in quotes: owner = "0"

    error: `group` is not a user or group
      --> config.toml:12:9
       |
    12 | group = "ssl cert"
       |         ^^^^^^^^^^
       |
       = help: a name or a number as text, such as "root" or "33"

    error: `mode` must be text
      --> config.toml:13:8
       |
    13 | mode = 644
       |        ^^^ this is an integer
       |
       = help: a mode is text of octal digits, such as "0644"

    error: two files of one order with the name "cert.pem"
      --> config.toml:19:7
       |
    19 | key = "cert.pem"
       |       ^^^^^^^^^^
       |
       = help: it is the default of `cert`, set that to false to switch it off

    error: `mode` makes the file writable for everyone
      --> config.toml:20:8
       |
    20 | mode = "0666"
       |        ^^^^^^
       |
       = help: the last digit must be 0, 1, 4 or 5, such as in "0644"

    error: all files of the order are switched off
      --> config.toml:25:8
       |
    25 | cert = false
       |        ^^^^^
       |
       = help: keep at least one; it shows which certificate is installed

    config.toml: 11 errors
    "#);
}

#[test]
fn copies() {
    assert_snapshot!(said_of_order(
        "[[order]]\nname = \"a\"\norder_number = \"1\"\nkey_file = \"/k/a.key\"\n\
         [[order.copy]]\nfrom = \"fulchain\"\nto = \"/etc/x/\"\n\
         [[order.copy]]\nfrom = \"combined\"\nto = \"/etc/a.pem\"\nmode = \"0644\"\n\
         [[order]]\nname = \"b\"\norder_number = \"2\"\n\
         [[order.copy]]\nfrom = \"key\"\nto = \"/etc/b.pem\"\n"
    ), @r#"
    error: `from` has an unknown value
     --> config.toml:6:8
      |
    6 | from = "fulchain"
      |        ^^^^^^^^^^ did you mean "fullchain"?
      |
      = help: one of "cert", "chain", "fullchain", "key", "combined", "root", "pkcs7", "der"

    error: `to` names a folder
     --> config.toml:7:6
      |
    7 | to = "/etc/x/"
      |      ^^^^^^^^^
      |
      = help: give the path of the file, without a slash at the end

    error: `mode` is too permissive for a private key
      --> config.toml:11:8
       |
    11 | mode = "0644"
       |        ^^^^^^
       |
       = help: at most "0640" for a file with the key in it

    error: `from` needs the order's private key
      --> config.toml:16:8
       |
    16 | from = "key"
       |        ^^^^^
       |
       = help: set its key_file; with a csr_file, or without either, the key is not on this machine

    config.toml: 4 errors
    "#);
}

#[test]
fn handles() {
    let long = "9".repeat(129);
    assert_snapshot!(said_of_order(&format!(
        "[[order]]\nname = \"a\"\n\
         [[order]]\nname = \"b\"\ncertificate_id = \"1\"\nbase_order_number = \"2\"\n\
         [[order]]\nname = \"c\"\norder_number = \"\"\n\
         [[order]]\nname = \"d\"\norder_number = \"{long}\"\n\
         [[order]]\nname = \"e\"\ncertificate_id = \"\"\n\
         [[order]]\nname = \"f\"\ncertificate_id = \"12a\"\n\
         [[order]]\nname = \"g\"\nbase_order_number = \"\"\n\
         [[order]]\nname = \"h\"\nbase_order_number = \"B1\"\n\
         [[order]]\nname = \"i\"\nbase_order_number = \"{long}\"\n\
         [[order]]\nname = \"j\"\nproduct = \"mark\"\ncertificate_id = \"1\"\n\
         [[order]]\nname = \"k\"\nproduct = \"smime\"\nbase_order_number = \"1\"\n\
         [[order]]\nname = \"l\"\nproduct = \"smime\"\norder_number = \"S-1\"\n"
    )), @r##"
    error: [[order]] needs one of `order_number`, `certificate_id`, `base_order_number`
     --> config.toml:1:1
      |
    1 | [[order]]
      | ^^^^^^^^^
      |
      = help: the number that the vendor gave the order, such as order_number = "123456789"

    error: both `certificate_id` and `base_order_number` in [[order]]
     --> config.toml:6:1
      |
    5 | certificate_id = "1"
      | -------------- the other one
    6 | base_order_number = "2"
      | ^^^^^^^^^^^^^^^^^ only one of them is allowed

    error: `order_number` is empty
     --> config.toml:9:16
      |
    9 | order_number = ""
      |                ^^
      |
      = help: write the number as the vendor gave it, such as "123456789"

    error: `order_number` is longer than 128 characters
      --> config.toml:12:16
       |
    12 | ... = "999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write the number as the vendor gave it, such as "123456789"

    error: `certificate_id` is empty
      --> config.toml:15:18
       |
    15 | certificate_id = ""
       |                  ^^
       |
       = help: 1 to 16 digits in quotes, such as "123456789"

    error: `certificate_id` is not a number
      --> config.toml:18:18
       |
    18 | certificate_id = "12a"
       |                  ^^^^^
       |
       = help: 1 to 16 digits in quotes, such as "123456789"

    error: `base_order_number` is empty
      --> config.toml:21:21
       |
    21 | base_order_number = ""
       |                     ^^
       |
       = help: 1 to 128 digits in quotes, such as "123456789"

    error: `base_order_number` is not a number
      --> config.toml:24:21
       |
    24 | base_order_number = "B1"
       |                     ^^^^
       |
       = help: 1 to 128 digits in quotes, such as "123456789"

    error: `base_order_number` has more than 128 digits
      --> config.toml:27:21
       |
    27 | ... = "999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: 1 to 128 digits in quotes, such as "123456789"

    error: `certificate_id` with product = "mark"
      --> config.toml:31:1
       |
    30 | product = "mark"
       |           ------
    31 | certificate_id = "1"
       | ^^^^^^^^^^^^^^ only for product = "ssl"
       |
       = help: give its order_number

    error: `base_order_number` with product = "smime"
      --> config.toml:35:1
       |
    34 | product = "smime"
       |           -------
    35 | base_order_number = "1"
       | ^^^^^^^^^^^^^^^^^ only for product = "ssl"
       |
       = help: give its order_number

    error: `order_number` is not a number
      --> config.toml:39:16
       |
    39 | order_number = "S-1"
       |                ^^^^^
       |
       = help: 1 to 128 digits in quotes, such as "123456789"

    config.toml: 12 errors
    "##);
}
