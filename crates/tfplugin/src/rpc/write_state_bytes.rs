//! `WriteStateBytes`: this SDK offers no state stores, and no schema names one.

use tonic::Status;

pub(super) fn refuse() -> Status {
    Status::unimplemented("WriteStateBytes: this provider has no state stores")
}
