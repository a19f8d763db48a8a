//! The log as cores read it: one JSON object a line on standard error, in hclog's form to the letter.
//!
//! Cores assert that `@message`, `@level` and `@timestamp` are strings without looking, and crash
//! if they are not; a timestamp of another form makes the whole line plain text.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use serde_json::{Map, Value as Json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The longest line that cores take as JSON, less what surrounds it.
const LONGEST: usize = 60 * 1024;

/// Starts the log at the level that the environment asks for: `TF_LOG_PROVIDER_<NAME>`, else
/// `TF_LOG_PROVIDER`, else `TF_LOG`. Without any, nothing is logged. Done once a process.
pub fn start(name: &str) {
    let own = format!("TF_LOG_PROVIDER_{}", name.to_uppercase().replace('-', "_"));
    let wanted = [own.as_str(), "TF_LOG_PROVIDER", "TF_LOG"]
        .into_iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|text| !text.is_empty()));
    let Some(level) = wanted.as_deref().and_then(level) else { return };
    let layer = Hclog { level, module: format!("provider.{name}") };
    // A second start in one process (tests) keeps the first log.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

fn level(text: &str) -> Option<Level> {
    match text.to_uppercase().as_str() {
        "TRACE" | "JSON" => Some(Level::TRACE),
        "DEBUG" => Some(Level::DEBUG),
        "INFO" => Some(Level::INFO),
        "WARN" => Some(Level::WARN),
        "ERROR" => Some(Level::ERROR),
        _ => None,
    }
}

struct Hclog {
    level: Level,
    module: String,
}

/// A span's fields, kept with the span.
struct Fields(Map<String, Json>);

impl Hclog {
    /// Our own words and the program's; libraries below speak of bytes that may be secret.
    fn is_ours(&self, target: &str) -> bool {
        const OTHERS: [&str; 8] =
            ["hyper", "h2", "tonic", "tower", "rustls", "reqwest", "mio", "tokio"];
        let root = target.split("::").next().unwrap_or(target);
        // With their kin, such as hyper_util; a provider may be called hyperion.
        !OTHERS.iter().any(|other| {
            root.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Hclog {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _context: Context<'_, S>) -> bool {
        *metadata.level() <= self.level && self.is_ours(metadata.target())
    }

    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields(Map::new());
        attributes.record(&mut Collect(&mut fields.0));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(&mut Collect(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Map::new();
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(kept) = span.extensions().get::<Fields>() {
                    fields.extend(kept.0.clone());
                }
            }
        }
        event.record(&mut Collect(&mut fields));
        let message = match fields.remove("message") {
            Some(Json::String(text)) => text,
            Some(other) => other.to_string(),
            None => event.metadata().name().to_owned(),
        };
        let now = jiff::Timestamp::now();
        let line = line(event.metadata().level(), &self.module, now, message, fields);
        // One write a line: several threads share the stream. A core that is gone reads nothing.
        let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
    }
}

fn line(
    level: &Level,
    module: &str,
    now: jiff::Timestamp,
    message: String,
    fields: Map<String, Json>,
) -> String {
    let mut object = Map::new();
    object.insert("@level".into(), level.as_str().to_lowercase().into());
    object.insert("@message".into(), cut(message).into());
    object.insert("@module".into(), module.into());
    object.insert("@timestamp".into(), now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into());
    let mut room =
        LONGEST - object.values().map(|value| value.to_string().len()).sum::<usize>().min(LONGEST);
    for (name, value) in fields {
        if name.starts_with('@') {
            continue;
        }
        let size = name.len() + value.to_string().len() + 8;
        if size > room {
            object.insert("truncated".into(), true.into());
            break;
        }
        room -= size;
        object.insert(name, value);
    }
    Json::Object(object).to_string()
}

/// The beginning of a text that would make the line too long once it is escaped.
fn cut(mut text: String) -> String {
    const MOST: usize = LONGEST / 8;
    if text.len() > MOST {
        let mut at = MOST;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.truncate(at);
        text.push('…');
    }
    text
}

/// Gathers fields as JSON.
struct Collect<'a>(&'a mut Map<String, Json>);

impl Visit for Collect<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), text.into());
    }
}

/// Tells a panic in the form that cores show to people. What a panic carries may be a secret, so
/// only a text that the compiler put there is printed.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|info| {
        let what = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("a fault");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let trace = std::backtrace::Backtrace::force_capture();
        let _ = writeln!(std::io::stderr().lock(), "panic: {what} at {place}\n{trace}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> jiff::Timestamp {
        "2026-11-22T09:10:11.5Z".parse().unwrap()
    }

    #[test]
    fn a_line_has_the_form_that_cores_read() {
        let fields = Map::from_iter([("tf_rpc".to_owned(), Json::from("ReadResource"))]);
        let line = line(&Level::WARN, "provider.sample", now(), "slow".into(), fields);
        let read: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(read["@level"], "warn");
        assert_eq!(read["@message"], "slow");
        assert_eq!(read["@timestamp"], "2026-11-22T09:10:11.500000Z");
        assert_eq!(read["tf_rpc"], "ReadResource");
    }

    #[test]
    fn a_line_never_outgrows_what_cores_take() {
        let long = "\u{1}".repeat(200_000);
        let fields = Map::from_iter([("field".to_owned(), Json::from(long.clone()))]);
        let line = line(&Level::INFO, "provider.sample", now(), long, fields);
        assert!(line.len() < 64 * 1024, "{}", line.len());
        assert!(serde_json::from_str::<Json>(&line).unwrap()["@message"].is_string());
    }

    #[test]
    fn libraries_below_are_silent_and_a_provider_with_a_like_name_is_not() {
        let log = Hclog { level: Level::TRACE, module: String::new() };
        for (target, ours) in [
            ("hyper::proto", false),
            ("hyper_util::client", false),
            ("h2", false),
            ("hyperion::owner", true),
            ("tfplugin::rpc", true),
        ] {
            assert_eq!(log.is_ours(target), ours, "{target}");
        }
    }

    #[test]
    fn fields_cannot_take_the_place_of_the_core_s_own() {
        let fields = Map::from_iter([("@message".to_owned(), Json::from(3))]);
        let line = line(&Level::INFO, "provider.sample", now(), "text".into(), fields);
        assert_eq!(serde_json::from_str::<Json>(&line).unwrap()["@message"], "text");
    }
}
