//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Capabilities, CredentialType, Default, Effect, Field, FieldType, Grows, Kind, MainField,
    MarkerPlace, Marks, OnChange, Origin, ProbeBudget, Profile, VerifyCost,
};
use domain::Span;

/// The one kind.
pub(crate) const CLIENT: &str = "unleash_client";
/// Its one type of credential.
pub(crate) const TOKEN: &str = "unleash_token";
/// The server makes the secret; the name of the same call carries the marker.
pub(crate) const ADD_MARKED: &str = "add-marked";
/// The setting of a token that says which of the two interfaces it opens.
pub(crate) const TYPE: &str = "type";
/// The setting of a token that says in which environment it asks.
pub(crate) const ENVIRONMENT: &str = "environment";
/// The setting of a token that says about which projects it asks.
pub(crate) const PROJECTS: &str = "projects";
/// What a token opens unless it is told.
pub(crate) const BACKEND: &str = "backend";
/// Where a token asks unless it is told: the server's own choice.
pub(crate) const DEVELOPMENT: &str = "development";
/// What a token asks about unless it is told: the one project that every server has.
pub(crate) const DEFAULT: &str = "default";

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 3] = [
    Field {
        name: "address",
        required: true,
        doc: "Where people open Unleash, such as `https://flags.acme.example`, with its base path if it has \
              one; without `/api`.",
        ..Field::TEXT
    },
    Field {
        name: "ca_file",
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..Field::TEXT
    },
    Field {
        name: "tenant",
        doc: "The server's instance id, as `nhi init` wrote it: protects against an address that points \
              elsewhere.",
        ..Field::TEXT
    },
];

static TOKEN_FIELDS: [Field; 3] = [
    Field {
        name: TYPE,
        field_type: FieldType::Word(&[BACKEND, "frontend"]),
        default: Default::Ours(BACKEND),
        on_change: OnChange::Rotate,
        grows: Grows::Any,
        doc: "`backend` reads every flag with its rules, `frontend` asks which flags are on. Fixed at issue: \
              a change rotates. `backend` unless set.",
        ..Field::TEXT
    },
    Field {
        name: ENVIRONMENT,
        default: Default::Ours(DEVELOPMENT),
        on_change: OnChange::Rotate,
        grows: Grows::Any,
        doc: "The environment of Unleash that the token asks in. Fixed at issue: a change rotates. \
              `development` unless set.",
        ..Field::TEXT
    },
    Field {
        name: PROJECTS,
        field_type: FieldType::Texts,
        default: Default::OursTexts(&[DEFAULT]),
        on_change: OnChange::Rotate,
        grows: Grows::More,
        doc: "The projects whose flags the token asks about; `*` is all that there are and will be. Fixed at \
              issue: a change rotates. `default` alone unless set.",
        ..Field::TEXT
    },
];

/// The ways of issuing: one.
pub(crate) static PROFILES: [Profile; 1] = [Profile {
    name: ADD_MARKED,
    effect: Effect::Adds { max_live: None },
    // The listing shows every secret again. It is read there by nobody of ours.
    origin: Origin::VendorOnce,
    marks: Marks::AtIssue,
    lists: true,
    sets_expiry: true,
    disables: false,
    moves_expiry: true,
    verify: VerifyCost { takes_use: false },
    // The server counts no refusals. What stands before it may: two between successes, as elsewhere.
    probe: ProbeBudget { between_successes: 2, in_window: 20, window: Span::from_secs(900) },
    // Every node keeps all tokens in memory, and reads them anew every minute.
    revocation_lag: Span::from_secs(75),
    list_lag: Span::ZERO,
}];

static TOKEN_TYPE: CredentialType = CredentialType {
    name: TOKEN,
    doc: "An API token. Several live at once, each marked in its name. What it reaches is fixed at issue.",
    fields: &TOKEN_FIELDS,
    profiles: &PROFILES,
    main: &[("token", MainField::Secret)],
};

/// The kinds.
pub(crate) static KINDS: [Kind; 1] = [Kind {
    name: CLIENT,
    doc: "An application that asks Unleash which features are on: all API tokens that bear its name. What \
          it may do is what its tokens reach.",
    fields: &[],
    capabilities: Capabilities {
        lists: true,
        creates: true,
        key_is_ours: true,
        keeps_record: true,
        needs_keyring: false,
        changes_scopes: false,
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
    credential_types: &[&TOKEN_TYPE],
    refuse_name: connector::marked::refuse_name,
}];
