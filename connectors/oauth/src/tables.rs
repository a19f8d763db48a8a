//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Absent, Capabilities, CredentialType, Default, Effect, Field, FieldType, Grows, Kind,
    MainField, MarkerPlace, Marks, OnChange, Origin, ProbeBudget, Profile, VerifyCost,
};
use domain::Span;

/// The one kind.
pub(crate) const CLIENT: &str = "oauth_client";
/// Our key, the server has its public half.
pub(crate) const PRIVATE_KEY: &str = "oauth_private_key";
/// The secret that the server makes.
pub(crate) const CLIENT_SECRET: &str = "oauth_client_secret";
/// The one way of issuing a key.
pub(crate) const ADD_OURS: &str = "add-ours";
/// The way of issuing a secret at a server that makes one: once.
pub(crate) const FIRST_ONLY: &str = "first-only";
/// The same at one that makes another, which takes the place of the one before.
pub(crate) const REPLACE_ONCE: &str = "replace-once";
/// The setting of a connection that says so.
pub(crate) const REISSUES: &str = "reissues";

/// What a key of ours may sign with.
pub(crate) static ALGORITHMS: [&str; 3] = ["ES256", "ES384", "EdDSA"];
/// How a client may send its secret.
pub(crate) static METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

const TEXT: Field = Field {
    name: "address",
    field_type: FieldType::Text,
    required: true,
    default: Default::None,
    on_change: OnChange::InPlace,
    grows: Grows::Never,
    absent: Absent::Neutral,
    doc: "The issuer, such as `https://login.acme.example`: its metadata says where everything is.",
};

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 4] = [
    TEXT,
    Field {
        name: "ca_file",
        required: false,
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..TEXT
    },
    Field {
        name: "token_lifetime_member",
        required: false,
        doc: "The member of a registration in which this server takes how many seconds a client's tokens \
              live: no standard names one. `oauth_client.token_lifetime` needs it.",
        ..TEXT
    },
    Field {
        name: REISSUES,
        field_type: FieldType::Flag,
        required: false,
        doc: "Whether this server makes another client secret for an update of the registration that leaves \
              it out, or that takes the way to sign in away and gives it back (RFC 7592 lets a server do so; \
              most never do). Where it does, an `oauth_client_secret` rotates, without overlap.",
        ..TEXT
    },
];

static FIELDS: [Field; 4] = [
    Field {
        name: "grant_types",
        field_type: FieldType::Texts,
        required: false,
        default: Default::OursTexts(&["client_credentials"]),
        grows: Grows::More,
        absent: Absent::Narrowest,
        doc: "The ways in which the client may get a token, `client_credentials` unless set.",
        ..TEXT
    },
    Field {
        name: "redirect_uris",
        field_type: FieldType::Uris,
        required: false,
        grows: Grows::More,
        absent: Absent::Narrowest,
        doc: "Where the server may send people back to.",
        ..TEXT
    },
    Field {
        name: "post_logout_redirect_uris",
        field_type: FieldType::Uris,
        required: false,
        grows: Grows::More,
        absent: Absent::Narrowest,
        doc: "Where the server may send people after they signed out.",
        ..TEXT
    },
    Field {
        name: "token_lifetime",
        field_type: FieldType::Span,
        required: false,
        default: Default::Vendor,
        grows: Grows::More,
        doc: "How long a token lives, such as `20m`; the server's own choice unless set. Only on servers \
              that take it, see `token_lifetime_member` of the connection.",
        ..TEXT
    },
];

const KEYS: Profile = Profile {
    name: ADD_OURS,
    effect: Effect::Adds { max_live: None },
    origin: Origin::OursPublicKey,
    marks: Marks::AtIssue,
    lists: true,
    sets_expiry: false,
    disables: false,
    moves_expiry: false,
    verify: VerifyCost { takes_use: false },
    // Nothing is known of how this server counts: two refusals, ended by a success, as elsewhere.
    probe: ProbeBudget { between_successes: 2, in_window: 8, window: Span::from_secs(900) },
    revocation_lag: Span::ZERO,
    list_lag: Span::ZERO,
};

/// The ways of issuing a key.
pub(crate) static KEY_PROFILES: [Profile; 1] = [KEYS];
/// The ways of issuing a secret, of which a server has one.
pub(crate) static SECRET_PROFILES: [Profile; 2] = [ANOTHER, ONE];

/// At a server that makes another.
pub(crate) const ANOTHER: Profile = Profile {
    name: REPLACE_ONCE,
    effect: Effect::Replaces,
    origin: Origin::VendorReadable,
    marks: Marks::Never,
    ..KEYS
};

/// At every other one.
const ONE: Profile =
    Profile { name: FIRST_ONLY, effect: Effect::Adds { max_live: Some(1) }, ..ANOTHER };

static KEY_FIELDS: [Field; 1] = [Field {
    name: "algorithm",
    field_type: FieldType::Word(&ALGORITHMS),
    required: false,
    default: Default::Ours("ES256"),
    on_change: OnChange::Rotate,
    doc: "What the client signs with, `ES256` unless set: `ES256`, `ES384` or `EdDSA` (Ed25519). A change \
          rotates.",
    ..TEXT
}];

static SECRET_FIELDS: [Field; 1] = [Field {
    name: "method",
    field_type: FieldType::Word(&METHODS),
    required: false,
    default: Default::Ours("client_secret_basic"),
    doc: "How the client sends the secret, `client_secret_basic` unless set: `client_secret_basic` (in the \
          `Authorization` header) or `client_secret_post` (in the form).",
    ..TEXT
}];

static KEY_TYPE: CredentialType = CredentialType {
    name: PRIVATE_KEY,
    doc: "A key of ours. The server holds the public half; several live at once.",
    fields: &KEY_FIELDS,
    profiles: &KEY_PROFILES,
    main: &[("client_id", MainField::VendorId), ("private_key", MainField::Secret)],
};

static SECRET_TYPE: CredentialType = CredentialType {
    name: CLIENT_SECRET,
    doc: "The client secret that the server makes. There is one, and most servers never make another \
          (`reissues` of the connection says which do): prefer a private key.",
    fields: &SECRET_FIELDS,
    profiles: &SECRET_PROFILES,
    main: &[("client_id", MainField::VendorId), ("client_secret", MainField::Secret)],
};

/// The kinds.
pub(crate) static KINDS: [Kind; 1] = [Kind {
    name: CLIENT,
    doc: "A client of an OAuth 2.0 authorization server, registered dynamically (RFC 7591, 7592).",
    fields: &FIELDS,
    capabilities: Capabilities {
        lists: false,
        creates: true,
        key_is_ours: false,
        keeps_record: true,
        needs_keyring: true,
        changes_scopes: true,
        ends_scopes: false,
        disables: true,
        disable_reaches_tokens: false,
        lists_credentials: true,
        tells_last_use: false,
        marker: MarkerPlace::Ours,
        sweeps_children: false,
        proves_by_use: true,
        mints_access: true,
    },
    credential_types: &[&KEY_TYPE, &SECRET_TYPE],
    refuse_name: |name| {
        let fits = !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
        (!fits).then(|| format!("{name:?} cannot name a client: 1 to 200 printable characters"))
    },
}];
