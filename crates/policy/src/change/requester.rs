//! Who vouches for whoever asks for a change.

use std::collections::BTreeMap;

/// Somebody whose word is taken for who asks: the issuer of a pipeline's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// Its address, as its tokens have it.
    pub issuer: String,
    /// The file of its keys (JWKS), beside the policy.
    pub keys: String,
    /// For whom its tokens must be made.
    pub audience: String,
    /// What else its tokens must say, to be of a run of ours: `repository = "acme/nhi"`. Anybody may have
    /// a pipeline of their own ask the same issuer for a token for any audience.
    pub required: BTreeMap<String, String>,
    /// The claim that names who asks.
    pub claim: String,
    /// Whom it names, by the names that signers have here. Whom this does not list might be one of them
    /// under another name, so that nobody knows who asks.
    pub principals: BTreeMap<String, String>,
}
