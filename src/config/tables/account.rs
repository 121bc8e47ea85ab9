//! `[[account]]`.

use std::collections::HashMap;
use std::sync::Arc;

use certcollectd_core::api::Response;

use super::{params, secret};
use crate::config::address::{base_url, has_user_info, proxy};
use crate::config::invisible;
use crate::config::parse::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::value::{InvalidValue, file_path, refuse, refuse_if};
use certcollectd_core::config::{Account, ProxyLogin, SecretSource};

/// Characters that the vendor takes as `loginName` (CollectSSL, request parameters).
const LOGIN_CHARS: usize = 64;

/// An account as far as it could be read: enough of it to know its name when an order refers to it.
pub(crate) struct Draft {
    pub(crate) name: Arc<str>,
    pub(crate) name_at: Span,
    pub(crate) login_at: Span,
    /// Nothing where no form of answers is chosen.
    pub(crate) response_at: Option<Span>,
    /// Nothing where a part of it is wrong.
    pub(crate) account: Option<Account>,
}

impl Draft {
    /// That of a follower, which is written nowhere.
    pub(crate) fn fleet() -> Draft {
        let account = Account::fleet();
        let at = Span::whole(0);
        Draft {
            name: account.name.clone(),
            name_at: at,
            login_at: at,
            response_at: None,
            account: Some(account),
        }
    }
}

pub(crate) fn account(table: &Table<'_>) -> Option<Draft> {
    let (name, name_at) = table.name("a name of your own, such as name = \"main\"");
    let login =
        table.need("login_name", "the login name at the vendor, such as login_name = \"example-login\"");
    let password = password(table);
    let base_url = url(table, "base_url", base_url);
    let proxy = url(table, "proxy", proxy);
    let proxy_login = proxy_login(table);
    let response = table.parse("response", RESPONSE_HELP, response);
    let params = params::params(table);
    let ca_file = table.parse("ca_file", "the path of a PEM file", file_path);

    let login_at = login.map_or(table.at, |item| item.at);
    let login = login.and_then(|item| item.parse("such as \"example-login\"", login_name));
    let name = name?;
    let account = match (login, password) {
        (Some(login_name), Some(password)) => Some(Account {
            name: name.clone(),
            login_name,
            password: Some(password),
            base_url: base_url.unwrap_or_else(|| Account::BASE_URL.to_owned()),
            ca_file,
            proxy,
            proxy_login,
            response,
            params,
        }),
        _ => None,
    };
    let response_at = table.get("response").map(|item| item.at);
    Some(Draft { name, name_at, login_at, response_at, account })
}

pub(crate) fn response(text: &str) -> Result<Response, InvalidValue> {
    Response::from_word(text).ok_or_else(|| InvalidValue::new("is not a response format", RESPONSE_HELP))
}

pub(crate) const RESPONSE_HELP: &str =
    "individual, pkcs7, zip or netscape; with the suffix -lines or (pkcs7, zip) -binary; or cmmf";

fn password(table: &Table<'_>) -> Option<SecretSource> {
    let help = "say where the password is kept: password = { file = \"/run/secrets/sectigo\" }";
    secret::password(&table.need("password", help)?)
}

/// `proxy_user` and `proxy_password`, both or none, and none without `proxy`.
fn proxy_login(table: &Table<'_>) -> Option<ProxyLogin> {
    const KEYS: [&str; 2] = ["proxy_user", "proxy_password"];
    let given = KEYS.into_iter().find_map(|key| table.get(key));
    if let Some(item) = given.filter(|_| table.get("proxy").is_none()) {
        Diagnostic::error(format!("`{}` without `proxy`", item.name), item.key_at)
            .help(
                "say which one: proxy = \"http://proxy.example.com:3128\"; proxies from the environment are \
                 not used",
            )
            .add_to(table.diagnostics());
    }
    let (user, password) = secret::login(table, KEYS);
    let user = user.filter(|user| {
        let fits = user.len() <= ProxyLogin::LONGEST;
        if let (false, Some(item)) = (fits, table.get("proxy_user")) {
            let longest = ProxyLogin::LONGEST;
            Diagnostic::error(format!("`proxy_user` is longer than {longest} bytes"), item.at)
                .add_to(table.diagnostics());
        }
        fits
    });
    Some(ProxyLogin { user: user?, password: password? })
}

fn login_name(text: &str) -> Result<String, InvalidValue> {
    let help = "the login name as the vendor knows it, 1 to 64 characters";
    refuse_if(text.is_empty(), "is empty", help)?;
    if text.chars().count() > LOGIN_CHARS {
        return refuse(format!("is longer than {LOGIN_CHARS} characters"), help);
    }
    if let Some(odd) = invisible::oddities(text).first() {
        return refuse(format!("has {odd}"), help);
    }
    Ok(text.to_owned())
}

/// A URL that is not shown where it might hold a password.
pub(crate) fn url(
    table: &Table<'_>,
    name: &'static str,
    read: impl FnOnce(&str) -> Result<String, InvalidValue>,
) -> Option<String> {
    let item: Item<'_> = table.get(name)?;
    if item.value.as_str().is_some_and(has_user_info) {
        item.hide();
    }
    item.parse("a URL in quotes", read)
}

/// Two accounts with one login would be called at the same time, which the vendor forbids.
pub(crate) fn note_shared_logins(drafts: &[Draft], diagnostics: &Diagnostics<'_>) {
    let mut known: HashMap<(&str, &str), Span> = HashMap::new();
    for draft in drafts {
        let Some(account) = &draft.account else { continue };
        let login = (account.login_name.as_str(), account.base_url.as_str());
        let first = *known.entry(login).or_insert(draft.login_at);
        if first != draft.login_at {
            Diagnostic::error("two accounts with the same login name", draft.login_at)
                .again_after(first)
                .help("the vendor wants one call at a time, so use one [[account]] per login")
                .add_to(diagnostics);
        }
    }
}
