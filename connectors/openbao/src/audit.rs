//! The lines of an audit device.
//!
//! It writes accessors and tokens as an HMAC under a key of its own, so that no line names a secret id.
//! What it writes in the clear is the metadata of the token, and there stand the role and, on what was
//! signed in for with a secret id of ours, the mark of that.

use connector::{LogLine, LogUse};
use domain::Scope;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    approle::MARKER,
    scope::{Form, form},
};

/// Reads a line. Of each request there are two; the one with its answer says whether it was let through.
pub(crate) fn line(line: &Value) -> LogLine {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let at = line["time"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let answered = line["type"] == "response" && line["error"].as_str().is_none_or(str::is_empty);
    let metadata = &line["auth"]["metadata"];
    let (mark, name) = (text(&metadata[MARKER]), text(&metadata["role_name"]));
    let Some(at_known) = at.filter(|_| answered && (mark.is_some() || name.is_some())) else {
        return LogLine::Other(at);
    };
    let path = line["request"]["path"].as_str().unwrap_or_default();
    let scopes = match (line["request"]["operation"].as_str().unwrap_or_default(), path) {
        (_, "") => Vec::new(),
        // Whoever signs in holds nothing yet.
        (_, path) if path.starts_with("auth/") && path.ends_with("/login") => Vec::new(),
        // Which of the two it is depends on what was there before.
        ("create" | "update", path) => vec![format!("{path}:create"), format!("{path}:update")],
        (word @ ("read" | "list" | "scan" | "delete" | "patch" | "recover"), path) => {
            vec![format!("{path}:{word}")]
        }
        _ => Vec::new(),
    };
    LogLine::Use(LogUse { at: at_known, mark, name, scopes })
}

/// Whether a line can tell that a scope was used: it names an operation on a path, and no policy by which
/// it was let through, nor that it took sudo.
pub(crate) fn shows(scope: &Scope) -> bool {
    let never = ["sudo", "subscribe", "deny"];
    matches!(form(scope.as_str()), Some(Form::Rule { capability, .. }) if !never.contains(&capability))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As OpenBao 2.7 writes it, shortened.
    fn response(path: &str, operation: &str) -> Value {
        json!({
            "time": "2026-11-30T18:00:00.123456789Z", "type": "response",
            "auth": {
                "accessor": "hmac-sha256:aa", "client_token": "hmac-sha256:bb", "display_name": "approle",
                "metadata": { "nhi": "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm", "role_name": "invoice-sync" },
                "policies": ["default", "nhi/invoice-sync"], "token_type": "service"
            },
            "request": { "id": "1", "operation": operation, "path": path, "mount_type": "kv" }
        })
    }

    #[test]
    fn what_no_line_can_show_is_told_to_be_none_of_it() {
        for capability in crate::scope::CAPABILITIES {
            let shown = shows(&crate::scope::rule("secret/data/x", capability));
            let LogLine::Use(one) = line(&response("secret/data/x", capability)) else {
                panic!("it is a use")
            };
            assert_eq!(shown, !one.scopes.is_empty(), "{capability}");
        }
        for other in ["policy/x", "identity-policy/x", "role/periodic-tokens"] {
            assert!(!shows(&Scope::canonical(other.to_owned())), "{other}");
        }
    }

    #[test]
    fn a_line_tells_who_used_what_where_it_was_let_through() {
        let LogLine::Use(one) = line(&response("secret/data/invoices/tonight", "read")) else {
            panic!("it is a use")
        };
        assert_eq!(one.name.as_deref(), Some("invoice-sync"));
        assert!(one.mark.is_some());
        assert_eq!(one.scopes, ["secret/data/invoices/tonight:read"]);
        assert_eq!(one.at.as_second(), 1_796_061_600);
        let LogLine::Use(login) = line(&response("auth/approle/login", "update")) else {
            panic!("it is a use")
        };
        assert!(login.scopes.is_empty());
        let mut refused = response("secret/data/x", "read");
        refused["error"] = json!("1 error occurred: permission denied");
        let mut asked = response("secret/data/x", "read");
        asked["type"] = json!("request");
        let mut others = response("secret/data/x", "read");
        others["auth"]["metadata"] = json!(null);
        for other in [refused, asked, others] {
            assert!(matches!(line(&other), LogLine::Other(Some(_))), "{other}");
        }
        for nothing in [json!(null), json!([]), json!({ "time": 1 }), json!("x")] {
            assert_eq!(line(&nothing), LogLine::Other(None));
        }
    }
}
