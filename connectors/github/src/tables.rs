//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Absent, Capabilities, CredentialType, Default, Effect, Field, FieldType, Grows, Kind,
    MainField, MarkerPlace, Marks, OnChange, Origin, ProbeBudget, Profile, VerifyCost,
};
use domain::Span;

/// A GitHub App that somebody installed.
pub(crate) const INSTALLATION: &str = "github_installation";
/// What a person's fine-grained token may do in the organisation.
pub(crate) const GRANT: &str = "github_token_grant";
/// Whoever holds the deploy keys of a name.
pub(crate) const SSH_CLIENT: &str = "github_ssh_client";
/// A webhook.
pub(crate) const WEBHOOK: &str = "github_webhook";
/// All kinds, sorted.
pub(crate) static NAMES: [&str; 4] = [INSTALLATION, SSH_CLIENT, GRANT, WEBHOOK];

/// A deploy key.
pub(crate) const DEPLOY_KEY: &str = "github_deploy_key";
/// What GitHub signs deliveries with.
pub(crate) const WEBHOOK_SECRET: &str = "github_webhook_secret";
/// A person's fine-grained token: listed and ended, and issued by its owner alone.
pub(crate) const TOKEN: &str = "github_fine_grained_token";

/// The key is ours, and GitHub is told its public half; the title of the same call carries the marker.
pub(crate) const ADD_OURS: &str = "add-ours";
/// The secret is ours, and takes the place of the one before.
pub(crate) const REPLACE_OURS: &str = "replace-ours";

pub(crate) const ORGANIZATION: &str = "organization";
pub(crate) const APP_ID: &str = "app_id";
pub(crate) const ENTERPRISE: &str = "enterprise";
pub(crate) const KINDS_SETTING: &str = "kinds";
pub(crate) const REPOSITORIES: &str = "repositories";
pub(crate) const REPOSITORY: &str = "repository";
pub(crate) const SELECTION: &str = "repository_selection";
pub(crate) const READ_ONLY: &str = "read_only";
pub(crate) const URL: &str = "url";
pub(crate) const EVENTS: &str = "events";
pub(crate) const CONTENT_TYPE: &str = "content_type";
pub(crate) const INSECURE_SSL: &str = "insecure_ssl";

/// Where GitHub's own service is.
pub(crate) const SERVICE: &str = "https://api.github.com";

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 8] = [
    Field {
        name: "address",
        default: Default::Ours(SERVICE),
        doc: "Where the REST API is, `https://api.github.com` unless set; of an Enterprise Server \
              `https://<host>/api/v3`.",
        ..Field::TEXT
    },
    Field {
        name: "ca_file",
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..Field::TEXT
    },
    Field {
        name: "tenant",
        doc: "The organisation's number, as `nhi init` wrote it: protects against a name that somebody else \
              has taken.",
        ..Field::TEXT
    },
    Field {
        name: ORGANIZATION,
        required: true,
        doc: "The organisation, as in its address.",
        ..Field::TEXT
    },
    Field {
        name: APP_ID,
        doc: "The number or client id of the GitHub App that we sign in as: the credential then is its private \
              key, in PEM. Without it, the credential is a token.",
        ..Field::TEXT
    },
    Field {
        name: ENTERPRISE,
        doc: "The enterprise that owns the organisation, as in its address: through it an App can be \
              uninstalled (Enterprise Cloud).",
        ..Field::TEXT
    },
    Field {
        name: KINDS_SETTING,
        field_type: FieldType::Texts,
        doc: "The kinds that this connection looks at, such as `[\"github_ssh_client\"]`; all unless set. \
              What our own token may not list is left out here.",
        ..Field::TEXT
    },
    Field {
        name: REPOSITORIES,
        field_type: FieldType::Texts,
        doc: "The repositories whose deploy keys and webhooks this connection looks at, without the \
              organisation's name; all that our own token sees unless set.",
        ..Field::TEXT
    },
];

static INSTALLATION_FIELDS: [Field; 1] = [Field {
    name: SELECTION,
    field_type: FieldType::Word(&["all", "selected"]),
    default: Default::Vendor,
    grows: Grows::Any,
    doc: "Which repositories the App reaches, `all` or `selected`. A person chooses it in GitHub: it is shown, \
          and a change of it is refused.",
    ..Field::TEXT
}];

static GRANT_FIELDS: [Field; 1] = [Field {
    name: SELECTION,
    field_type: FieldType::Word(&["all", "subset", "none"]),
    default: Default::Vendor,
    grows: Grows::Any,
    doc: "Which repositories the token reaches, `all`, `subset` or `none`. Its owner chooses it in GitHub: it is \
          shown, and a change of it is refused.",
    ..Field::TEXT
}];

static SSH_CLIENT_FIELDS: [Field; 1] = [Field {
    name: REPOSITORY,
    required: true,
    on_change: OnChange::Replace,
    grows: Grows::Any,
    doc: "The repository, without the organisation's name, spelled as GitHub spells it.",
    ..Field::TEXT
}];

static WEBHOOK_FIELDS: [Field; 5] = [
    Field {
        name: URL,
        required: true,
        grows: Grows::Any,
        doc: "Where deliveries are sent.",
        ..Field::TEXT
    },
    Field {
        name: EVENTS,
        field_type: FieldType::Texts,
        default: Default::OursTexts(&["push"]),
        grows: Grows::More,
        doc: "The events that are delivered, by GitHub's names; `*` is all that there are and will be. `push` \
              alone unless set.",
        ..Field::TEXT
    },
    Field {
        name: REPOSITORY,
        on_change: OnChange::Replace,
        grows: Grows::Any,
        absent: Absent::Widest,
        doc: "The repository whose events are delivered, without the organisation's name; those of the whole \
              organisation unless set.",
        ..Field::TEXT
    },
    Field {
        name: CONTENT_TYPE,
        field_type: FieldType::Word(&["json", "form"]),
        default: Default::Ours("json"),
        doc: "How a delivery is written, `json` or `form`; `json` unless set.",
        ..Field::TEXT
    },
    Field {
        name: INSECURE_SSL,
        field_type: FieldType::Flag,
        default: Default::Ours("false"),
        grows: Grows::True,
        doc: "Whether deliveries are sent to whoever answers, whatever its certificate says. `false` unless set.",
        ..Field::TEXT
    },
];

static DEPLOY_KEY_FIELDS: [Field; 1] = [Field {
    name: READ_ONLY,
    field_type: FieldType::Flag,
    default: Default::Ours("true"),
    on_change: OnChange::Rotate,
    grows: Grows::False,
    doc: "Whether the key may only read, `true` unless set. Fixed at issue: a change rotates.",
    ..Field::TEXT
}];

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
    // Nobody signs in by SSH here: a look at the listing refuses nobody, and proves no refusal.
    probe: ProbeBudget { between_successes: 0, in_window: 0, window: Span::from_secs(900) },
    revocation_lag: Span::ZERO,
    list_lag: Span::ZERO,
};

/// The ways of issuing a deploy key: one.
pub(crate) static ADDING: [Profile; 1] = [KEYS];
/// The ways of issuing what a webhook signs with: one.
pub(crate) static REPLACING: [Profile; 1] = [Profile {
    name: REPLACE_OURS,
    effect: Effect::Replaces,
    origin: Origin::Ours,
    // No secret is shown to anybody: deliveries are compared with it here.
    probe: ProbeBudget { between_successes: 2, in_window: 8, window: Span::from_secs(900) },
    ..KEYS
}];

static DEPLOY_KEY_TYPE: CredentialType = CredentialType {
    name: DEPLOY_KEY,
    doc: "A deploy key (Ed25519) of ours, of which GitHub has the public half, marked in its title. Several live \
          at once. GitHub changes none: what it may do is fixed at issue.",
    fields: &DEPLOY_KEY_FIELDS,
    profiles: &ADDING,
    main: &[("private_key", MainField::Secret)],
};

static WEBHOOK_SECRET_TYPE: CredentialType = CredentialType {
    name: WEBHOOK_SECRET,
    doc: "The secret of a webhook, chosen by us, with which GitHub signs deliveries. There is one: the next takes \
          its place at once.",
    fields: &[],
    profiles: &REPLACING,
    main: &[("secret", MainField::Secret)],
};

const NONE: Capabilities = Capabilities {
    lists: true,
    creates: false,
    key_is_ours: false,
    keeps_record: true,
    needs_keyring: false,
    changes_scopes: false,
    ends_scopes: false,
    disables: false,
    disable_reaches_tokens: false,
    lists_credentials: false,
    tells_last_use: false,
    marker: MarkerPlace::None,
    sweeps_children: false,
    proves_by_use: false,
    mints_access: false,
};

fn any_name(name: &str) -> Option<String> {
    let fits = !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
    (!fits)
        .then(|| format!("{name:?} cannot be the name of anything: 1 to 200 printable characters"))
}

/// The kinds.
pub(crate) static KINDS: [Kind; 4] = [
    Kind {
        name: INSTALLATION,
        doc: "A GitHub App that is installed in the organisation. A person installs it: take it in by its name. \
              What it may do is shown, and uninstalling takes all of it away.",
        fields: &INSTALLATION_FIELDS,
        capabilities: NONE,
        credential_types: &[],
        refuse_name: any_name,
    },
    Kind {
        name: GRANT,
        doc: "What a fine-grained personal access token may do in the organisation. Its owner makes it: take it \
              in by its number. Only a GitHub App may list and revoke these.",
        fields: &GRANT_FIELDS,
        capabilities: Capabilities { lists_credentials: true, tells_last_use: true, ..NONE },
        credential_types: &[],
        refuse_name: any_name,
    },
    Kind {
        name: SSH_CLIENT,
        doc: "Whoever fetches from one repository or pushes to it by SSH: all deploy keys of the repository that \
              bear its name. What it may do is what its keys may.",
        fields: &SSH_CLIENT_FIELDS,
        capabilities: Capabilities {
            creates: true,
            lists_credentials: true,
            tells_last_use: true,
            marker: MarkerPlace::Credential,
            ..NONE
        },
        credential_types: &[&DEPLOY_KEY_TYPE],
        refuse_name: connector::marked::refuse_name,
    },
    Kind {
        name: WEBHOOK,
        doc: "A webhook of the organisation or of one repository: where GitHub sends which events, signed.",
        fields: &WEBHOOK_FIELDS,
        capabilities: Capabilities {
            creates: true,
            disables: true,
            disable_reaches_tokens: true,
            lists_credentials: true,
            marker: MarkerPlace::Ours,
            proves_by_use: true,
            ..NONE
        },
        credential_types: &[&WEBHOOK_SECRET_TYPE],
        refuse_name: any_name,
    },
];
