//! What must hold for any bytes. One function a format: it returns, or it panics and has found
//! something. `fuzz/` runs them under cargo-fuzz, `tests/` for some seconds on stable.

mod approvals;
mod files;
mod journal;
mod plans;
mod values;
mod words;

pub use approvals::{envelopes, revocations, signatures, signers, statements, tokens};
pub use files::{nhi_hcl, policy_hcl};
pub use journal::entries;
pub use plans::plans;
pub use values::{json, msgpack, numbers, types};
pub use words::{ids, markers, records, schedules, scopes, spans};

/// The bytes as text, as far as they are text.
fn text(data: &[u8]) -> &str {
    match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&data[..error.valid_up_to()]).unwrap_or_default(),
    }
}
