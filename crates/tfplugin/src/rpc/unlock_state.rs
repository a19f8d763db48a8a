//! `UnlockState`: this SDK offers no state stores, and no schema names one.

use tonic::Status;

pub(super) fn refuse() -> Status {
    Status::unimplemented("UnlockState: this provider has no state stores")
}
