//! Configuration in, a ready context out; the only crate that names adapters.

mod board;
mod config;
mod connections;
mod context;
mod database;
mod discover;
mod platforms;
mod policy_file;
mod policy_files;
mod position;
mod process;
mod shared;
mod tree;

pub use config::{
    CONNECTION_NAME, Config, ConnectionConfig, Credential, CustodyConfig, DatabaseAddress,
    DatabaseConfig, LedgerConfig, MailConfig, NotifyConfig, RealmConfig, RunConfig, ServeConfig,
    SignalsConfig, Source, TlsConfig, VARIABLE_NAME, is_connection_name, is_variable_name, setting,
};
pub use context::{Environment, Loaded, load, tenant_of, try_address, try_custody};
pub use discover::{FILE_NAME, FileError, Found, discover, read};
pub use ledger_sqlite::Salvaged;
pub use platforms::{kind, platform, platforms, third_party};
pub use policy_file::read_rules;
pub use policy_files::{PolicyFiles, ReviewFiles};
pub use position::position;
pub use process::hide_memory;
pub use tree::{ConfigError, Node, Place};
