//! What stands beside a document: written until it is known to be there.

use secrets::{Look, Mirror, Result, Sink};

/// How often it is written whose answer is lost, before the error is told.
const MOST_TRIES: u32 = 3;

/// Whether a look shows this mirror. An empty text stands nowhere.
pub(crate) fn shows(look: &Look, mirror: &Mirror) -> bool {
    mirror.iter().filter(|(_, text)| !text.is_empty()).eq(&look.mirror)
}

/// Writes the mirror of one version. Where the answer is lost, the document tells whether it was done;
/// and who has written another version since writes what stands beside that.
pub(crate) async fn write_mirror(
    sink: &dyn Sink,
    path: &str,
    mirror: &Mirror,
    version: u64,
) -> Result<()> {
    for _ in 1..MOST_TRIES {
        match sink.write_mirror(path, mirror).await {
            Err(error) if error.maybe_written() => {
                let look = sink.look(path).await?;
                let again = look
                    .is_some_and(|look| look.version.number == version && !shows(&look, mirror));
                if !again {
                    return Ok(());
                }
            }
            done => return done,
        }
    }
    sink.write_mirror(path, mirror).await
}
