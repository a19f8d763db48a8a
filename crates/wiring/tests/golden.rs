//! The configurations of every landed version are read, and mean what they meant.

use std::{fs, path::Path};

use policy::rules::Verdict;
use wiring::{Config, LedgerConfig, Node, Source};

fn each_version(read: impl Fn(&Path)) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut versions = 0;
    for version in fs::read_dir(golden).unwrap() {
        read(&version.unwrap().path());
        versions += 1;
    }
    assert!(versions > 0, "there is at least one");
}

fn node(path: &Path) -> Node {
    Node::parse_hcl(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_configuration_of_every_landed_version_means_what_it_meant() {
    each_version(|version| {
        let config = Config::read(&node(&version.join("nhi.hcl"))).unwrap();
        let platforms =
            config.connections.iter().map(|(name, one)| (name.as_str(), one.platform.name()));
        assert_eq!(
            platforms.collect::<Vec<_>>(),
            [
                ("as", "oauth"),
                ("bao", "openbao"),
                ("disk", "file"),
                ("people", "scim"),
                ("second", "openbao")
            ]
        );
        let bao = &config.connections["bao"];
        for (name, value) in [
            ("address", "https://bao.acme.example"),
            ("namespace", "teams/payments"),
            ("ca_file", "/etc/ssl/acme.pem"),
            ("sign_in_mount", "machines"),
        ] {
            assert_eq!(bao.settings.text(name), Some(value));
        }
        let secret = |name: &str| config.connections[name].credential.clone().map(|one| one.secret);
        assert_eq!(secret("bao"), Some(Source::Env("BAO_TOKEN".into())));
        assert_eq!(secret("second"), Some(Source::File("token".into())));
        assert!(
            matches!(secret("as"), Some(Source::Path { connection, .. }) if connection == "bao")
        );
        assert_eq!(bao.budget, Some(50));
        assert_eq!(config.connections["second"].tenant.as_deref(), Some("0b2c"));
        assert_eq!(config.realm.unwrap().id, "k3x9q2");
        assert_eq!(config.custody.unwrap().path, "secret/nhi");
        assert_eq!(config.ledger, LedgerConfig::Sqlite("nhi.db".into()));
        assert_eq!(config.policy, Some("policy.hcl".into()));
        assert_eq!(config.run.ticket.as_deref(), Some("OPS-1"));
        assert!(config.read_only && !config.demo);
    });
}

#[test]
fn the_policy_of_every_landed_version_means_what_it_meant() {
    each_version(|version| {
        let rules = wiring::read_rules(&node(&version.join("policy.hcl"))).unwrap();
        assert!(rules.environments.contains("production"));
        assert!(rules.environment_words["production"].contains("live"));
        assert!(rules.require_expires_on && !rules.require_schedule);
        assert_eq!(rules.two_owners_from.map(|action| action.as_str()), Some("admin"));
        assert_eq!(rules.owner_grace.to_string(), "7d");
        assert_eq!((rules.owner_left, rules.expired), (Verdict::Warn, Verdict::Revoke));
        assert_eq!(rules.expired_revoke_after.map(|span| span.to_string()).as_deref(), Some("30d"));
        assert_eq!(rules.review_grace, None);
        assert_eq!(rules.claim_ttl.to_string(), "15m");
    });
}
