//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Absent, Capabilities, CredentialType, Default, Effect, Field, FieldType, Grows, Kind,
    MainField, MarkerPlace, Marks, Origin, ProbeBudget, Profile, VerifyCost,
};
use domain::Span;

use crate::quote;

/// The one kind.
pub(crate) const ROLE: &str = "postgresql_role";
/// Its own password.
pub(crate) const PASSWORD: &str = "postgresql_password";
/// The passwords of two roles that sign in for it.
pub(crate) const PAIR: &str = "postgresql_pair";
/// What the names of these two end with, behind its own.
pub(crate) const ENDS: [&str; 2] = ["_a", "_b"];
/// The password is ours; the one before dies in the call.
pub(crate) const REPLACE_OURS: &str = "replace-ours";
/// The password is ours; the other role's lives on.
pub(crate) const SLOTS: &str = "slots";
/// The settings of a role.
pub(crate) const CONNECTION_LIMIT: &str = "connection_limit";
pub(crate) const INHERIT: &str = "inherit";

/// The role that we sign in as, where nobody says otherwise.
pub(crate) const USER: &str = "nhi";

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 4] = [
    Field {
        name: "address",
        required: true,
        doc: "The server, `postgresql://db.acme.example:5432/postgres`, with the database that our role signs \
              in to; without user and password. TLS with the server's certificate verified, unless it is \
              this machine; `?sslmode=disable` and `?sslmode=require` say otherwise.",
        ..Field::TEXT
    },
    Field {
        name: "ca_file",
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..Field::TEXT
    },
    Field {
        name: "user",
        default: Default::Ours(USER),
        doc: "The role that we sign in as; `credential` is its password. It is never governed here.",
        ..Field::TEXT
    },
    Field {
        name: "tenant",
        doc: "The system identifier of this database cluster, as `nhi init` wrote it: protects against an \
              address that points elsewhere.",
        ..Field::TEXT
    },
];

static ROLE_FIELDS: [Field; 2] = [
    Field {
        name: CONNECTION_LIMIT,
        field_type: FieldType::Count,
        grows: Grows::More,
        absent: Absent::Widest,
        doc: "How many sessions the role may have at once; unlimited unless set.",
        ..Field::TEXT
    },
    Field {
        name: INHERIT,
        field_type: FieldType::Flag,
        default: Default::Ours("true"),
        grows: Grows::True,
        doc: "Whether the role has the privileges of its groups without `SET ROLE`. From PostgreSQL 16 on it \
              is only what later memberships begin with.",
        ..Field::TEXT
    },
];

/// The ways of issuing: one a type, and the same where our role may not look at passwords.
pub(crate) static PROFILES: [Profile; 2] = [SEEN, Profile { lists: false, ..SEEN }];
pub(crate) static PAIR_PROFILES: [Profile; 2] = [SEEN_PAIR, Profile { lists: false, ..SEEN_PAIR }];

const SEEN_PAIR: Profile =
    Profile { name: SLOTS, effect: Effect::Alternates, disables: true, moves_expiry: true, ..SEEN };

const SEEN: Profile = Profile {
    name: REPLACE_OURS,
    effect: Effect::Replaces,
    origin: Origin::Ours,
    marks: Marks::AtIssue,
    lists: true,
    sets_expiry: true,
    disables: false,
    moves_expiry: false,
    verify: VerifyCost { takes_use: false },
    // The server counts no refusals. What stands before it may: two between successes, as elsewhere.
    probe: ProbeBudget { between_successes: 2, in_window: 8, window: Span::from_secs(900) },
    revocation_lag: Span::ZERO,
    list_lag: Span::ZERO,
};

static PASSWORD_TYPE: CredentialType = CredentialType {
    name: PASSWORD,
    doc: "The role's password: one at a time, chosen by us, of which the server is told a verifier only.",
    fields: &[],
    profiles: &PROFILES,
    main: &[("password", MainField::Secret)],
};

static PAIR_TYPE: CredentialType = CredentialType {
    name: PAIR,
    doc: "The password of one of two roles by turns, `<name>_a` and `<name>_b`, which sign in for the role and \
          act as it: the earlier one works on in its overlap. Each is made at its first password.",
    fields: &[],
    profiles: &PAIR_PROFILES,
    main: &[("user", MainField::User), ("password", MainField::Secret)],
};

/// The kinds.
pub(crate) static KINDS: [Kind; 1] = [Kind {
    name: ROLE,
    doc: "A role that signs in. What it may do comes from the groups that it is in and from what is granted \
          to it.",
    fields: &ROLE_FIELDS,
    capabilities: Capabilities {
        lists: true,
        creates: true,
        key_is_ours: true,
        keeps_record: true,
        needs_keyring: false,
        changes_scopes: true,
        ends_scopes: false,
        disables: true,
        disable_reaches_tokens: true,
        lists_credentials: true,
        tells_last_use: false,
        marker: MarkerPlace::Credential,
        sweeps_children: true,
        proves_by_use: true,
        mints_access: false,
    },
    credential_types: &[&PASSWORD_TYPE, &PAIR_TYPE],
    refuse_name,
}];

fn refuse_name(name: &str) -> Option<String> {
    let why = quote::refuse(name).or_else(|| {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("pg_") {
            Some("PostgreSQL keeps names that begin with \"pg_\" for itself")
        } else if matches!(&*lower, "public" | "none") {
            Some("it means something else to PostgreSQL")
        } else {
            None
        }
    });
    why.map(|why| format!("{name:?} cannot name a role: {why}"))
}

/// Why one of a pair cannot have this name: it stands in key ids, which are lists elsewhere.
pub(crate) fn unfit_in_pair(name: &str) -> Option<&'static str> {
    let listed = name.contains([',', ';']).then_some("it has a \",\" or \";\" in it");
    quote::refuse(name).or(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_the_server_s_or_would_be_cut_are_refused() {
        for good in ["billing", "Billing \"x\"", "süd", &"x".repeat(63), "a/b"] {
            assert_eq!(refuse_name(good), None, "{good}");
        }
        for bad in ["", "pg_read", "PG_x", "public", "none", &"ü".repeat(32), "a\nb", "a\0"] {
            assert!(refuse_name(bad).is_some(), "{bad}");
        }
    }
}
