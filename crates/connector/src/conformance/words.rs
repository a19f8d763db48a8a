//! What tests of a connector's own words begin with: a route, and answers, given or recorded.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    SystemClock,
    transport::{Answer, Route},
};

/// A route to an address, with nothing around it that would slow a test down.
pub fn route(address: &str) -> Route {
    Route {
        connection: "test".into(),
        address: address.into(),
        also: Vec::new(),
        ca_file: None,
        budget: 1000,
        read_only: false,
        call_deadline: Duration::from_secs(30),
        clock: Arc::new(SystemClock),
        shared: None,
    }
}

/// An answer without headers.
pub fn answer(status: u16, body: &str) -> Answer {
    Answer::new(status, Vec::new(), body.as_bytes().to_vec())
}

/// An answer as a file of [`recorded!`](crate::recorded) has it.
///
/// # Panics
///
/// It is no such file.
pub fn recorded(text: &str) -> Answer {
    #[derive(Deserialize)]
    struct Recorded {
        status: u16,
        body: Value,
    }
    match serde_json::from_str::<Recorded>(text) {
        Ok(recorded) => answer(recorded.status, &recorded.body.to_string()),
        Err(error) => panic!("no recorded answer: {error}"),
    }
}

/// An answer as the real server gave it: a file in the connector's `fixtures`, by its name.
#[macro_export]
macro_rules! recorded {
    ($name:literal) => {
        $crate::conformance::recorded(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/",
            $name,
            ".json"
        )))
    };
}
