//! The procedures of the protocol, one file each.
