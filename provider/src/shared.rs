//! What the provider's configuration came to, shared by its resources.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use operations::{Context, Problem};
use policy::Rules;

/// The configured provider, as far as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    state: Arc<RwLock<State>>,
    /// What was imported since the core began what it is doing.
    imported: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Debug, Clone, Default)]
enum State {
    /// The core has not configured us: validation, and state that is only read or moved.
    #[default]
    Unconfigured,
    /// There is something in the way, which matters only to what needs it.
    Missing(Problem),
    /// Ready.
    Ready(Context),
}

impl Shared {
    /// A core configures us once for each of its walks: what it asked for in an earlier one is no part
    /// of this one.
    pub(crate) fn begin(&self) {
        self.imported.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes an import; `false` where the same walk had it already. Two addresses ask for one object
    /// then, whoever governs it: an import is asked for once an address, and nothing says for which.
    pub(crate) fn is_first_import(&self, id: &str) -> bool {
        self.imported.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }

    /// Takes what the configuration came to; may be called again.
    pub(crate) fn configure(&self, made: Result<Context, Problem>) {
        let state = match made {
            Ok(context) => State::Ready(context),
            Err(problem) => State::Missing(problem),
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What deeds need.
    ///
    /// # Errors
    ///
    /// What is in the way.
    pub(crate) fn context(&self) -> Result<Context, Problem> {
        match self.state() {
            State::Ready(context) => Ok(context),
            State::Missing(problem) => Err(problem),
            State::Unconfigured => Err(Problem::new("E-CONFIG", "The provider is not configured")
                .detail("The core asked for something that needs a connection before it configured one.")
                .next("report it, with the plan: this is a fault of the core or the provider")),
        }
    }

    /// What a plan judges by; nothing where the configuration becomes known only during apply.
    ///
    /// # Errors
    ///
    /// There is no configuration, which no apply will change.
    pub(crate) fn context_for_plan(&self) -> Result<Option<Context>, Problem> {
        match self.state() {
            State::Ready(context) => Ok(Some(context)),
            State::Missing(problem) if problem.code == "E-CONFIG-MISSING" => Err(problem),
            _ => Ok(None),
        }
    }

    /// What deeds need, where it is there: a plan judges by it and plans no value by it.
    pub(crate) fn context_if_ready(&self) -> Option<Context> {
        match self.state() {
            State::Ready(context) => Some(context),
            _ => None,
        }
    }

    /// The rules, as far as they are known.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.context_if_ready().map(|context| context.rules).unwrap_or_default()
    }
}
