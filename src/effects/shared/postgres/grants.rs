//! Rights in the database, as statements for whoever owns the table.

use super::sql::{TABLES, text};
use certcollectd_core::fleet::keys;

/// Who gets rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grantee<'a> {
    /// Reads and writes all rows.
    Collector,
    /// Reads what is published for its groups, and writes the rows of its own name.
    Follower { host: &'a str, groups: &'a [&'a str] },
}

/// Statements for `psql` that give a user, which exists, these rights on the rows below a prefix, and no
/// others. They run again without harm. All users are kept from all other rows.
///
/// # Errors
///
/// The user's name is longer than 61 bytes: PostgreSQL would cut the name of what is made for it.
pub fn grants(prefix: &str, user: &str, grantee: Grantee<'_>) -> Result<String, String> {
    if user.len() > MOST_NAME {
        return Err(format!("the user's name {user} has more than {MOST_NAME} bytes; take a shorter one"));
    }
    let own = |name: &str| format!("(prefix = {} AND {name})", text(prefix));
    let (rights, read, write) = match grantee {
        Grantee::Collector => ("SELECT, INSERT, UPDATE, DELETE", own("true"), own("true")),
        Grantee::Follower { host, groups } => {
            let host = begins(&keys::host(host));
            let mut seen = vec![format!("key = {}", text(&keys::Key::Meta.to_string())), host.clone()];
            seen.push(begins(keys::CHAINS));
            for group in groups {
                seen.extend([begins(&keys::publications(group)), begins(&keys::goes(group))]);
            }
            ("SELECT, INSERT, UPDATE", own(&format!("({})", seen.join(" OR "))), own(&host))
        }
    };
    let (role, reads, writes) = (name(user), name(&format!("{user}/r")), name(&format!("{user}/w")));
    Ok(format!(
        "BEGIN;\n\
         {TABLES}\
         ALTER TABLE certcollectd_rows ENABLE ROW LEVEL SECURITY;\n\
         REVOKE ALL ON certcollectd_rows FROM {role};\n\
         GRANT {rights} ON certcollectd_rows TO {role};\n\
         DROP POLICY IF EXISTS {reads} ON certcollectd_rows;\n\
         DROP POLICY IF EXISTS {writes} ON certcollectd_rows;\n\
         CREATE POLICY {reads} ON certcollectd_rows FOR SELECT TO {role} USING {read};\n\
         CREATE POLICY {writes} ON certcollectd_rows FOR ALL TO {role} USING {write} WITH CHECK {write};\n\
         COMMIT;\n"
    ))
}

/// Bytes of a user's name, at most.
const MOST_NAME: usize = 61;

fn begins(key: &str) -> String {
    format!("starts_with(key, {})", text(key))
}

/// As an identifier.
fn name(of: &str) -> String {
    format!("\"{}\"", of.replace('"', "\"\""))
}
