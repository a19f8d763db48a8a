//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Absent, Capabilities, CredentialType, Effect, Field, FieldType, Grows, Kind, MainField,
    MarkerPlace, Marks, OnChange, Origin, ProbeBudget, Profile, VerifyCost,
};
use domain::Span;

/// The one kind.
pub(crate) const USER: &str = "jupyterhub_user";
/// Its one type of credential.
pub(crate) const TOKEN: &str = "jupyterhub_token";
/// The hub makes the secret; the note of the same call carries the marker.
pub(crate) const ADD_MARKED: &str = "add-marked";
/// The setting of a token that says what it may do.
pub(crate) const SCOPES: &str = "scopes";

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 5] = [
    Field {
        name: "address",
        required: true,
        doc: "Where people open the hub, such as `https://hub.acme.example`, with its base path if it has \
              one; without `/hub`.",
        ..Field::TEXT
    },
    Field {
        name: "ca_file",
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..Field::TEXT
    },
    Field {
        name: "tenant",
        doc: "What must stand for this hub, its address or `known_as`: protects against an address that \
              points elsewhere.",
        ..Field::TEXT
    },
    Field {
        name: "known_as",
        doc: "A name of yours that stands for this hub, which has no id of its own: the same wherever it \
              is reached from. Its address unless set.",
        ..Field::TEXT
    },
    Field {
        name: "people",
        doc: "A group of the hub whose members are people, and no integrations: they are not listed. The \
              hub itself tells a person from a program by nothing.",
        ..Field::TEXT
    },
];

static TOKEN_FIELDS: [Field; 1] = [Field {
    name: SCOPES,
    field_type: FieldType::Texts,
    on_change: OnChange::Rotate,
    grows: Grows::More,
    absent: Absent::Narrowest,
    doc: "What the token may do of what its user may, in the hub's own words, such as \
          `read:users!group=class-a`; `inherit` is everything that the user may. Unless set it says who it \
          is and does nothing. Fixed at issue: a change rotates.",
    ..Field::TEXT
}];

/// The ways of issuing: one.
pub(crate) static PROFILES: [Profile; 1] = [Profile {
    name: ADD_MARKED,
    effect: Effect::Adds { max_live: None },
    origin: Origin::VendorOnce,
    marks: Marks::AtIssue,
    lists: true,
    sets_expiry: true,
    disables: false,
    moves_expiry: false,
    verify: VerifyCost { takes_use: false },
    // The hub counts no refusals. What stands before it may: two between successes, as elsewhere.
    probe: ProbeBudget { between_successes: 2, in_window: 8, window: Span::from_secs(900) },
    revocation_lag: Span::ZERO,
    list_lag: Span::ZERO,
}];

static TOKEN_TYPE: CredentialType = CredentialType {
    name: TOKEN,
    doc: "An API token of the user. Several live at once, each marked in its note.",
    fields: &TOKEN_FIELDS,
    profiles: &PROFILES,
    main: &[("token", MainField::Secret)],
};

/// The kinds.
pub(crate) static KINDS: [Kind; 1] = [Kind {
    name: USER,
    doc: "A user of the hub that no person is behind. What it may do comes from the groups that it is in, \
          the servers that are shared with it, and the hub's own admin flag.",
    fields: &[],
    capabilities: Capabilities {
        lists: true,
        creates: true,
        key_is_ours: true,
        keeps_record: true,
        needs_keyring: false,
        changes_scopes: true,
        ends_scopes: false,
        disables: false,
        disable_reaches_tokens: false,
        lists_credentials: true,
        tells_last_use: true,
        marker: MarkerPlace::Credential,
        sweeps_children: false,
        proves_by_use: true,
        mints_access: true,
    },
    credential_types: &[&TOKEN_TYPE],
    refuse_name,
}];

/// The hub brings names into lower case wherever a person signs in or a group is filled, so that
/// capitals would name somebody else there.
fn refuse_name(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.starts_with(plain)
        && name.chars().all(|c| plain(c) || matches!(c, '-' | '_' | '.'))
        && name.len() <= 100;
    (!fits).then(|| {
        format!(
            "{name:?} cannot name a user of ours: lower-case letters, digits, \"-\", \"_\" and \".\", a \
             letter or digit first, at most 100"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_hub_would_change_are_refused() {
        for good in ["ci", "grade-sync", "a.b_c", "7"] {
            assert_eq!(refuse_name(good), None, "{good}");
        }
        for bad in ["", "CI", "-a", "a/b", "a b", "ä", "a:b", &"x".repeat(101)] {
            assert!(refuse_name(bad).is_some(), "{bad}");
        }
    }
}
