//! The statements, as one text for each request: a pooler that gives a connection for one transaction only
//! takes them, and no statement is prepared.

use std::fmt::Write;
use std::time::Duration;

use crate::effects::shared::{Commit, Compare, Row};

/// The channel on which each commit says where it wrote.
pub(super) const CHANNEL: &str = "certcollectd";

/// A row without a value is one that was deleted: a watch has to tell. Such rows go after [`KEPT`].
///
/// `changed` is the transaction; whether it was seen by an earlier snapshot tells what is new since.
pub(super) const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS certcollectd_rows (
    prefix  text COLLATE \"C\" NOT NULL,
    key     text COLLATE \"C\" NOT NULL,
    value   bytea,
    changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (prefix, key)
);
CREATE INDEX IF NOT EXISTS certcollectd_changed ON certcollectd_rows (prefix, changed);
";

/// A standby, or a server that was replaced and left to be read.
pub(super) const READ_ONLY: &str =
    "pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean";

/// No watch is that old.
const KEPT: &str = "7 days";

/// The transaction of a read. Its first answer is [`Moment`](super::session::Moment).
///
/// A server that was started anew, or a table that was made anew, may be a restored one.
fn moment(timeout: Duration) -> String {
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n\
         SET LOCAL statement_timeout = {};\n\
         SELECT {READ_ONLY}, pg_snapshot_xmin(pg_current_snapshot()), pg_current_snapshot(), \
         pg_postmaster_start_time() || ' ' || pg_relation_filenode('certcollectd_rows');\n",
        timeout.as_millis()
    )
}

/// All rows whose keys begin with this.
pub(super) fn list(prefix: &str, begin: &str, timeout: Duration) -> String {
    format!(
        "{}SELECT key, encode(value, 'hex') FROM certcollectd_rows \
         WHERE prefix = {} AND starts_with(key, {}) AND value IS NOT NULL ORDER BY key;\nCOMMIT",
        moment(timeout),
        text(prefix),
        text(begin)
    )
}

/// These rows, as far as they are there.
pub(super) fn get(prefix: &str, keys: &[&str], timeout: Duration) -> String {
    format!(
        "{}SELECT key, encode(value, 'hex') FROM certcollectd_rows \
         WHERE prefix = {} AND key = ANY({}) AND value IS NOT NULL;\nCOMMIT",
        moment(timeout),
        text(prefix),
        array(keys.iter().copied())
    )
}

/// What changed since this snapshot, deleted rows included. What lies in the future was restored from another
/// server, and was listed since.
pub(super) fn since(prefix: &str, begin: &str, snapshot: &str, timeout: Duration) -> String {
    let snapshot = text(snapshot);
    format!(
        "{}SELECT key, encode(value, 'hex') FROM certcollectd_rows \
         WHERE prefix = {} AND starts_with(key, {}) AND changed >= pg_snapshot_xmin({snapshot}::pg_snapshot) \
         AND changed < pg_snapshot_xmax(pg_current_snapshot()) \
         AND NOT pg_visible_in_snapshot(changed, {snapshot}::pg_snapshot) ORDER BY changed, key;\nCOMMIT",
        moment(timeout),
        text(prefix),
        text(begin)
    )
}

/// The first half of a commit: holds the rows that are expected, there or not, and reads them. The first
/// answer tells whether the server would keep its word.
///
/// A row that is not there is made, without a value: only what is there can be locked. In the order of the
/// keys, so that two commits do not wait for each other.
pub(super) fn hold(prefix: &str, expected: &[Compare], timeout: Duration) -> String {
    let limit = timeout.as_millis();
    // Before the client gives up: why there is no answer is worth knowing.
    let locks = limit * 3 / 4;
    // A warning in the second half is the only sign of a commit that no standby has.
    let mut sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED;\n\
         SET LOCAL statement_timeout = {limit};\n\
         SET LOCAL lock_timeout = {locks};\n\
         SET LOCAL idle_in_transaction_session_timeout = {limit};\n\
         SET LOCAL client_min_messages = warning;\n\
         SELECT {READ_ONLY}, CASE WHEN current_setting('synchronous_commit') \
         IN ('on', 'remote_apply') THEN current_setting('synchronous_commit') \
         ELSE set_config('synchronous_commit', 'on', true) END;\n"
    );
    if expected.is_empty() {
        return sql;
    }
    let mut keys: Vec<&str> = expected.iter().map(|compare| compare.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let prefix = text(prefix);
    let made: Vec<String> = keys.iter().map(|key| format!("({prefix}, {})", text(key))).collect();
    let _ = write!(
        sql,
        "INSERT INTO certcollectd_rows (prefix, key) VALUES {} ON CONFLICT DO NOTHING;\n\
         SELECT key, encode(value, 'hex') FROM certcollectd_rows WHERE prefix = {prefix} AND key = ANY({}) \
         ORDER BY key FOR UPDATE",
        made.join(", "),
        array(keys)
    );
    sql
}

/// The second half: writes, tells the watches, and makes it durable. Old rows without a value go if `trims`.
pub(super) fn write(prefix: &str, commit: &Commit, trims: bool) -> String {
    let mut sql = String::new();
    let whole = prefix;
    let prefix = text(prefix);
    if !commit.puts.is_empty() {
        let mut puts: Vec<&Row> = commit.puts.iter().collect();
        puts.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let rows = puts.iter().map(|row| format!("({prefix}, {}, {})", text(&row.key), bytes(&row.value)));
        let rows: Vec<String> = rows.collect();
        let _ = writeln!(
            sql,
            "INSERT INTO certcollectd_rows (prefix, key, value) VALUES {} \
             ON CONFLICT (prefix, key) DO UPDATE SET value = excluded.value, changed = excluded.changed, at = excluded.at;",
            rows.join(", ")
        );
    }
    if !commit.deletes.is_empty() {
        let _ = writeln!(
            sql,
            "UPDATE certcollectd_rows SET value = NULL, changed = pg_current_xact_id(), at = now() \
             WHERE prefix = {prefix} AND key = ANY({}) AND value IS NOT NULL;",
            array(commit.deletes.iter().map(String::as_str))
        );
        if trims {
            let _ = writeln!(
                sql,
                "DELETE FROM certcollectd_rows WHERE (prefix, key) IN \
                 (SELECT prefix, key FROM certcollectd_rows WHERE prefix = {prefix} AND value IS NULL AND at < now() - interval '{KEPT}' \
                 FOR UPDATE SKIP LOCKED);"
            );
        }
    }
    let keys = commit.puts.iter().map(|row| &row.key).chain(&commit.deletes);
    let mut heads: Vec<&str> = keys.map(|key| head(key)).collect();
    heads.sort_unstable();
    heads.dedup();
    for head in heads {
        let _ = writeln!(sql, "{};", hint(&format!("{whole}{head}")));
    }
    sql.push_str("COMMIT");
    sql
}

/// Says it to all who listen.
pub(super) fn hint(said: &str) -> String {
    format!("SELECT pg_notify('{CHANNEL}', {})", text(said))
}

/// What a key begins with: not each watch has to look after each commit.
fn head(key: &str) -> &str {
    key.find('/').map_or(key, |slash| &key[..=slash])
}

/// Whatever the server takes for an escape.
pub(super) fn text(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 3);
    quoted.push_str("E'");
    for character in value.chars() {
        if matches!(character, '\'' | '\\') {
            quoted.push(character);
        }
        quoted.push(character);
    }
    quoted.push('\'');
    quoted
}

fn array<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    let keys: Vec<String> = keys.into_iter().map(text).collect();
    format!("ARRAY[{}]::text[]", keys.join(", "))
}

fn bytes(value: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(2 * value.len() + 16);
    hex.push_str("E'\\\\x");
    for byte in value {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex.push_str("'::bytea");
    hex
}

/// The bytes that [`bytes`] writes, and the server's `encode`.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_text_leaves_its_quotes() {
        assert_eq!(text("a'b\\c"), "E'a''b\\\\c'");
        assert_eq!(text("'; DROP TABLE x; --"), "E'''; DROP TABLE x; --'");
        assert_eq!(bytes(b"\x00'\xff"), "E'\\\\x0027ff'::bytea");
    }

    #[test]
    fn a_watch_is_told_the_head_of_a_key() {
        assert_eq!((head("lease"), head("rows/orders/www")), ("lease", "rows/"));
    }

    proptest! {
        #[test]
        fn bytes_come_back(value: Vec<u8>) {
            let sql = bytes(&value);
            let hex = sql.strip_prefix("E'\\\\x").unwrap().strip_suffix("'::bytea").unwrap();
            prop_assert_eq!(unhex(hex), Some(value));
        }
    }

    #[test]
    fn what_is_no_hex_is_refused() {
        assert_eq!((unhex("0"), unhex("0g"), unhex("é")), (None, None, None));
    }
}
