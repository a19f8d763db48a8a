//! The thread that carries all connections of a ledger and the task that appends. It is none of the
//! caller's: a connection outlives the runtime that first asked for it, and whoever lets go of the ledger
//! waits for what is still to be stated without waiting on itself.

use std::{fmt, io, sync::Arc, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::mpsc,
};

use crate::{
    Place,
    writer::{Job, Writer},
};

/// A way to the thread, and to wait for its end.
pub(crate) struct Carrier {
    pub(crate) runtime: Handle,
    pub(crate) jobs: mpsc::UnboundedSender<Job>,
    thread: thread::JoinHandle<()>,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier(…)")
    }
}

impl Carrier {
    pub(crate) fn start(place: &Arc<Place>) -> io::Result<Carrier> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (jobs, asked) = mpsc::unbounded_channel();
        let writer = Writer::new(place.way.clone(), place.realm.clone(), place.answer);
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || runtime.block_on(writer.run(asked)))?;
        Ok(Carrier { runtime: handle, jobs, thread })
    }

    /// Lets the thread end, and waits for it.
    pub(crate) fn end(self) {
        drop(self.jobs);
        // What it panicked of was told by the hook.
        let _ = self.thread.join();
    }
}
