//! The grammar of what a role holds, and the statements that give and take it.
//!
//! | form | what it is |
//! |---|---|
//! | `role/<group>` | membership; `*` behind it: with admin option |
//! | `<class>/<database>/…:<privilege>` | a privilege on one object; `*` behind it: with grant option |
//! | `default/<database>/<owner>[/<schema>]/<kind>:<privilege>` | on what that owner will make |
//! | `attribute/<word>` | power of the role itself: seen and taken away, never given |
//! | `owner/[<database>/]<type>/<object>` | what it owns: only shown |

use std::fmt::Write;

use connector::ScopeError;
use domain::{Action, Scope};
use percent_encoding::percent_decode_str;

use crate::quote;

const ROLE: &str = "role";
const ATTRIBUTE: &str = "attribute";
const OWNER: &str = "owner";
/// Privileges on what somebody will make.
pub(crate) const DEFAULT: &str = "default";
/// Behind a privilege: it may be passed on.
const PASSED_ON: char = '*';

/// What a role itself may be: word of ours, word of theirs.
pub(crate) const ATTRIBUTES: [(&str, &str); 5] = [
    ("superuser", "SUPERUSER"),
    ("createrole", "CREATEROLE"),
    ("createdb", "CREATEDB"),
    ("replication", "REPLICATION"),
    ("bypassrls", "BYPASSRLS"),
];

/// A class of objects that privileges are held on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) word: &'static str,
    /// What stands before the object in a statement.
    keyword: &'static str,
    /// What leads to an object, the database first where it is in one.
    path: &'static [&'static str],
    privileges: &'static [(&'static str, Action)],
}

const IN_SCHEMA: &[&str] = &["database", "schema", "name"];
const IN_DATABASE: &[&str] = &["database", "name"];
const USAGE: (&str, Action) = ("usage", Action::Read);
const RUNS: (&str, Action) = ("usage", Action::Execute);

/// Every class. A trigger runs as whoever writes to the table; what a language, a server or a wrapper
/// lets one make runs too.
static CLASSES: [Class; 13] = [
    Class {
        word: "table",
        keyword: "TABLE",
        path: IN_SCHEMA,
        privileges: &[
            ("select", Action::Read),
            ("insert", Action::Write),
            ("update", Action::Write),
            ("delete", Action::Delete),
            ("truncate", Action::Delete),
            ("references", Action::Write),
            ("trigger", Action::Execute),
            ("maintain", Action::Write),
        ],
    },
    Class {
        word: "column",
        keyword: "TABLE",
        path: &["database", "schema", "table", "column"],
        privileges: &[
            ("select", Action::Read),
            ("insert", Action::Write),
            ("update", Action::Write),
            ("references", Action::Write),
        ],
    },
    Class {
        word: "sequence",
        keyword: "SEQUENCE",
        path: IN_SCHEMA,
        privileges: &[
            ("usage", Action::Write),
            ("select", Action::Read),
            ("update", Action::Write),
        ],
    },
    Class {
        word: "schema",
        keyword: "SCHEMA",
        path: &["database", "schema"],
        privileges: &[USAGE, ("create", Action::Write)],
    },
    Class {
        word: "database",
        keyword: "DATABASE",
        path: &["database"],
        privileges: &[
            ("connect", Action::Read),
            ("create", Action::Write),
            ("temporary", Action::Write),
        ],
    },
    Class {
        word: "function",
        keyword: "FUNCTION",
        path: IN_SCHEMA,
        privileges: &[("execute", Action::Execute)],
    },
    Class {
        word: "procedure",
        keyword: "PROCEDURE",
        path: IN_SCHEMA,
        privileges: &[("execute", Action::Execute)],
    },
    Class { word: "type", keyword: "TYPE", path: IN_SCHEMA, privileges: &[USAGE] },
    Class { word: "language", keyword: "LANGUAGE", path: IN_DATABASE, privileges: &[RUNS] },
    Class { word: "server", keyword: "FOREIGN SERVER", path: IN_DATABASE, privileges: &[RUNS] },
    Class {
        word: "wrapper",
        keyword: "FOREIGN DATA WRAPPER",
        path: IN_DATABASE,
        privileges: &[RUNS],
    },
    Class {
        word: "largeobject",
        keyword: "LARGE OBJECT",
        path: &["database", "number"],
        privileges: &[("select", Action::Read), ("update", Action::Write)],
    },
    Class {
        word: "tablespace",
        keyword: "TABLESPACE",
        path: &["name"],
        privileges: &[("create", Action::Write)],
    },
];

/// Settings of the server: what is written to its log is among them.
static PARAMETER: Class = Class {
    word: "parameter",
    keyword: "PARAMETER",
    path: &["name"],
    privileges: &[("set", Action::Suppress), ("alter-system", Action::Admin)],
};

/// What somebody's future objects are called, with what can be held on them.
const KINDS: [(&str, &str, &str); 5] = [
    ("tables", "TABLES", "table"),
    ("sequences", "SEQUENCES", "sequence"),
    ("functions", "FUNCTIONS", "function"),
    ("types", "TYPES", "type"),
    ("schemas", "SCHEMAS", "schema"),
];

/// What membership in a role of the server's own gives. Of others nobody can tell.
const BUILTIN: [(&str, Action); 15] = [
    ("pg_checkpoint", Action::Write),
    ("pg_create_subscription", Action::Execute),
    ("pg_execute_server_program", Action::Admin),
    ("pg_maintain", Action::Write),
    ("pg_monitor", Action::Read),
    ("pg_read_all_data", Action::Export),
    ("pg_read_all_settings", Action::Read),
    ("pg_read_all_stats", Action::Read),
    ("pg_read_server_files", Action::Secret),
    ("pg_signal_autovacuum_worker", Action::Execute),
    ("pg_signal_backend", Action::Execute),
    ("pg_stat_scan_tables", Action::Read),
    ("pg_use_reserved_connections", Action::Read),
    ("pg_write_all_data", Action::Write),
    ("pg_write_server_files", Action::Admin),
];

/// What a canonical scope is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A privilege, perhaps to be passed on.
    Privilege { class: &'static str, path: Vec<String>, privilege: &'static str, passed_on: bool },
    /// Membership, perhaps to be passed on.
    Role { name: String, passed_on: bool },
    /// Power of the role itself.
    Attribute(&'static str),
    /// Something that it owns.
    Owner(Vec<String>),
}

fn class(word: &str) -> Option<&'static Class> {
    CLASSES.iter().chain([&PARAMETER]).find(|class| class.word == word)
}

/// The class whose privileges stand behind a path, with the word for it.
fn privileges(word: &str, path: &[String]) -> Option<&'static Class> {
    if word != DEFAULT {
        return class(word).filter(|class| class.path.len() == path.len());
    }
    let kind = path.last()?;
    let (_, _, of) = KINDS.iter().find(|(word, _, _)| word == kind)?;
    matches!(path.len(), 3 | 4).then(|| class(of))?
}

/// One part of a path: what would be read as something else is written by its number.
fn encode(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    let last = part.chars().count().saturating_sub(1);
    for (at, c) in part.chars().enumerate() {
        let edge = c == ' ' && (at == 0 || at == last);
        if edge || c.is_control() || matches!(c, '/' | '%' | ':' | '*' | '+') {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

fn decode(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?.into_owned();
    (!text.is_empty()).then_some(text)
}

/// Whether the parts of a path can be names of what they stand for.
fn fits(word: &str, path: &[String]) -> bool {
    path.iter().enumerate().all(|(at, part)| match (word, at) {
        ("function" | "procedure", 2) => signature(part).is_some(),
        ("largeobject", 1) => part.parse::<u32>().is_ok(),
        ("parameter", _) => part.len() <= 200 && !part.chars().any(char::is_control),
        _ => quote::refuse(part).is_none(),
    })
}

/// A function's name and the types that tell it from others of that name.
fn signature(text: &str) -> Option<(&str, &str)> {
    // A name may have parentheses in it; the types have none.
    let (name, types) = text.strip_suffix(')')?.rsplit_once('(')?;
    (quote::refuse(name).is_none() && quote::is_types(types)).then_some((name, types))
}

impl Form {
    /// The canonical text.
    pub(crate) fn scope(&self) -> Scope {
        let join =
            |path: &[String]| path.iter().map(|part| encode(part)).collect::<Vec<_>>().join("/");
        let star = |passed_on: bool| if passed_on { "*" } else { "" };
        Scope::canonical(match self {
            Form::Privilege { class, path, privilege, passed_on } => {
                format!("{class}/{}:{privilege}{}", join(path), star(*passed_on))
            }
            Form::Role { name, passed_on } => {
                format!("{ROLE}/{}{}", encode(name), star(*passed_on))
            }
            Form::Attribute(word) => format!("{ATTRIBUTE}/{word}"),
            Form::Owner(path) => format!("{OWNER}/{}", join(path)),
        })
    }

    /// What a privilege is as the server lists it; `None` for one that this version does not know.
    pub(crate) fn of_server(
        word: &str,
        path: Vec<String>,
        theirs: &str,
        passed_on: bool,
    ) -> Option<Form> {
        let class = privileges(word, &path)?;
        let ours = theirs.to_ascii_lowercase().replace(' ', "-");
        let (privilege, _) = class.privileges.iter().find(|(word, _)| *word == ours)?;
        let word = if word == DEFAULT { DEFAULT } else { class.word };
        Some(Form::Privilege { class: word, path, privilege, passed_on })
    }

    /// What a role itself is, as the server names it.
    pub(crate) fn attribute(theirs: &str) -> Option<Form> {
        let (word, _) = ATTRIBUTES.iter().find(|(word, _)| *word == theirs)?;
        Some(Form::Attribute(word))
    }

    /// The same with leave to pass it on, or without.
    pub(crate) fn with(&self, leave: bool) -> Form {
        let mut form = self.clone();
        if let Form::Privilege { passed_on, .. } | Form::Role { passed_on, .. } = &mut form {
            *passed_on = leave;
        }
        form
    }

    /// The same without leave to pass it on.
    pub(crate) fn plain(&self) -> Form {
        self.with(false)
    }

    pub(crate) fn passed_on(&self) -> bool {
        matches!(self, Form::Privilege { passed_on: true, .. } | Form::Role { passed_on: true, .. })
    }

    /// The database that a statement about it has to be said in; `None` where any will do.
    pub(crate) fn database(&self) -> Option<&str> {
        match self {
            Form::Privilege { class, path, .. } => match *class {
                "database" | "tablespace" | "parameter" => None,
                _ => path.first().map(String::as_str),
            },
            _ => None,
        }
    }

    /// The statement that gives it; `None` where it is nothing to be given.
    pub(crate) fn give(&self, to: &str) -> Option<String> {
        let to = quote::name(to);
        match self {
            Form::Role { name, passed_on } => {
                let option = if *passed_on { " WITH ADMIN OPTION" } else { "" };
                Some(format!("GRANT {} TO {to}{option}", quote::name(name)))
            }
            Form::Privilege { class, path, passed_on, .. } => {
                let option = if *passed_on { " WITH GRANT OPTION" } else { "" };
                let (before, what) = self.object()?;
                match *class {
                    DEFAULT => Some(format!("{before} GRANT {what} TO {to}{option}")),
                    _ => {
                        debug_assert!(!path.is_empty());
                        Some(format!("GRANT {what} TO {to}{option}"))
                    }
                }
            }
            Form::Attribute(_) | Form::Owner(_) => None,
        }
    }

    /// The statement that takes it away, or only the leave to pass it on.
    pub(crate) fn take(&self, from: &str, only_option: bool) -> Option<String> {
        let from = quote::name(from);
        match self {
            Form::Role { name, .. } => {
                let option = if only_option { "ADMIN OPTION FOR " } else { "" };
                Some(format!("REVOKE {option}{} FROM {from}", quote::name(name)))
            }
            Form::Privilege { class, .. } => {
                let option = if only_option { "GRANT OPTION FOR " } else { "" };
                let (before, what) = self.object()?;
                match *class {
                    DEFAULT => Some(format!("{before} REVOKE {option}{what} FROM {from}")),
                    _ => Some(format!("REVOKE {option}{what} FROM {from}")),
                }
            }
            Form::Attribute(_) | Form::Owner(_) => None,
        }
    }

    /// What stands before the verb, and the privilege with its object.
    fn object(&self) -> Option<(String, String)> {
        let Form::Privilege { class: word, path, privilege, .. } = self else { return None };
        let theirs = privilege.replace('-', " ").to_ascii_uppercase();
        let names: Vec<String> = path.iter().map(|part| quote::name(part)).collect();
        if *word == DEFAULT {
            let kind = path.last()?;
            let (_, kind, _) = KINDS.iter().find(|(word, _, _)| word == kind)?;
            let schema = match &names[..] {
                [_, _, schema, _] => format!(" IN SCHEMA {schema}"),
                _ => String::new(),
            };
            let before = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{schema}", names.get(1)?);
            return Some((before, format!("{theirs} ON {kind}")));
        }
        let class = class(word)?;
        let object = match (class.word, &names[..]) {
            ("column", [_, schema, table, column]) => {
                let what = format!("{theirs} ({column}) ON TABLE {schema}.{table}");
                return Some((String::new(), what));
            }
            ("function" | "procedure", [_, schema, _]) => {
                let (name, types) = signature(path.last()?)?;
                format!("{schema}.{}({types})", quote::name(name))
            }
            ("largeobject", _) => path.last()?.parse::<u32>().ok()?.to_string(),
            ("parameter", _) => {
                path.last()?.split('.').map(quote::name).collect::<Vec<_>>().join(".")
            }
            (_, [_, schema, name]) => format!("{schema}.{name}"),
            (_, [_, name] | [name]) => name.clone(),
            _ => return None,
        };
        Some((String::new(), format!("{theirs} ON {} {object}", class.keyword)))
    }
}

/// What a canonical scope is; `None` where it is none.
pub(crate) fn form(text: &str) -> Option<Form> {
    let all = read(text)?;
    let [one] = &all[..] else { return None };
    (one.scope().as_str() == text).then(|| one.clone())
}

/// Reads one or several, in any spelling.
fn read(text: &str) -> Option<Vec<Form>> {
    let (word, rest) = text.split_once('/')?;
    let parts = |text: &str| text.split('/').map(decode).collect::<Option<Vec<String>>>();
    match word {
        ROLE => {
            let (name, passed_on) = match rest.strip_suffix(PASSED_ON) {
                Some(name) => (name, true),
                None => (rest, false),
            };
            let path = parts(name)?;
            let [name] = &path[..] else { return None };
            let fits = quote::refuse(name).is_none();
            fits.then(|| vec![Form::Role { name: name.clone(), passed_on }])
        }
        ATTRIBUTE => {
            let (word, _) = ATTRIBUTES.iter().find(|(word, _)| *word == rest)?;
            Some(vec![Form::Attribute(word)])
        }
        OWNER => {
            let path = parts(rest)?;
            matches!(path.len(), 2 | 3).then(|| vec![Form::Owner(path)])
        }
        _ => {
            let (path, words) = rest.rsplit_once(':')?;
            let path = parts(path)?;
            let class = privileges(word, &path)?;
            if !fits(word, &path) {
                return None;
            }
            let ours = if word == DEFAULT { DEFAULT } else { class.word };
            let (words, passed_on) = match words.strip_suffix(PASSED_ON) {
                Some(words) => (words, true),
                None => (words, false),
            };
            let known = |word: &str| {
                let word = word.to_ascii_lowercase();
                let word = if word == "temp" { "temporary" } else { &word };
                class.privileges.iter().find(|(known, _)| *known == word)
            };
            words
                .split('+')
                .map(|word| {
                    let (privilege, _) = known(word)?;
                    let path = path.clone();
                    Some(Form::Privilege { class: ours, path, privilege, passed_on })
                })
                .collect()
        }
    }
}

/// Reads a scope as people write it: `select+insert` are two.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let text = text.trim();
    if let Some(all) = read(text) {
        return Ok(all.iter().map(Form::scope).collect());
    }
    let shown: String = text.chars().take(80).collect();
    let word = text.split('/').next().unwrap_or_default();
    let message = match (class(word), word) {
        (Some(class), _) => {
            let words: Vec<&str> = class.privileges.iter().map(|(word, _)| *word).collect();
            let path: Vec<String> = class.path.iter().map(|part| format!("<{part}>")).collect();
            let types = match word {
                "function" | "procedure" => ", the name with its types: \"total(integer, text)\"",
                _ => "",
            };
            format!(
                "{shown:?}: a privilege on a {word} is \"{word}/{}:<privilege>\", where <privilege> is one \
                 of {}{types}; \"*\" behind it lets it be passed on, and names have at most 63 bytes",
                path.join("/"),
                words.join(", "),
            )
        }
        (None, DEFAULT) => format!(
            "{shown:?}: a privilege on what will be made is \"default/<database>/<owner>/tables:select\", or \
             with the schema before the kind, which is one of {}",
            KINDS.map(|(kind, _, _)| kind).join(", ")
        ),
        (None, ATTRIBUTE) => format!(
            "{shown:?}: a role is one of {}, and none of them is ever given here",
            ATTRIBUTES.map(|(word, _)| format!("\"{ATTRIBUTE}/{word}\"")).join(", ")
        ),
        _ => {
            let words: Vec<&str> =
                CLASSES.iter().chain([&PARAMETER]).map(|class| class.word).collect();
            format!(
                "{shown:?} is nothing that a role can hold: \"role/<group>\", \
                 \"table/<database>/<schema>/<table>:select\" and the like ({}), or \"default/…\", \
                 \"attribute/…\" and \"owner/…\" as they are shown",
                words.join(", ")
            )
        }
    };
    Err(ScopeError { message, suggestion: None })
}

/// Whether holding one adds everything that another gives.
pub(crate) fn implies(a: &Scope, b: &Scope) -> bool {
    if a == b {
        return true;
    }
    let (Some(a), Some(b)) = (form(a.as_str()), form(b.as_str())) else { return false };
    let option = a.passed_on() || !b.passed_on();
    if option && a.plain() == b.plain() {
        return true;
    }
    match (&a, &b) {
        // A table's privilege is one on each of its columns.
        (
            Form::Privilege { class: "table", path: table, privilege: whole, .. },
            Form::Privilege { class: "column", path: column, privilege: part, .. },
        ) => option && whole == part && column.starts_with(table),
        _ => false,
    }
}

/// What a scope lets its holder do, by the compiled-in table. What a group may is said elsewhere.
pub(crate) fn action(scope: &Scope) -> Action {
    let Some(form) = form(scope.as_str()) else { return Action::Unknown };
    let plain = match &form {
        Form::Privilege { class: word, path, privilege, .. } => privileges(word, path)
            .and_then(|class| class.privileges.iter().find(|(known, _)| known == privilege))
            .map_or(Action::Unknown, |(_, action)| *action),
        Form::Role { name, .. } => BUILTIN
            .iter()
            .find(|(builtin, _)| builtin == name)
            .map_or(Action::Unknown, |(_, action)| *action),
        Form::Attribute(_) => Action::Admin,
        // An owner gives and takes access to what it owns.
        Form::Owner(_) => Action::Identity,
    };
    if form.passed_on() { plain.max(Action::Identity) } else { plain }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Vec<String> {
        parse(text).map(|all| all.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    #[test]
    fn what_a_role_holds_is_a_membership_a_privilege_an_attribute_or_an_ownership() {
        for good in [
            "role/readers",
            "role/readers*",
            "role/pg_read_all_data",
            "database/shop:connect",
            "schema/shop/public:usage",
            "table/shop/public/bill:select",
            "table/shop/public/bill:select*",
            "table/shop/Ünïcode schema/a \"quoted\" name:delete",
            "table/shop/public/a%2Fb%3Ac%2A%25:insert",
            "column/shop/public/bill/amount:update",
            "sequence/shop/public/bill_id_seq:usage",
            "function/shop/public/total(integer, character varying):execute",
            "function/shop/public/none():execute",
            "largeobject/shop/16401:select",
            "parameter/log_statement:set",
            "parameter/log_statement:alter-system",
            "default/shop/owner/tables:select",
            "default/shop/owner/public/tables:select*",
            "attribute/superuser",
            "owner/database/shop",
            "owner/shop/table/public.bill",
        ] {
            assert_eq!(canonical(good), [good]);
            assert_eq!(form(good).unwrap().scope().as_str(), good);
        }
        for (sugar, all) in [
            (
                "table/shop/public/bill:SELECT+insert",
                &["table/shop/public/bill:select", "table/shop/public/bill:insert"][..],
            ),
            ("database/shop:temp", &["database/shop:temporary"]),
            ("role/%72eaders", &["role/readers"]),
        ] {
            assert_eq!(canonical(sugar), all);
        }
        for bad in [
            "",
            "role/",
            "role/a/b",
            "table/shop/bill:select",
            "table/shop/public/bill",
            "table/shop/public/bill:fly",
            "table/shop/public/bill:",
            "table//public/bill:select",
            "schema/shop/public:select",
            "function/shop/public/total:execute",
            "function/shop/public/total(integer); DROP TABLE x (:execute",
            "function/shop/public/total(a) TO b --):execute",
            "largeobject/shop/x:select",
            "attribute/god",
            "owner/x",
            "default/shop/owner/rivers:select",
            &format!("role/{}", "x".repeat(64)),
            "role/a%00b",
        ] {
            assert_eq!(canonical(bad), [""; 0], "{bad:?}");
        }
    }

    #[test]
    fn a_statement_names_the_object_in_the_server_s_words() {
        for (scope, sql) in [
            ("role/readers*", "GRANT \"readers\" TO \"bot\" WITH ADMIN OPTION"),
            (
                "table/shop/public/bill:select",
                "GRANT SELECT ON TABLE \"public\".\"bill\" TO \"bot\"",
            ),
            (
                "column/shop/public/bill/a\"b:update*",
                "GRANT UPDATE (\"a\"\"b\") ON TABLE \"public\".\"bill\" TO \"bot\" WITH GRANT OPTION",
            ),
            ("database/shop:connect", "GRANT CONNECT ON DATABASE \"shop\" TO \"bot\""),
            (
                "function/shop/public/f(integer, text):execute",
                "GRANT EXECUTE ON FUNCTION \"public\".\"f\"(integer, text) TO \"bot\"",
            ),
            ("server/shop/far:usage", "GRANT USAGE ON FOREIGN SERVER \"far\" TO \"bot\""),
            ("largeobject/shop/7:select", "GRANT SELECT ON LARGE OBJECT 7 TO \"bot\""),
            (
                "parameter/my.setting:alter-system",
                "GRANT ALTER SYSTEM ON PARAMETER \"my\".\"setting\" TO \"bot\"",
            ),
            (
                "default/shop/own/public/tables:select",
                "ALTER DEFAULT PRIVILEGES FOR ROLE \"own\" IN SCHEMA \"public\" GRANT SELECT ON TABLES TO \
                 \"bot\"",
            ),
        ] {
            assert_eq!(form(scope).unwrap().give("bot").unwrap(), sql);
        }
        let held = form("table/shop/public/bill:select*").unwrap();
        assert_eq!(
            held.take("bot", true).unwrap(),
            "REVOKE GRANT OPTION FOR SELECT ON TABLE \"public\".\"bill\" FROM \"bot\""
        );
        for shown in ["attribute/superuser", "owner/database/shop"] {
            assert_eq!(form(shown).unwrap().give("bot"), None);
        }
    }

    #[test]
    fn a_scope_ranks_by_its_privilege_and_higher_where_it_is_passed_on() {
        for (text, expected) in [
            ("table/a/b/c:select", Action::Read),
            ("table/a/b/c:select*", Action::Identity),
            ("table/a/b/c:truncate", Action::Delete),
            ("sequence/a/b/c:usage", Action::Write),
            ("schema/a/b:usage", Action::Read),
            ("function/a/b/c():execute", Action::Execute),
            ("parameter/log_statement:set", Action::Suppress),
            ("default/a/o/tables:delete", Action::Delete),
            ("role/pg_read_all_data", Action::Export),
            ("role/pg_read_all_data*", Action::Identity),
            ("role/pg_execute_server_program", Action::Admin),
            ("role/readers", Action::Unknown),
            ("role/readers*", Action::Unknown),
            ("attribute/createdb", Action::Admin),
            ("owner/a/table/b.c", Action::Identity),
            ("nothing", Action::Unknown),
        ] {
            assert_eq!(action(&Scope::canonical(text)), expected, "{text}");
        }
    }

    #[test]
    fn leave_to_pass_on_and_a_whole_table_hold_what_is_less() {
        let implies = |a: &str, b: &str| super::implies(&Scope::canonical(a), &Scope::canonical(b));
        assert!(implies("role/a*", "role/a") && !implies("role/a", "role/a*"));
        assert!(implies("table/d/s/t:select*", "table/d/s/t:select"));
        assert!(implies("table/d/s/t:select", "column/d/s/t/c:select"));
        assert!(!implies("table/d/s/t:select", "column/d/s/t/c:select*"));
        assert!(!implies("table/d/s/t:select", "column/d/s/t/c:update"));
        assert!(!implies("column/d/s/t/c:select", "table/d/s/t:select"));
        assert!(!implies("attribute/superuser", "table/d/s/t:select"));
    }

    proptest! {
        #[test]
        fn any_name_is_written_and_read_back(
            database in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{1,15}",
            table in "[ /:%*+\"a-zäß€']{1,15}",
            passed_on: bool,
        ) {
            let path = vec![database, "public".into(), table.clone()];
            let one = Form::Privilege { class: "table", path, privilege: "select", passed_on };
            prop_assert_eq!(form(one.scope().as_str()), Some(one));
            let role = Form::Role { name: table, passed_on };
            prop_assert_eq!(form(role.scope().as_str()), Some(role));
        }

        #[test]
        fn what_is_parsed_is_canonical(
            text in "(role|table|column|function|default|owner|x)/[ -~äö]{0,24}(:[a-z+]{0,9}\\*?)?",
        ) {
            for one in parse(&text).unwrap_or_default() {
                prop_assert_eq!(parse(one.as_str()), Ok(vec![one]));
            }
        }
    }
}
