//! The port to memory: inventory, journal and chain, and the suite that each store passes.
//!
//! Nothing correct depends on a ledger: lost, it takes history with it and nothing else. What it
//! keeps is kept well: entries only grow, each entry's hash covers all before it, and the inventory
//! beside them is what folding the entries gives.

#![warn(clippy::disallowed_methods)]

pub mod archive;
pub mod canonical;
pub mod chain;
pub mod conformance;
pub mod entry;
pub mod error;
pub mod export;
pub mod inventory;
pub mod lease;
pub mod memory;
pub mod note;
pub mod null;
pub mod pieces;
pub mod port;
pub mod read_only;
pub mod story;
pub mod tree;

pub use archive::{Archive, Compaction};
pub use chain::Hash;
pub use entry::{Actor, Clock, Entry, KINDS, NewEntry, Trigger};
pub use error::{Error, Result};
pub use inventory::{
    Change, Credential, Document, Integration, Inventory, Obligation, Observed, Person, Scan,
    Selection, Slot, Tenant,
};
pub use lease::{Drawn, Fence, Leased};
pub use memory::MemoryLedger;
pub use null::NullLedger;
pub use port::{
    BadEntry, Checkpoint, Durability, Filter, Head, Ledger, Page, Range, Rebuilt, Receipt, Subject,
    Verification, Work, all_entries, damaged_end,
};
pub use read_only::ReadOnly;
pub use story::Story;
