//! A line to a server that speaks anything over TCP: it breaks, or is held, where a client says a text.

use std::{
    fmt,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::Result;

/// Where the line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The server never hears of it.
    Before,
    /// The server has done it, and its answer is lost.
    After,
}

/// What happens to something that a client says.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The line breaks there, once it is released.
    Break(Break, Held),
    /// It comes after a while.
    Delay(Duration),
    /// The server never hears of it nor of anything after it, and the line stays open.
    Swallow,
    /// The server hears of it when the client has given up waiting.
    Late,
    /// The server does it, nothing that it says ever arrives, and the line stays open.
    Silence,
}

/// A point at which somebody waits for something else to happen.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<(Mutex<(bool, bool)>, Condvar)>);

impl Held {
    fn wait(&self, done: impl Fn(&(bool, bool)) -> bool, most: Duration) -> bool {
        let (state, changed) = &*self.0;
        let state = locked(state);
        let waited = changed.wait_timeout_while(state, most, |state| !done(state));
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    fn set(&self, change: impl FnOnce(&mut (bool, bool))) {
        change(&mut locked(&self.0.0));
        self.0.1.notify_all();
    }

    /// Waits until the text was said; false where it was not, for too long.
    pub fn reached(&self, most: Duration) -> bool {
        self.wait(|state| state.0, most)
    }

    /// Lets the line break.
    pub fn release(&self) {
        self.set(|state| state.1 = true);
    }

    fn hold(&self) {
        self.set(|state| state.0 = true);
        self.wait(|state| state.1, Duration::from_secs(120));
    }
}

#[derive(Debug)]
struct Rule {
    text: String,
    at: Break,
    held: Held,
}

/// A line, for as long as the program runs.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its port on 127.0.0.1.
    pub port: u16,
    breaks: Arc<Breaks>,
}

/// What makes it break.
#[derive(Debug, Default)]
struct Breaks {
    rule: Mutex<Option<Rule>>,
    watch: Mutex<Option<Watch>>,
}

/// What looks at everything that clients say, and may let the line break there.
struct Watch(Box<Look>);

type Look = dyn FnMut(&[u8]) -> Option<Fault> + Send;

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Breaks {
    /// What happens to what a client says.
    fn at(&self, bytes: &[u8]) -> Option<Fault> {
        if let Some(Watch(look)) = &mut *locked(&self.watch)
            && let Some(found) = look(bytes)
        {
            return Some(found);
        }
        let says = |rule: &mut Rule| {
            bytes.windows(rule.text.len()).any(|window| window == rule.text.as_bytes())
        };
        locked(&self.rule).take_if(says).map(|rule| Fault::Break(rule.at, rule.held))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Opens one to a port on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub fn to(port: u16) -> Result<Line> {
        let failed = |error: std::io::Error| format!("a line to port {port}: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let own = listener.local_addr().map_err(failed)?.port();
        let line = Line { port: own, breaks: Arc::default() };
        let breaks = line.breaks.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(std::result::Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                carry(client, server, breaks.clone());
            }
        });
        Ok(line)
    }

    /// Breaks once, where a client says a text. Until it is released it is held there.
    pub fn hold(&self, text: &str, at: Break) -> Held {
        let held = Held::default();
        *locked(&self.breaks.rule) = Some(Rule { text: text.to_owned(), at, held: held.clone() });
        held
    }

    /// Lets somebody look at everything that clients say, as it comes, and say what happens to it.
    pub fn watch(&self, look: impl FnMut(&[u8]) -> Option<Fault> + Send + 'static) {
        *locked(&self.breaks.watch) = Some(Watch(Box::new(look)));
    }

    /// Breaks once, where a client says a text.
    pub fn cut(&self, text: &str, at: Break) -> Held {
        let held = self.hold(text, at);
        held.release();
        held
    }
}

/// Carries what both say, until the line breaks or either is gone.
fn carry(client: TcpStream, server: TcpStream, breaks: Arc<Breaks>) {
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let (lost, silent) = (Arc::new(Mutex::new(None::<Held>)), Arc::new(AtomicBool::new(false)));
    let (said, hushed) = (lost.clone(), silent.clone());
    let ends = [client, server];
    let Ok(others) = ends.iter().map(TcpStream::try_clone).collect::<std::io::Result<Vec<_>>>()
    else {
        return;
    };
    std::thread::spawn(move || {
        let (mut deaf, mut late) = (false, Vec::new());
        pump(from_client, &ends[1], |bytes| match breaks.at(bytes) {
            _ if deaf => Goes::Nowhere,
            None => Goes::On,
            Some(Fault::Break(Break::Before, held)) => {
                held.hold();
                Goes::Off
            }
            Some(Fault::Break(Break::After, held)) => {
                *locked(&said) = Some(held);
                Goes::On
            }
            Some(Fault::Delay(time)) => {
                std::thread::sleep(time);
                Goes::On
            }
            Some(Fault::Swallow) => {
                deaf = true;
                Goes::Nowhere
            }
            Some(Fault::Late) => {
                (deaf, late) = (true, bytes.to_vec());
                Goes::Nowhere
            }
            Some(Fault::Silence) => {
                hushed.store(true, Ordering::Release);
                Goes::On
            }
        });
        if !late.is_empty() && (&ends[1]).write_all(&late).is_ok() {
            // Whoever hangs up at once may not be heard.
            std::thread::sleep(LISTENS);
        }
        hang_up(&ends);
    });
    std::thread::spawn(move || {
        pump(from_server, &others[0], |_| match locked(&lost).take() {
            _ if silent.load(Ordering::Acquire) => Goes::Nowhere,
            None => Goes::On,
            Some(held) => {
                held.hold();
                Goes::Off
            }
        });
        hang_up(&others);
    });
}

/// How long a server has for what comes late.
const LISTENS: Duration = Duration::from_millis(300);

/// Where something goes that was said.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    Nowhere,
    /// Nowhere, and the line ends.
    Off,
}

fn pump(mut from: TcpStream, mut to: &TcpStream, mut goes: impl FnMut(&[u8]) -> Goes) {
    let mut bytes = vec![0; 256 << 10];
    while let Ok(length) = from.read(&mut bytes) {
        let said = &bytes[..length];
        if length == 0 {
            break;
        }
        match goes(said) {
            Goes::Nowhere => {}
            Goes::On if to.write_all(said).is_ok() => {}
            Goes::On | Goes::Off => break,
        }
    }
}

fn hang_up(ends: &[TcpStream]) {
    for end in ends {
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    /// A server that answers each line with itself, and remembers it.
    fn echo() -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, heard) = (listener.local_addr().unwrap().port(), Arc::default());
        let all: Arc<Mutex<Vec<String>>> = Arc::clone(&heard);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let all = all.clone();
                std::thread::spawn(move || {
                    for line in BufReader::new(stream.try_clone().unwrap())
                        .lines()
                        .map_while(std::result::Result::ok)
                    {
                        all.lock().unwrap().push(line.clone());
                        let _ = writeln!(stream, "{line}");
                    }
                });
            }
        });
        (port, heard)
    }

    fn say(line: &Line, text: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", line.port)).unwrap();
        writeln!(stream, "{text}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        (!answer.is_empty()).then(|| answer.trim().to_owned())
    }

    #[test]
    fn a_line_breaks_once_before_the_server_hears_or_after() {
        let (port, heard) = echo();
        let line = Line::to(port).unwrap();
        assert_eq!(say(&line, "hello").as_deref(), Some("hello"));
        let cut = line.cut("grant", Break::Before);
        assert_eq!((say(&line, "a grant"), say(&line, "grant")), (None, Some("grant".into())));
        assert!(cut.reached(Duration::ZERO));
        line.cut("drop", Break::After);
        assert_eq!(say(&line, "drop it"), None);
        assert_eq!(*heard.lock().unwrap(), ["hello", "grant", "drop it"]);
        let held = line.hold("wait", Break::After);
        let waits = std::thread::spawn({
            let line = line.clone();
            move || say(&line, "wait")
        });
        assert!(held.reached(Duration::from_secs(10)) && !waits.is_finished());
        held.release();
        assert_eq!(waits.join().unwrap(), None);
    }

    #[test]
    fn whoever_looks_at_what_is_said_lets_it_break_where_they_want() {
        let (port, heard) = echo();
        let line = Line::to(port).unwrap();
        let (held, mut count) = (Held::default(), 0);
        held.release();
        let given = held.clone();
        line.watch(move |_| {
            count += 1;
            (count == 2).then(|| Fault::Break(Break::Before, given.clone()))
        });
        let said = ["one", "two", "three"].map(|text| say(&line, text));
        assert_eq!(said, [Some("one".into()), None, Some("three".into())]);
        assert!(held.reached(Duration::ZERO));
        assert_eq!(*heard.lock().unwrap(), ["one", "three"]);
    }

    /// What comes back within so long.
    fn say_within(line: &Line, text: &str, most: Duration) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", line.port)).unwrap();
        stream.set_read_timeout(Some(most)).unwrap();
        writeln!(stream, "{text}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        (!answer.is_empty()).then(|| answer.trim().to_owned())
    }

    #[test]
    fn what_is_said_is_late_swallowed_or_never_answered_while_the_line_stays_open() {
        let (short, long) = (Duration::from_millis(200), Duration::from_secs(10));
        for (fault, hears) in [(Fault::Swallow, 0), (Fault::Silence, 1), (Fault::Late, 1)] {
            let (port, heard) = echo();
            let line = Line::to(port).unwrap();
            let given = fault.clone();
            line.watch(move |bytes| bytes.starts_with(b"this").then(|| given.clone()));
            assert_eq!(say_within(&line, "another", long).as_deref(), Some("another"));
            let begun = std::time::Instant::now();
            assert_eq!(say_within(&line, "this", short), None, "{fault:?}");
            assert!(begun.elapsed() >= short, "{fault:?}: it stayed open");
            std::thread::sleep(LISTENS);
            assert_eq!(heard.lock().unwrap().len(), 1 + hears, "{fault:?}");
        }
        let (port, _heard) = echo();
        let line = Line::to(port).unwrap();
        line.watch(move |_| Some(Fault::Delay(short)));
        let begun = std::time::Instant::now();
        assert_eq!(say(&line, "this").as_deref(), Some("this"));
        assert!(begun.elapsed() >= short);
    }
}
