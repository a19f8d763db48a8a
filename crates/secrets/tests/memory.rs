//! The sink in memory passes the suite that it is used to stand in for.

use secrets::{MemorySink, conformance};

#[tokio::test]
async fn the_sink_in_memory_conforms() {
    conformance::assert_conforms(&MemorySink::new(), "run").await;
}

#[tokio::test]
async fn the_suite_finds_a_sink_that_overwrites() {
    /// Forgets what it is told to expect.
    #[derive(Debug)]
    struct Careless(MemorySink);

    #[async_trait::async_trait]
    impl secrets::Sink for Careless {
        fn capabilities(&self) -> secrets::SinkCapabilities {
            self.0.capabilities()
        }
        async fn home(&self, path: &str) -> secrets::Result<secrets::Home> {
            self.0.home(path).await
        }
        async fn read(&self, path: &str) -> secrets::Result<Option<secrets::Stored>> {
            self.0.read(path).await
        }
        async fn read_version(
            &self,
            path: &str,
            number: u64,
        ) -> secrets::Result<Option<secrets::Document>> {
            self.0.read_version(path, number).await
        }
        async fn kept_versions(&self, path: &str) -> secrets::Result<Vec<u64>> {
            self.0.kept_versions(path).await
        }
        async fn look(&self, path: &str) -> secrets::Result<Option<secrets::Look>> {
            self.0.look(path).await
        }
        async fn look_all(
            &self,
            folder: &str,
        ) -> secrets::Result<std::collections::BTreeMap<String, secrets::Look>> {
            self.0.look_all(folder).await
        }
        async fn write(
            &self,
            path: &str,
            document: &secrets::Document,
            _: secrets::Expect,
        ) -> secrets::Result<secrets::Version> {
            let current = self.0.look(path).await?.map_or(0, |look| look.version.number);
            let expect = if current == 0 {
                secrets::Expect::Nothing
            } else {
                secrets::Expect::Version(current)
            };
            self.0.write(path, document, expect).await
        }
        async fn write_mirror(&self, path: &str, mirror: &secrets::Mirror) -> secrets::Result<()> {
            self.0.write_mirror(path, mirror).await
        }
        async fn destroy_version(&self, _: &str, _: u64) -> secrets::Result<()> {
            Ok(())
        }
        async fn prepare_claim(&self, _: &str) -> secrets::Result<()> {
            Ok(())
        }
    }

    let verdicts = conformance::run(&Careless(MemorySink::new()), "run").await;
    let broken: Vec<_> = verdicts
        .iter()
        .filter(|(_, verdict)| matches!(verdict, conformance::Verdict::Broken(_)))
        .map(|(case, _)| *case)
        .collect();
    for case in [
        "a_create_does_not_overwrite",
        "a_stale_write_changes_nothing",
        "an_earlier_version_can_be_read_until_it_is_destroyed",
        "a_claim_keeps_no_earlier_version",
    ] {
        assert!(broken.contains(&case), "{case} was not found: {broken:?}");
    }
}
