//! Where a password comes from.

use crate::config::keys;
use crate::config::parse::diagnostic::Diagnostic;
use crate::config::parse::reader::{Item, Table};
use crate::config::value::{InvalidValue, file_name, file_path, refuse_if, variable};
use certcollectd_core::config::SecretSource;

/// What may stand behind the key.
fn forms(key: &str) -> String {
    format!(
        "{key} = {{ file = \"/run/secrets/sectigo\" }}, or {{ credential = \"sectigo\" }} for a systemd credential, or \
         {{ env = \"NAME\" }} for an environment variable"
    )
}

/// `password` of a table that has one, or a key of its kind.
pub(crate) fn password(item: &Item<'_>) -> Option<SecretSource> {
    kept(item, item.name)
}

/// Where something secret is kept; `name` is the operator's word for it.
pub(crate) fn kept(item: &Item<'_>, name: &str) -> Option<SecretSource> {
    let help = format!("write {}", forms(name));
    if !item.value.is_table() {
        item.hide();
        let (what, label) = match name == item.name {
            true => ("the password", "a password does not belong in this file"),
            false => ("it", "a secret does not belong in this file"),
        };
        Diagnostic::error(format!("`{name}` must say where {what} is kept"), item.at)
            .label(label)
            .help(help)
            .add_to(item.diagnostics());
        return None;
    }
    let table = item.table(&keys::PASSWORD)?;
    let form = table.one_of(&keys::PASSWORD.one_of(), &help)?;
    match form.name {
        "file" => guarded(&form, &help, file_path).map(SecretSource::File),
        "credential" => guarded(&form, &help, credential).map(SecretSource::Credential),
        _ => guarded(&form, &help, |text| variable(text).map(|()| text.to_owned())).map(SecretSource::Env),
    }
}

/// What is not a path or a name may be the password itself.
fn guarded<T>(item: &Item<'_>, help: &str, read: impl FnOnce(&str) -> Result<T, InvalidValue>) -> Option<T> {
    let value = item.parse(help, read);
    if value.is_none() {
        item.hide();
    }
    value
}

fn credential(text: &str) -> Result<String, InvalidValue> {
    let help = "use its name in LoadCredential= of the unit, such as \"sectigo\"";
    refuse_if(file_name(text).is_err(), "is not the name of a credential", help)?;
    Ok(text.to_owned())
}

/// User and password of a table that may have both or none, under these keys.
pub(crate) fn login(table: &Table<'_>, keys: [&'static str; 2]) -> (Option<String>, Option<SecretSource>) {
    let [user, secret] = keys.map(|key| table.get(key));
    if let (Some(one), None) | (None, Some(one)) = (&user, &secret) {
        let other = keys[usize::from(user.is_some())];
        Diagnostic::error(format!("`{}` without `{other}`", one.name), one.key_at)
            .help("a login needs both; omit both to disable it")
            .add_to(table.diagnostics());
    }
    let user = user.and_then(|item| {
        item.parse(&format!("such as {} = \"sectigo\"", item.name), |text| {
            let is_wrong = text.is_empty() || text.contains(':') || text.chars().any(char::is_control);
            refuse_if(is_wrong, "is not a user name", "not empty, without a colon or control characters")?;
            Ok(text.to_owned())
        })
    });
    (user, secret.and_then(|item| password(&item)))
}
