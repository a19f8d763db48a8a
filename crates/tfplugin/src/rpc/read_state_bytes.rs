//! `ReadStateBytes`: this SDK offers no state stores, and no schema names one.

use tonic::Status;

pub(super) fn refuse() -> Status {
    Status::unimplemented("ReadStateBytes: this provider has no state stores")
}
