//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Capabilities, CredentialType, Effect, Field, Kind, MainField, MarkerPlace, Marks, Origin,
    ProbeBudget, Profile, VerifyCost,
};
use domain::Span;

/// The one kind.
pub(crate) const CLIENT: &str = "strapi_client";
/// A further token beside the integration's own.
pub(crate) const TOKEN: &str = "strapi_token";
/// The integration's own token.
pub(crate) const OWN_TOKEN: &str = "strapi_own_token";
/// The server makes the secret; the name of the same call carries the marker.
pub(crate) const ADD_MARKED: &str = "add-marked";
/// The server makes another secret for the token that is there, and the one before dies in the call.
pub(crate) const REPLACE_ONCE: &str = "replace-once";

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 3] = [
    Field {
        name: "address",
        required: true,
        doc: "Where Strapi is, such as `https://cms.acme.example`, without `/admin` and `/api`.",
        ..Field::TEXT
    },
    Field {
        name: "ca_file",
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..Field::TEXT
    },
    Field {
        name: "tenant",
        doc: "The project's id, as `nhi init` wrote it: protects against an address that points elsewhere.",
        ..Field::TEXT
    },
];

const ADDS: Profile = Profile {
    name: ADD_MARKED,
    effect: Effect::Adds { max_live: None },
    origin: Origin::VendorOnce,
    marks: Marks::AtIssue,
    lists: true,
    // An end is one of three, none of them shorter than a week.
    sets_expiry: false,
    disables: false,
    moves_expiry: false,
    verify: VerifyCost { takes_use: false },
    // The server counts no refusals. What stands before it may: two between successes, as elsewhere.
    probe: ProbeBudget { between_successes: 2, in_window: 20, window: Span::from_secs(900) },
    revocation_lag: Span::ZERO,
    list_lag: Span::ZERO,
};

/// The ways of issuing a further token: one.
pub(crate) static ADDING: [Profile; 1] = [ADDS];
/// The ways of issuing the own one: one.
pub(crate) static REPLACING: [Profile; 1] =
    [Profile { name: REPLACE_ONCE, effect: Effect::Replaces, marks: Marks::Never, ..ADDS }];

static TOKEN_TYPE: CredentialType = CredentialType {
    name: TOKEN,
    doc: "A further API token, which may do what the integration may. Several live at once, each marked in \
          its name; it ends by being deleted.",
    fields: &[],
    profiles: &ADDING,
    main: &[("token", MainField::Secret)],
};

static OWN_TOKEN_TYPE: CredentialType = CredentialType {
    name: OWN_TOKEN,
    doc: "The API token that the integration itself is, for what must keep its name. Strapi regenerates \
          it: the secret before it is refused from that call on, so consumers are interrupted. Prefer \
          `strapi_token`.",
    fields: &[],
    profiles: &REPLACING,
    main: &[("token", MainField::Secret)],
};

/// The kinds.
pub(crate) static KINDS: [Kind; 1] = [Kind {
    name: CLIENT,
    doc: "An API token of a Strapi project, with those that bear its name and a mark behind it: an \
          application that reads or writes the project's content.",
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
        mints_access: false,
    },
    credential_types: &[&TOKEN_TYPE, &OWN_TOKEN_TYPE],
    refuse_name: connector::marked::refuse_name,
}];
