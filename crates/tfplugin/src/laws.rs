//! What cores demand of a provider's answers, as pure functions.

use crate::{Diagnostic, Path, Schema, Value};

/// A broken law.
#[derive(Clone, Debug)]
pub struct Breach;

/// To come.
pub fn diagnostics(breaches: Vec<Breach>) -> Vec<Diagnostic> {
    let _ = breaches;
    Vec::new()
}
/// To come.
pub fn check_plan(
    _: &Schema,
    _config: &Value,
    _prior: &Value,
    _proposed: &Value,
    _planned: &Value,
) -> Vec<Breach> {
    Vec::new()
}
/// To come.
pub fn check_replace(_prior: &Value, _planned: &Value, _paths: &[Path]) -> Vec<Breach> {
    Vec::new()
}
/// To come.
pub fn check_apply(_: &Schema, _planned: &Value, _state: &Value) -> Vec<Breach> {
    Vec::new()
}
/// To come.
pub fn check_read(_: &Schema, _state: &Value) -> Vec<Breach> {
    Vec::new()
}
/// To come.
pub fn check_import(_: &Schema, _state: &Value) -> Vec<Breach> {
    Vec::new()
}
/// To come.
pub fn check_data(_: &Schema, _config: &Value, _state: &Value) -> Vec<Breach> {
    Vec::new()
}
