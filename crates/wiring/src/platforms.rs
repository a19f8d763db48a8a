//! The platforms that there are. Adding one is its folder, a line here, and a line in `Cargo.toml`.

use connector::{
    Absent, Capabilities, Field, FieldType, Grows, Kind, MarkerPlace, OnChange, Platform,
};

/// Every platform, in the order in which documentation and errors list them.
pub fn platforms() -> Vec<&'static dyn Platform> {
    vec![
        &openbao::PLATFORM,
        &oauth::PLATFORM,
        &aws_iam::PLATFORM,
        &jupyterhub::PLATFORM,
        &postgresql::PLATFORM,
        &unleash::PLATFORM,
        &strapi::PLATFORM,
        &github::PLATFORM,
        &scim::PLATFORM,
        &file::PLATFORM,
    ]
}

/// The platform of that name in `nhi.hcl`.
pub fn platform(name: &str) -> Option<&'static dyn Platform> {
    platforms().into_iter().find(|platform| platform.name() == name)
}

/// The platform that holds objects of a kind, with the kind.
pub fn kind(name: &str) -> Option<(&'static dyn Platform, &'static connector::Kind)> {
    platforms().into_iter().find_map(|platform| {
        platform.kinds().iter().find(|kind| kind.name == name).map(|kind| (platform, kind))
    })
}

/// The kind without a connection: a vendor runs the integration, and we hold the contract only.
pub fn third_party() -> &'static connector::Kind {
    &THIRD_PARTY
}

const fn field(
    name: &'static str,
    field_type: FieldType,
    required: bool,
    grows: Grows,
    doc: &'static str,
) -> Field {
    Field {
        name,
        field_type,
        required,
        default: connector::Default::None,
        on_change: OnChange::InPlace,
        grows,
        absent: Absent::Neutral,
        doc,
    }
}

static THIRD_PARTY: Kind = Kind {
    name: "third_party",
    doc: "An integration that its vendor runs: what compensates that we cannot see or stop it ourselves.",
    fields: &[
        field("vendor", FieldType::Text, true, Grows::Any, "Who runs it."),
        field("contract", FieldType::Text, true, Grows::Any, "Where the contract is."),
        field(
            "contract_ends_on",
            FieldType::Date,
            true,
            Grows::More,
            "The last day of the contract.",
        ),
        field(
            "telemetry",
            FieldType::Text,
            true,
            Grows::Any,
            "Where its activity can be seen: a URL or <connection>/<path>.",
        ),
        field(
            "disable_path",
            FieldType::Text,
            true,
            Grows::Any,
            "How it is stopped: a runbook's URL or a telephone number.",
        ),
        field(
            "disable_tested_on",
            FieldType::Date,
            false,
            Grows::Never,
            "The day on which stopping it was last tried.",
        ),
        field(
            "admin_review_every",
            FieldType::Span,
            true,
            Grows::More,
            "How often the vendor's administrative access is reviewed, such as 90d.",
        ),
    ],
    capabilities: Capabilities {
        lists: false,
        creates: false,
        key_is_ours: true,
        keeps_record: false,
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
    },
    credential_types: &[],
    refuse_name: |_| None,
};
