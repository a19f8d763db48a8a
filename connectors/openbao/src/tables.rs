//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Absent, Capabilities, CredentialType, Default, Effect, Field, FieldType, Grows, Kind,
    MainField, MarkerPlace, Marks, Obstacle, OnChange, Origin, ProbeBudget, Profile, VerifyCost,
};
use domain::{Settings, Span};

/// The one kind.
pub(crate) const APPROLE: &str = "openbao_approle";
/// Its one type of credential.
pub(crate) const SECRET_ID: &str = "openbao_secret_id";
/// We choose the secret.
pub(crate) const ADD_OURS: &str = "add-ours";
/// The server makes the secret, marked in the same call.
pub(crate) const ADD_MARKED: &str = "add-marked";
/// The mount where roles are unless told otherwise.
pub(crate) const MOUNT: &str = "approle";
/// How long a token lives unless told otherwise.
const TOKEN_TTL: &str = "1h";

/// Refusals that a role stands between two successes, where five lock it.
pub(crate) const BETWEEN_SUCCESSES: u8 = 2;
/// Refusals in a window, where five lock it.
pub(crate) const IN_WINDOW: u8 = 4;
/// The server's own window.
pub(crate) const WINDOW: Span = Span::from_secs(900);

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 5] = [
    Field {
        name: "address",
        required: true,
        doc: "Where the server answers, such as `https://bao.acme.example:8200`.",
        ..Field::TEXT
    },
    Field {
        name: "namespace",
        doc: "The namespace that everything happens in; the root namespace unless set.",
        ..Field::TEXT
    },
    Field {
        name: "ca_file",
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..Field::TEXT
    },
    Field {
        name: "tenant",
        doc: "The cluster id that must answer (with `/<namespace>` behind it, if any): protects \
              against an address that points elsewhere.",
        ..Field::TEXT
    },
    Field {
        name: "sign_in_mount",
        default: Default::Ours(MOUNT),
        doc: "The AppRole mount of our own sign-in, where the credential has a role id.",
        ..Field::TEXT
    },
];

static ROLE: [Field; 12] = [
    Field {
        name: "mount",
        default: Default::Ours(MOUNT),
        on_change: OnChange::Replace,
        doc: "The AppRole auth mount, `approle` unless set.",
        ..Field::TEXT
    },
    Field {
        name: "token_ttl",
        field_type: FieldType::Span,
        default: Default::Ours(TOKEN_TTL),
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How long a token lives before it must be renewed, `1h` unless set.",
        ..Field::TEXT
    },
    Field {
        name: "token_max_ttl",
        field_type: FieldType::Span,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How long a token may live with renewals; the mount's limit unless set.",
        ..Field::TEXT
    },
    Field {
        name: "token_bound_cidrs",
        field_type: FieldType::Cidrs,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "Where a token may be used from; everywhere unless set.",
        ..Field::TEXT
    },
    Field {
        name: "token_num_uses",
        field_type: FieldType::Count,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How often a token may be used; without limit unless set.",
        ..Field::TEXT
    },
    Field {
        name: "token_explicit_max_ttl",
        field_type: FieldType::Span,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How long a token may live at the very most, written into the token itself; no such limit \
              unless set.",
        ..Field::TEXT
    },
    Field {
        name: "token_strictly_bind_ip",
        field_type: FieldType::Flag,
        grows: Grows::False,
        absent: Absent::Widest,
        doc: "Tokens may be used only from the address that signed in, `false` unless set.",
        ..Field::TEXT
    },
    Field {
        name: "secret_id_ttl",
        field_type: FieldType::Span,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How long a secret id of this role lives at most, whoever issues it; without limit unless \
              set.",
        ..Field::TEXT
    },
    Field {
        name: "secret_id_num_uses",
        field_type: FieldType::Count,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How often a secret id of this role may be used at most, whoever issues it; without limit \
              unless set.",
        ..Field::TEXT
    },
    Field {
        name: "secret_id_bound_cidrs",
        field_type: FieldType::Cidrs,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "Where the secret ids of this role may be used from; everywhere unless set.",
        ..Field::TEXT
    },
    Field {
        name: "token_type",
        field_type: FieldType::Word(&["default", "service", "batch"]),
        default: Default::Ours("default"),
        grows: Grows::Any,
        doc: "`service` tokens can be revoked one by one, `batch` tokens cannot; `default`, the mount's, \
              unless set.",
        ..Field::TEXT
    },
    Field {
        name: "no_default_policy",
        field_type: FieldType::Flag,
        default: Default::Ours("true"),
        grows: Grows::False,
        doc: "Tokens do without the `default` policy, `true` unless set.",
        ..Field::TEXT
    },
];

static SECRET_ID_FIELDS: [Field; 2] = [
    Field {
        name: "bound_cidrs",
        field_type: FieldType::Cidrs,
        on_change: OnChange::Rotate,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "Where the secret id may be used from; everywhere unless set.",
        ..Field::TEXT
    },
    Field {
        name: "num_uses",
        field_type: FieldType::Count,
        on_change: OnChange::Rotate,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How often the secret id may be used; without limit unless set. Verifying it takes one \
              use.",
        ..Field::TEXT
    },
];

const OURS: Profile = Profile {
    name: ADD_OURS,
    effect: Effect::Adds { max_live: None },
    origin: Origin::Ours,
    marks: Marks::AtIssue,
    lists: true,
    sets_expiry: true,
    disables: false,
    moves_expiry: false,
    verify: VerifyCost { takes_use: true },
    probe: ProbeBudget {
        between_successes: BETWEEN_SUCCESSES,
        in_window: IN_WINDOW,
        window: WINDOW,
    },
    revocation_lag: Span::ZERO,
    list_lag: Span::ZERO,
};

/// The ways of issuing, best first.
pub(crate) static PROFILES: [Profile; 2] =
    [OURS, Profile { name: ADD_MARKED, origin: Origin::VendorOnce, ..OURS }];

static SECRET_ID_TYPE: CredentialType = CredentialType {
    name: SECRET_ID,
    doc: "A secret id of an AppRole role. Several live at once, each marked in its metadata.",
    fields: &SECRET_ID_FIELDS,
    profiles: &PROFILES,
    main: &[("role_id", MainField::VendorId), ("secret_id", MainField::Secret)],
};

/// The kinds.
pub(crate) static KINDS: [Kind; 1] = [Kind {
    name: APPROLE,
    doc: "A role of the AppRole auth method, with a policy `nhi/<name>` of its own and an identity \
          entity that can be switched off.",
    fields: &ROLE,
    capabilities: Capabilities {
        lists: true,
        creates: true,
        key_is_ours: true,
        keeps_record: true,
        needs_keyring: false,
        changes_scopes: true,
        ends_scopes: true,
        disables: true,
        disable_reaches_tokens: true,
        lists_credentials: true,
        tells_last_use: false,
        marker: MarkerPlace::Credential,
        sweeps_children: true,
        proves_by_use: true,
        mints_access: true,
    },
    credential_types: &[&SECRET_ID_TYPE],
    refuse_name,
}];

/// Role names are letters, digits, `_`, `-` and `.`; the server lower-cases what it is given, so
/// capitals would come back as another name.
fn refuse_name(name: &str) -> Option<String> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inside =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    let fits = edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(inside);
    if fits && name.len() <= 100 {
        return None;
    }
    Some(format!(
        "{name:?} cannot name an AppRole role: lower-case letters, digits, \"-\", \"_\" and \".\", a \
         letter or digit at both ends, at most 100"
    ))
}

/// What a role asks of its own settings, beyond what each is by itself. Nothing and `0` set no limit.
pub(crate) fn contradiction(settings: &Settings) -> Option<(&'static str, Obstacle)> {
    let limit = |text: &str| text.parse::<Span>().ok().filter(|span| *span > Span::ZERO);
    let written = settings.text("token_ttl");
    let ttl = limit(written.unwrap_or(TOKEN_TTL));
    let most = settings.text("token_max_ttl").and_then(limit);
    if let (Some(ttl), Some(most)) = (ttl, most)
        && ttl > most
    {
        let at = if written.is_some() { "token_ttl" } else { "token_max_ttl" };
        return Some((
            at,
            Obstacle {
                why: format!(
                    "token_ttl is {ttl} and token_max_ttl is {most}: a token would live longer before it \
                     must be renewed than it may live with renewals"
                ),
                next: "write a token_ttl that is not above token_max_ttl".into(),
            },
        ));
    }
    if settings.text("token_type") == Some("batch")
        && settings.count("token_num_uses").is_some_and(|uses| uses > 0)
    {
        return Some((
            "token_num_uses",
            Obstacle {
                why: "the uses of batch tokens cannot be counted, so token_num_uses limits none"
                    .into(),
                next: "remove it, or write token_type = \"service\"".into(),
            },
        ));
    }
    None
}

/// The setting of a role or of a secret id that goes by this name.
pub(crate) fn setting(name: &str) -> Option<&'static str> {
    ROLE.iter().chain(&SECRET_ID_FIELDS).map(|field| field.name).find(|one| *one == name)
}

#[cfg(test)]
mod tests {
    use domain::Setting;

    use super::*;

    #[test]
    fn a_role_is_refused_settings_that_the_server_does_not_take_together() {
        let at = |settings: &[(&str, &str)], uses: i64| {
            let mut all = Settings::default().with("token_num_uses", Setting::Count(uses));
            for (name, text) in settings {
                all = all.with(name, Setting::Text((*text).to_owned()));
            }
            contradiction(&all).map(|(at, _)| at)
        };
        let lives = |ttl, most| at(&[("token_ttl", ttl), ("token_max_ttl", most)], 0);
        assert_eq!(lives("2h", "1h"), Some("token_ttl"));
        assert_eq!(at(&[("token_max_ttl", "30m")], 0), Some("token_max_ttl"), "above our default");
        for (ttl, most) in [("1h", "1h"), ("60m", "1h"), ("2h", "0"), ("0", "1h"), ("1h", "1d")] {
            assert_eq!(lives(ttl, most), None, "{ttl} {most}");
        }
        assert_eq!(at(&[("token_ttl", "90d")], 0), None, "no limit of its own");
        let of_type = |word, uses| at(&[("token_type", word)], uses);
        assert_eq!(of_type("batch", 7), Some("token_num_uses"));
        assert_eq!((of_type("batch", 0), of_type("service", 7)), (None, None));
    }

    #[test]
    fn names_that_the_server_would_change_or_refuse_are_refused() {
        for good in ["ci", "invoice-sync", "a.b_c", "7"] {
            assert_eq!(refuse_name(good), None, "{good}");
        }
        for bad in ["", "CI", "-a", "a-", "a/b", "a b", "ä", "a:b"] {
            assert!(refuse_name(bad).is_some(), "{bad}");
        }
    }
}
