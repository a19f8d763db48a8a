//! Configuration files: whatever is in them, there is a configuration or an error that says where
//! and what.

use wiring::{Config, ConfigError, Node};

use crate::text;

/// `nhi.hcl`.
pub fn nhi_hcl(data: &[u8]) {
    says_why(Node::parse_hcl(text(data)).and_then(|node| Config::read(&node)).err());
}

/// `policy.hcl`.
pub fn policy_hcl(data: &[u8]) {
    says_why(Node::parse_hcl(text(data)).and_then(|node| wiring::read_rules(&node)).err());
}

fn says_why(error: Option<ConfigError>) {
    if let Some(error) = error {
        assert!(!error.message.is_empty() && !error.place.to_string().is_empty(), "{error:?}");
    }
}
