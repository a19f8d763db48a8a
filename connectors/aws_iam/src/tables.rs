//! What is known offline: settings, kinds, ways of issuing.

use connector::{
    Absent, Capabilities, CredentialType, Default, Effect, Field, Grows, Kind, MainField,
    MarkerPlace, Marks, Origin, ProbeBudget, Profile, VerifyCost,
};
use domain::{Settings, Span};

/// The one kind.
pub(crate) const USER: &str = "aws_iam_user";
/// Its one type of credential.
pub(crate) const ACCESS_KEY: &str = "aws_iam_access_key";
/// The one way of issuing.
pub(crate) const ADD_UNMARKED: &str = "add-unmarked";
/// Where IAM is in the commercial partition.
pub(crate) const ADDRESS: &str = "https://iam.amazonaws.com";
/// The region that requests to it are signed for.
pub(crate) const REGION: &str = "us-east-1";
/// The path of a user unless told otherwise.
pub(crate) const PATH: &str = "/";

/// The settings of a connection.
pub(crate) static CONNECTION: [Field; 7] = [
    Field {
        name: "address",
        default: Default::Ours(ADDRESS),
        doc: "Where IAM answers, `https://iam.amazonaws.com` unless set.",
        ..Field::TEXT
    },
    Field {
        name: "sts_address",
        doc: "Where STS answers, which says whose a key is; unless set, where `address` has `sts.` for \
              `iam.`, or `address` itself.",
        ..Field::TEXT
    },
    Field {
        name: "region",
        default: Default::Ours(REGION),
        doc: "The region that requests are signed for, `us-east-1` unless set: the one that IAM of \
              your partition has.",
        ..Field::TEXT
    },
    Field {
        name: "secrets_region",
        doc: "The region whose Secrets Manager this connection is a sink in, such as `eu-central-1`; \
              without it nothing can be delivered there.",
        ..Field::TEXT
    },
    Field {
        name: "secrets_address",
        doc: "Where Secrets Manager answers; unless set, that of `secrets_region` in the partition of \
              `address`, or `address` itself.",
        ..Field::TEXT
    },
    Field {
        name: "ca_file",
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..Field::TEXT
    },
    Field {
        name: "tenant",
        doc: "The account id that must answer: protects against a key of another account.",
        ..Field::TEXT
    },
];

/// Where STS answers.
pub(crate) fn sts_address(settings: &Settings) -> String {
    let address = settings.text("address").unwrap_or(ADDRESS);
    match settings.text("sts_address") {
        Some(own) => own.to_owned(),
        None => address.replacen("://iam.", "://sts.", 1),
    }
}

/// Where Secrets Manager answers, and the region that is signed for; nothing where none is named.
pub(crate) fn secrets_address(settings: &Settings) -> Option<(String, &str)> {
    let region = settings.text("secrets_region").filter(|region| is_region(region))?;
    let address = settings.text("address").unwrap_or(ADDRESS);
    let of_aws = || {
        let at = address.find("amazonaws.com").filter(|_| address.starts_with("https://iam."))?;
        Some(format!("https://secretsmanager.{region}.{}", &address[at..]))
    };
    let own = settings.text("secrets_address").map(str::to_owned);
    Some((own.or_else(of_aws).unwrap_or_else(|| address.to_owned()), region))
}

/// Letters, digits and hyphens.
pub(crate) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

static FIELDS: [Field; 2] = [
    Field {
        name: "path",
        default: Default::Ours(PATH),
        grows: Grows::Any,
        doc: "Where the user stands, such as `/services/`; `/` unless set. Policies of others may name \
              whole paths.",
        ..Field::TEXT
    },
    Field {
        name: "permissions_boundary",
        grows: Grows::Any,
        absent: Absent::Widest,
        doc: "The ARN of the managed policy that bounds what the user may do, whatever its scopes; \
              none unless set.",
        ..Field::TEXT
    },
];

/// The one way of issuing: two live at once, and none says whose it is when it is made.
pub(crate) static PROFILES: [Profile; 1] = [Profile {
    name: ADD_UNMARKED,
    effect: Effect::Adds { max_live: Some(2) },
    origin: Origin::VendorOnce,
    marks: Marks::Afterwards,
    lists: true,
    sets_expiry: false,
    disables: true,
    moves_expiry: false,
    verify: VerifyCost { takes_use: false },
    // Refused sign-ins lock nothing here.
    probe: ProbeBudget { between_successes: 2, in_window: 20, window: Span::from_secs(900) },
    // IAM is eventually consistent: seconds, as everybody sees it, and nowhere promised.
    revocation_lag: Span::from_secs(10),
    list_lag: Span::from_secs(5),
}];

static KEY_TYPE: CredentialType = CredentialType {
    name: ACCESS_KEY,
    doc: "An access key of a user. AWS makes it; two live at once. A tag of the user whose key is the \
          access key id says whose it is.",
    fields: &[],
    profiles: &PROFILES,
    main: &[("access_key_id", MainField::KeyId), ("secret_access_key", MainField::Secret)],
};

/// The kinds.
pub(crate) static KINDS: [Kind; 1] = [Kind {
    name: USER,
    doc: "An IAM user for a program: with an inline policy `nhi` of its own, and without a password.",
    fields: &FIELDS,
    capabilities: Capabilities {
        lists: true,
        creates: true,
        key_is_ours: true,
        keeps_record: true,
        needs_keyring: false,
        changes_scopes: true,
        ends_scopes: false,
        disables: true,
        disable_reaches_tokens: false,
        lists_credentials: true,
        tells_last_use: true,
        marker: MarkerPlace::Parent,
        sweeps_children: false,
        proves_by_use: true,
        mints_access: false,
    },
    credential_types: &[&KEY_TYPE],
    refuse_name,
}];

/// Letters, digits and `+=,.@_-`. IAM takes no two users whose names differ in case alone.
fn refuse_name(name: &str) -> Option<String> {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    if fits && (1..=64).contains(&name.len()) {
        return None;
    }
    Some(format!(
        "{name:?} cannot name an IAM user: letters, digits and \"+=,.@_-\", at most 64 of them"
    ))
}

#[cfg(test)]
mod tests {
    use domain::settings::Setting;

    use super::*;

    #[test]
    fn names_that_iam_would_refuse_are_refused() {
        for good in ["ci", "Invoice.Sync_2", "a+b=c,d@e-f"] {
            assert_eq!(refuse_name(good), None, "{good}");
        }
        for bad in ["", "a/b", "a b", "ä", "a:b", &"x".repeat(65)] {
            assert!(refuse_name(bad).is_some(), "{bad}");
        }
    }

    fn set(all: &[(&str, &str)]) -> Settings {
        all.iter().fold(Settings::default(), |settings, (name, value)| {
            settings.with(name, Setting::Text((*value).into()))
        })
    }

    #[test]
    fn secrets_manager_is_in_its_region_of_the_same_partition_unless_told_otherwise() {
        let address = |all: &[(&str, &str)]| {
            secrets_address(&set(all)).map(|(address, region)| (address, region.to_owned()))
        };
        assert_eq!(address(&[]), None);
        assert_eq!(address(&[("region", "eu-central-1")]), None, "IAM's is not meant");
        let region = ("secrets_region", "eu-central-1");
        for (more, expected) in [
            (&[][..], "https://secretsmanager.eu-central-1.amazonaws.com"),
            (
                &[("address", "https://iam.cn-north-1.amazonaws.com.cn")],
                "https://secretsmanager.eu-central-1.amazonaws.com.cn",
            ),
            (
                &[("address", "https://iam.us-gov.amazonaws.com")],
                "https://secretsmanager.eu-central-1.amazonaws.com",
            ),
            (&[("address", "http://127.0.0.1:5000")], "http://127.0.0.1:5000"),
            (&[("secrets_address", "https://vpce-1.example")], "https://vpce-1.example"),
        ] {
            let found = address(&[&[region], more].concat());
            assert_eq!(found, Some((expected.to_owned(), "eu-central-1".to_owned())));
        }
    }

    #[test]
    fn sts_is_beside_iam_unless_told_otherwise() {
        for (settings, expected) in [
            (set(&[]), "https://sts.amazonaws.com"),
            (set(&[("address", "http://127.0.0.1:5000")]), "http://127.0.0.1:5000"),
            (
                set(&[("address", "https://iam.cn-north-1.amazonaws.com.cn")]),
                "https://sts.cn-north-1.amazonaws.com.cn",
            ),
            (
                set(&[("sts_address", "https://sts.eu-west-1.amazonaws.com")]),
                "https://sts.eu-west-1.amazonaws.com",
            ),
        ] {
            assert_eq!(sts_address(&settings), expected);
        }
    }
}
