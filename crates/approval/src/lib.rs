//! Signed statements about changes: written, read, verified, kept.
//!
//! Somebody signs a [`Statement`] that names digests of changes. It travels in a DSSE [`Envelope`]; the
//! signature is an SSH signature over the envelope's bytes, so that `ssh-keygen -Y` makes and checks
//! the same. Who may sign is a file of [`Signers`] as OpenSSH has it, and which keys are taken back a
//! [`Revoked`] list. [`votes`] reads a [`Store`] and gives what counts to the policy, which judges.

pub mod agent;
pub mod chain;
pub mod envelope;
mod in_toto;
pub mod key;
pub mod record;
pub mod requester;
pub mod review;
pub mod revoked;
pub mod signers;
pub mod sshsig;
pub mod statement;
pub mod store;
pub mod verify;

pub use envelope::Envelope;
pub use key::KeyFile;
pub use review::Review;
pub use revoked::Revoked;
pub use signers::Signers;
pub use ssh_key::PrivateKey;
pub use statement::Statement;
pub use store::{Folder, Store};
pub use verify::{Signer, Trust, Unread, Verified, verify, votes};

/// Statements are signed in this namespace of an organization's domain, and in no other: a signature
/// that was made for a commit or a login is none of ours.
pub fn namespace(domain: &str) -> String {
    format!("nhi-approval@{domain}")
}
