//! `nhi serve`: ticks for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use connector::{Clock, SystemClock};
use domain::{Span, realm::slot_number};
use jiff::{SignedDuration, Timestamp};
use operations::{
    Asked, Context, Lease, Looked, LookedUp, Next, OpenTask, OwnerNotice, Problem, StopSign, Taken,
    Tick, TickStep, Wishes, break_glass::close_reviewed, ends_to_tell, findings_to_tell,
    forget_ends, note_tasks, note_told, tasks,
};
use policy::retry::Breaker;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};
use tracing::Instrument;

use super::{
    drift::{declared, whole},
    reconcile::shown,
};
use crate::{
    exit::Exit,
    output::Output,
    report::{self, Form, Report},
    serve::{
        door::Door,
        health::{Counts, Health, answer},
        hook::{self, Hook},
        letters::{Letters, contacts},
        logs::{Log, LogForm, name},
        notify::{self, Extent, Lasting, Notice, Notices},
        share::{self, Moments, Shared},
    },
    traces::Traces,
};

/// Look after everything that is declared, for as long as it runs: what nhi reconcile --yes does, again and
/// again.
///
/// Each connection has its own moments, spread over the interval. The configuration, the policy and the
/// ledger are read anew each time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi serve
  nhi serve --every 15m --listen 127.0.0.1:9464 --log json

With signals = { key = { env = \"NHI_SIGNALS_KEY\" } } it takes signed reports, as nhi signal does.
It answers on /healthz (it runs), /readyz (the last tick could look) and /metrics (OpenMetrics): on this
machine, and elsewhere over TLS to who shows a token or a certificate, as nhi.hcl says. Lines about what
it does go to standard error; traces where OTEL_EXPORTER_OTLP_ENDPOINT says. On SIGTERM and SIGINT it ends
what it is looking at and stops between two calls; what was begun is gone on with by the next tick of
whoever runs next. nhi.hcl may say the same: serve = { every = \"15m\", listen = \"127.0.0.1:9464\" }

Exit codes: 0 it was asked to stop, and did · 1 it could not begin")]
pub(crate) struct Serve {
    /// How often each connection is looked at.
    #[arg(long, value_name = "DURATION")]
    every: Option<Span>,

    /// Where it answers, as 127.0.0.1:9464; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// Declared is what this state file says, read anew each time. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// How lines about what it does look.
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    log: LogForm,
}

/// How often each connection is looked at, where nobody says.
const USUAL: Span = Span::from_secs(15 * 60);

/// How long it goes on telling after it was asked to stop.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// That it was asked to stop.
#[derive(Debug, Clone, Default)]
struct Stop {
    asked: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Stop {
    fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Until it is asked to, or so much time has passed.
    async fn or_after(&self, longest: Duration) {
        let woken = self.wake.notified();
        if !self.is_asked() {
            let _ = tokio::time::timeout(longest, woken).await;
        }
    }
}

/// When a connection is looked at next: at its own moments of the interval, whenever this began.
fn next_at(connection: &str, every: Span, now: Timestamp) -> Timestamp {
    let every = i128::from(every.as_secs().max(1)) * 1000;
    let offset = (u128::from(slot_number(connection)) * u128::try_from(every).unwrap_or(1)) >> 64;
    let offset = i128::try_from(offset).unwrap_or(0);
    let since = (i128::from(now.as_millisecond()) - offset).rem_euclid(every);
    let wait = i64::try_from(every - since).unwrap_or(1000);
    now.checked_add(SignedDuration::from_millis(wait)).unwrap_or(now)
}

/// Whether its moment has come. One that is farther away than the interval was set before the clock went
/// back, and is not waited for.
fn is_due(at: Timestamp, every: Span, now: Timestamp) -> bool {
    at <= now || at > policy::schedule::later(now, every)
}

struct Serving<'a> {
    config: Option<&'a str>,
    state: Option<&'a str>,
    every: Span,
    log: Log,
    health: Health,
    stop: Stop,
    clock: SystemClock,
    notices: Notices,
    lasting: Mutex<Lasting>,
    heartbeat: Option<Span>,
    /// When it was last told that all is well, or that it is not.
    told_at: Mutex<Option<Timestamp>>,
    /// Which connections are asked no more, and when they are again.
    breakers: Mutex<BTreeMap<String, Breaker>>,
    letters: Letters,
    /// Where owners are reached, as looks read it in records: a tick may be over a part of them.
    contacts: Mutex<BTreeMap<String, String>>,
    /// When all was last compared, and what was found then.
    compared: Mutex<Option<(Timestamp, BTreeMap<String, Told>)>>,
}

/// What was told of one finding.
#[derive(Debug, Clone)]
struct Told {
    subject: String,
    why: String,
}

impl Serve {
    pub(crate) async fn run(self, config: Option<&str>, _output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        if self.state.as_deref() == Some("-") {
            return Err(Problem::new("E-STATE", "Standard input is read once")
                .detail("What is declared is read anew for each tick.")
                .next("name a file with --state, or none: then the ledger says what is declared"));
        }
        let said = &loaded.config.serve;
        let every = self.every.or(said.every).unwrap_or(USUAL);
        let listen = self.listen.as_deref().or(said.listen.as_deref());
        let floor = if loaded.config.demo { 1 } else { 60 };
        if every.as_secs() < floor {
            return Err(Problem::new("E-CONFIG", "This interval is too short")
                .detail(format!("{every}: it must be {floor}s at least."))
                .next("name a longer one: 15m is usual"));
        }
        let log = Log(self.log);
        let (notices, telling) = Notices::begin(&loaded, Arc::new(SystemClock), log)?;
        let letters = Letters::begin(&loaded, Arc::new(SystemClock), log)?;
        let traces = Traces::begin(&loaded.environment, move |why| {
            log.line(SystemClock.now(), name::NOTICE, &[("why", why.into())]);
        })?;
        let serving = Serving {
            config,
            state: self.state.as_deref(),
            every,
            log,
            health: Health::default(),
            stop: Stop::default(),
            clock: SystemClock,
            notices,
            lasting: Mutex::default(),
            heartbeat: loaded.config.notify.as_ref().and_then(|notify| notify.heartbeat),
            told_at: Mutex::default(),
            breakers: Mutex::default(),
            letters,
            contacts: Mutex::default(),
            compared: Mutex::default(),
        };
        if let Some(listen) = listen {
            let door = Door::of(&loaded)?;
            let (listener, at) = bound(door.place(listen)?).await?;
            let scheme = if door.has_tls() { "https" } else { "http" };
            serving.say(name::LISTENING, &[("address", format!("{scheme}://{at}").into())]);
            tokio::spawn(answer(listener, serving.health.clone(), door));
        }
        if let Some((hook, listen)) = Hook::begin(&loaded, config)? {
            let (listener, at) = bound(hook::place(&listen)?).await?;
            serving.say(name::LISTENING, &[("signals", format!("http://{at}/signals").into())]);
            tokio::spawn(hook::answer(listener, hook, SystemClock));
        }
        listen_to_signals(serving.stop.clone())?;
        serving.run().await;
        drop(serving);
        // What is in line is told, for as long as whoever stops us may wait.
        if let Some(telling) = telling {
            let _ = tokio::time::timeout(LAST_WORDS, telling).await;
        }
        traces.end().await;
        Ok(Exit::Clean)
    }
}

/// A listener there, and where that is.
async fn bound(at: SocketAddr) -> Result<(TcpListener, String), Problem> {
    let listener = TcpListener::bind(at).await.map_err(|error| {
        Problem::new("E-LISTEN", "It does not listen there")
            .detail(format!("{at}: {error}."))
            .next("name another port, or 0 for any that is free")
    })?;
    let at = listener.local_addr().map_or_else(|_| at.to_string(), |at| at.to_string());
    Ok((listener, at))
}

/// SIGTERM and SIGINT ask it to stop.
fn listen_to_signals(stop: Stop) -> Result<(), Problem> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|error| {
            Problem::new("E-SIGNAL", "Signals cannot be heard")
                .detail(error.to_string())
                .next("run it where a process may handle SIGTERM")
        })?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.ask();
            }
        });
    }
    Ok(())
}

impl Serving<'_> {
    fn say(&self, name: &str, with: &[(&str, Value)]) {
        self.log.line(self.clock.now(), name, with);
    }

    async fn run(&self) {
        self.say(name::BEGUN, &[("every", self.every.to_string().into())]);
        // Whatever died before this is gone on with at once.
        let mut next: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut moments = Moments::from(self.clock.now());
        while !self.stop.is_asked() {
            let now = self.clock.now();
            let due = next.iter().filter(|(_, at)| is_due(**at, self.every, now));
            let due: BTreeSet<String> = due.map(|(name, _)| name.clone()).collect();
            if next.is_empty() || !due.is_empty() {
                let all = next.is_empty();
                for (connection, at) in next.iter().filter(|(one, _)| due.contains(*one)) {
                    moments.came(connection, (*at).min(now));
                }
                let only = if all { None } else { Some(&due) };
                let (known, later) = self.tick(only, &moments).await;
                let begun = self.clock.now();
                if let Some(known) = &known {
                    next.retain(|connection, _| known.contains(connection));
                }
                // Where it could not be, only these wait for their next moment; the others keep theirs.
                for connection in known.unwrap_or_else(|| due.clone()) {
                    // What another looks after keeps its moment until it is over there.
                    let again = match later.get(&connection) {
                        Some(wait) => share::again(*wait, self.every, begun),
                        None => {
                            moments.over(&connection);
                            next_at(&connection, self.every, begun)
                        }
                    };
                    if all || due.contains(&connection) || !next.contains_key(&connection) {
                        next.insert(connection, again);
                    }
                }
                // Nothing is declared yet, or it could not be read.
                if next.is_empty() {
                    self.stop.or_after(self.every.to_std().min(Duration::from_secs(60))).await;
                    continue;
                }
            }
            if let Some(at) = next.values().min() {
                let wait = at.duration_since(self.clock.now());
                let wait = Duration::try_from(wait).unwrap_or_default().min(self.every.to_std());
                self.stop.or_after(wait.max(Duration::from_millis(50))).await;
            }
        }
        self.say(name::ENDED, &[]);
    }

    /// One tick over these connections, or all: which there are, if that could be read. What cannot be is
    /// told, and is tried again at the next moment.
    async fn tick(
        &self,
        only: Option<&BTreeSet<String>>,
        moments: &Moments,
    ) -> (Option<BTreeSet<String>>, BTreeMap<String, Duration>) {
        let begun = self.clock.now();
        self.health.note(|state| {
            state.ticks += 1;
            state.last_begun = Some(begun);
        });
        let span = telemetry::tick();
        match self.ticked(only, moments, &span).instrument(span.clone()).await {
            Ok((known, later)) => (Some(known), later),
            Err(problem) => {
                telemetry::failed(&span, "failed", Some(problem.code));
                self.say(
                    name::TICK_FAILED,
                    &[("code", problem.code.into()), ("why", problem.to_string().into())],
                );
                self.health.note(|state| {
                    state.ticks_failed += 1;
                    state.last_ended = Some(self.clock.now());
                    state.looked = false;
                });
                if !self.stop.is_asked() {
                    let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
                    let begun = lasting.begin(notify::TICK, words(&problem));
                    drop(lasting);
                    self.put(begun);
                }
                (None, BTreeMap::new())
            }
        }
    }

    async fn ticked(
        &self,
        only: Option<&BTreeSet<String>>,
        moments: &Moments,
        span: &tracing::Span,
    ) -> Result<(BTreeSet<String>, BTreeMap<String, Duration>), Problem> {
        let loaded = wiring::load(self.config)?;
        let (context, wrong) = loaded.context_to_end("nhi", "tick")?;
        if let Some(wrong) = &wrong {
            let why = wrong.detail.clone();
            self.say(name::NOTICE, &[("code", wrong.code.into()), ("why", why.into())]);
        }
        let no_policy = wrong.map(|wrong| (notify::POLICY.to_owned(), ("opened", words(&wrong))));
        let stop = self.stop.clone();
        let context = Context { stop: StopSign::of(move || stop.is_asked()), ..context };
        let (mut wishes, from) = declared(&context, self.state, "serve").await?;
        let all = self.is_looked_at_whole(&loaded, &context).then(|| wishes.clone());
        // What people are to do is theirs: it is told when it is late, and nothing else follows.
        let people = tasks(&context, &wishes).await?;
        note_tasks(&context, &wishes, &people).await;
        close_reviewed(&context).await?;
        let of = |id: &str| id.split('/').next().unwrap_or_default().to_owned();
        let mut known: BTreeSet<String> = wishes.integrations.keys().map(|id| of(id)).collect();
        let declared: BTreeSet<String> = wishes.integrations.keys().cloned().collect();
        let names = context.connections.names().into_iter();
        let held: BTreeSet<String> = names.filter(|name| holds_some(&context, name)).collect();
        // Where what is declared nowhere is looked for, a connection that nothing is declared at has its
        // moments as well; and where no policy says whether it is, it keeps those that it has.
        if context.rules.unowned_grace.is_some() || no_policy.is_some() {
            known.extend(held.iter().cloned());
        }
        let is_asked = |name: &String| only.is_none_or(|only| only.contains(name));
        let beside: BTreeSet<String> = held.into_iter().filter(is_asked).collect();
        // What is declared nowhere is one's at a time, too.
        let asked = only.unwrap_or(&known).clone();
        let begun = self.clock.now();
        let shared = Shared::take(&context, &asked, moments).await?;
        let context = shared.guard(context);
        for (connection, holder) in shared.elsewhere() {
            let with = [("connection", connection.into()), ("by", holder.into())];
            self.say(name::ELSEWHERE, &with);
        }
        let mut later = shared.later();
        let ticked = shared.ours(&asked);
        if ticked.is_empty() && !asked.is_empty() {
            self.close(&context).await;
            self.health.note(|state| {
                state.last_ended = Some(self.clock.now());
                state.looked = true;
            });
            return Ok((known, later));
        }
        let beside = beside.intersection(&ticked).cloned().collect();
        wishes.integrations.retain(|id, _| ticked.contains(&of(id)));
        let count = wishes.integrations.len();
        self.say(name::TICK_BEGUN, &[("integrations", count.into())]);
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tick = Tick::begin(
            &context,
            Asked { breakers, beside: Some((declared, beside)), ..Asked::default() },
        )
        .await;
        // A look that was begun is heard to its end, whoever asks to stop: an answer may hold what is the only
        // valid token of a registration from then on.
        let looked = tick.look(wishes, |_, _| ()).await;
        if context.stop.is_set() {
            self.say_stopped();
            later.extend(not_over(&ticked));
            shared.give_back().await;
            self.close(&context).await;
            return Ok((known, later));
        }
        for one in &looked.unread {
            let since = one.since.map_or(Value::Null, |at| at.to_string().into());
            self.say(
                name::GAP,
                &[
                    ("subject", one.subject.clone().into()),
                    ("code", one.problem.code.into()),
                    ("since", since),
                    ("why", one.problem.detail.clone().into()),
                ],
            );
        }
        let steps = shown(&looked);
        steps.iter().for_each(|step| self.tell_left(step));
        let mut counts = counts(&looked, &steps);
        let (mut done, mut failures) = (0, 0);
        let mut wrong = what_is_wrong(&looked);
        wrong.extend(late(&people));
        let judged = no_policy.is_none();
        wrong.extend(no_policy);
        let at_work = steps.iter().filter(|step| matches!(step.next, Next::Busy(_)));
        let mut left: BTreeSet<String> = at_work.map(|step| step.subject.clone()).collect();
        tick.take_all(&steps, |_, step, taken| {
            if !matches!(step.next, Next::Do(..)) {
                return;
            }
            let counted = counts.entry(step.integration.connection.clone()).or_default();
            match self.tell_taken(step, &taken) {
                Some(true) => done += 1,
                Some(false) => failures += 1,
                None => {}
            }
            match &taken {
                Taken::Unasked(problem) => {
                    counted.gaps += 1;
                    wrong.insert(step.subject.clone(), ("opened", words(problem)));
                }
                Taken::Not { problem, .. } => {
                    wrong.insert(step.subject.clone(), ("failed", words(problem)));
                }
                Taken::Busy | Taken::Left | Taken::Stopped => {
                    left.insert(step.subject.clone());
                }
                _ => self.put(notice_of(step, &taken)),
            }
        })
        .await;
        self.remember(tick.breakers(), &known);
        if let Some(all) = all.filter(|_| !context.stop.is_set()) {
            self.tell_owners(&loaded, &context, all, from, &looked.known).await;
        }
        for notice in context.notices.take() {
            self.say(name::NOTICE, &[("code", notice.code.into()), ("why", notice.detail.into())]);
        }
        let ended = self.clock.now();
        if let Err(problem) = share::census(&context, &ticked, &looked, begun, ended).await {
            self.say(
                name::NOTICE,
                &[("code", problem.code.into()), ("why", problem.detail.into())],
            );
        }
        // Whoever asked for it, or a lease that was lost: what comes after is asked once.
        let stopped = context.stop.is_set();
        shared.give_back().await;
        if stopped {
            later.extend(not_over(&ticked));
        }
        for connection in &ticked {
            counts.entry(connection.clone()).or_default();
        }
        // What was stopped is neither over nor begun.
        if !stopped {
            let mut gaps: BTreeSet<String> =
                looked.unread.iter().map(|one| one.subject.clone()).collect();
            // Without the policy nothing is judged, and nothing is over by that.
            if !judged {
                gaps.extend(ticked.iter().cloned());
            }
            self.tell_changes(&Extent { ticked, known: known.clone(), gaps, left }, wrong);
        }
        self.health.note(|state| {
            state.done += done;
            state.failures += failures;
            state.last_ended = Some(ended);
            state.looked = !looked.steps.is_empty() || looked.unread.is_empty();
            state.by_connection.extend(counts);
            state.by_connection.retain(|connection, _| known.contains(connection));
        });
        telemetry::ticked(span, looked.steps.len(), looked.unread.len(), done, failures);
        telemetry::ended(span, if stopped { "stopped" } else { "done" });
        self.say(
            name::TICK_ENDED,
            &[
                ("read", looked.steps.len().into()),
                ("gaps", looked.unread.len().into()),
                ("done", done.into()),
                ("failed", failures.into()),
            ],
        );
        if stopped {
            self.say_stopped();
        }
        self.close(&context).await;
        Ok((known, later))
    }

    /// Says why a tick came to no end of its own.
    fn say_stopped(&self) {
        if self.stop.is_asked() {
            self.say(name::STOPPING, &[]);
            return;
        }
        let why =
            "a lease was lost, so that another may be at work: what is left is looked at anew";
        self.say(name::NOTICE, &[("why", why.into())]);
    }

    /// Keeps which connections are asked no more, over ticks that are not over all of them.
    fn remember(&self, breakers: BTreeMap<String, Breaker>, known: &BTreeSet<String>) {
        let mut all = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(breakers);
        all.retain(|connection, _| known.contains(connection));
    }

    /// Whether this tick needs all that is declared, beside what it is over.
    fn is_looked_at_whole(&self, loaded: &wiring::Loaded, context: &Context) -> bool {
        let telling = &context.rules.telling;
        !telling.before.is_empty() || self.is_compared_now(loaded)
    }

    fn is_compared_now(&self, loaded: &wiring::Loaded) -> bool {
        let Some(every) = loaded.config.serve.drift else { return false };
        let last = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.as_ref().map(|(at, _)| policy::schedule::later(*at, every));
        last.is_none_or(|at| is_due(at, every, self.clock.now()))
    }

    /// Compares all that is declared with what is there, where its time has come, and tells owners what
    /// ends, and what was found of what is theirs.
    async fn tell_owners(
        &self,
        loaded: &wiring::Loaded,
        context: &Context,
        wishes: Wishes,
        from: String,
        looked_up: &LookedUp,
    ) {
        let mut compared = None;
        if self.is_compared_now(loaded) && context.gate.closed().is_none() {
            let all_declared = self.state.is_none();
            let report = match loaded.read_only().context("nhi", "tick") {
                Ok(looking) => whole(&looking, wishes.clone(), from, all_declared).await,
                Err(problem) => {
                    self.say(name::NOTICE, &[("code", problem.code.into())]);
                    return;
                }
            };
            let unread = report.objects.iter().filter(|one| report.is_unread(&one.id));
            let unread: BTreeSet<String> = unread.map(|one| one.id.clone()).collect();
            let open = report.found.iter().filter(|one| one.accepted.is_none());
            let open: Vec<_> = open.map(|one| (one.print, one.finding.clone())).collect();
            self.tell_of_report(&report);
            compared = Some((open, unread));
        }
        // What others have told by now is read behind a lease: else several would send the same letter.
        let lease = match self.lease_of_owners(context).await {
            Ok(lease) => lease,
            Err(problem) => {
                self.say(
                    name::NOTICE,
                    &[("code", problem.code.into()), ("why", problem.detail.into())],
                );
                return;
            }
        };
        // Who has it tells them.
        let Some(lease) = lease else { return };
        let mut due: Vec<OwnerNotice> = Vec::new();
        let mut take = |found: Result<Vec<OwnerNotice>, Problem>| match found {
            Ok(found) => due.extend(found),
            Err(problem) => self.say(
                name::NOTICE,
                &[("code", problem.code.into()), ("why", problem.detail.into())],
            ),
        };
        if !context.rules.telling.before.is_empty() {
            take(ends_to_tell(context, &wishes, looked_up).await);
            // A review counts as moved only where it was looked up, so that any tick may do it.
            forget_ends(context, &wishes, looked_up).await;
        }
        if let Some((open, unread)) = &compared {
            take(findings_to_tell(context, &wishes, open, unread).await);
        }
        let contacts = {
            let mut known = self.contacts.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(looked_up.contacts.clone());
            contacts(&wishes.addresses, &known)
        };
        let told = self.letters.tell(&due, &contacts, &self.notices).await;
        if told.len() < due.len() {
            let why = format!(
                "{} thing(s) could not be told to owners, and are tried by the next tick: it takes \
                 notify.mail or notify.webhook that works",
                due.len() - told.len()
            );
            self.say(name::NOTICE, &[("why", why.into())]);
        }
        if !told.is_empty() {
            self.say(name::TOLD, &[("owners", told.len().into())]);
        }
        if let Err(problem) = note_told(context, &told).await {
            self.say(
                name::NOTICE,
                &[("code", problem.code.into()), ("why", problem.detail.into())],
            );
        }
        if let Some(lease) = lease {
            lease.give_back().await;
        }
    }

    /// The lease of telling owners: none where somebody else has it, and one of nothing where nothing is
    /// shared.
    async fn lease_of_owners(&self, context: &Context) -> Result<Option<Option<Lease>>, Problem> {
        if context.read_only || !context.ledger.keeps() {
            return Ok(Some(None));
        }
        let lease = Lease::take(context, "nhi/owners").await?;
        Ok(lease.ok().map(Some))
    }

    /// Tells what was found since the last comparison, and what is over. What is found at the first one may
    /// have been told by whoever ran before, so it is counted in one notice.
    fn tell_of_report(&self, report: &Report) {
        let text = report::render(report, Form::Openmetrics, None);
        self.health.note(|state| state.report = Some(text));
        // What people are late with is told by each tick already.
        let counts = report.found.iter();
        let counts = counts.filter(|one| report.counts(one) && one.finding.rule != "task-overdue");
        let now: BTreeMap<String, Told> = counts
            .map(|one| {
                let told = Told {
                    subject: one.finding.subject.clone(),
                    why: format!("{} ({})", one.finding.rule, one.finding.facet),
                };
                (data_encoding::HEXLOWER.encode(&one.print), told)
            })
            .collect();
        self.say(
            name::COMPARED,
            &[
                ("findings", now.len().into()),
                ("read", report.read.into()),
                ("gaps", report.failed.len().into()),
            ],
        );
        let before = self.compared.lock().unwrap_or_else(PoisonError::into_inner).take();
        let notice = |event, told: &Told| Notice {
            event,
            subject: told.subject.clone(),
            why: told.why.clone(),
            owner: None,
        };
        let mut kept = now.clone();
        match before {
            None if now.is_empty() => {}
            None => self.put(Some(Notice {
                event: "opened",
                subject: "nhi/drift".to_owned(),
                why: format!("{} finding(s) when it began; nhi drift lists them", now.len()),
                owner: None,
            })),
            Some((_, before)) => {
                for (print, told) in &now {
                    if !before.contains_key(print) {
                        self.put(Some(notice("opened", told)));
                    }
                }
                for (print, told) in before {
                    if now.contains_key(&print) {
                        continue;
                    }
                    // Of what was not read nobody says that it is over.
                    match report.is_unread(&told.subject) {
                        true => drop(kept.insert(print, told)),
                        false => self.put(Some(notice("closed", &told))),
                    }
                }
            }
        }
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        *compared = Some((self.clock.now(), kept));
    }

    async fn close(&self, context: &Context) {
        if let Err(error) = context.ledger.close().await {
            self.say(name::NOTICE, &[("why", error.to_string().into())]);
        }
    }

    fn put(&self, notice: Option<Notice>) {
        let Some(notice) = notice else { return };
        let subject = notice.subject.clone();
        *self.told_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        if !self.notices.put(&notice, self.clock.now()) {
            let why = "too much is to be told, and this is not, or not to all";
            self.say(name::NOTICE, &[("subject", subject.into()), ("why", why.into())]);
        }
    }

    /// Tells what began and what is over; and now and then, where nothing is wrong, that all is well.
    fn tell_changes(&self, extent: &Extent, wrong: BTreeMap<String, (&'static str, String)>) {
        let (changed, well) = {
            let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
            (lasting.change(extent, wrong), lasting.is_empty())
        };
        let compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        let well = well && compared.as_ref().is_none_or(|(_, found)| found.is_empty());
        drop(compared);
        changed.into_iter().for_each(|notice| self.put(Some(notice)));
        let Some(every) = self.heartbeat.filter(|_| well) else { return };
        let last = *self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = last.map(|at| policy::schedule::later(at, every));
        if next.is_none_or(|at| is_due(at, every, self.clock.now())) {
            let (subject, why) = ("nhi".to_owned(), "all is well".to_owned());
            self.put(Some(Notice { event: "heartbeat", subject, why, owner: None }));
        }
    }

    fn tell_left(&self, step: &TickStep) {
        let (word, why) = match &step.next {
            Next::Held(why) => ("held", why),
            Next::PutOff { why, .. } => ("put_off", why),
            _ => return,
        };
        let with = [
            ("subject", step.subject.clone().into()),
            ("is", word.into()),
            ("why", why.clone().into()),
        ];
        self.say(name::LEFT, &with);
    }

    /// Whether it was done; nothing where it was neither done nor failed.
    fn tell_taken(&self, step: &TickStep, taken: &Taken) -> Option<bool> {
        let Next::Do(work, reason) = &step.next else { return None };
        let subject = ("subject", step.subject.clone().into());
        let deed = ("deed", work.word().into());
        match taken {
            Taken::Not { problem, begun } => {
                self.say(
                    name::FAILED,
                    &[
                        subject,
                        deed,
                        ("code", problem.code.into()),
                        ("begun", (*begun).into()),
                        ("why", problem.detail.clone().into()),
                    ],
                );
                Some(false)
            }
            Taken::Busy | Taken::Left | Taken::Stopped | Taken::Unasked(_) => None,
            Taken::Met(None) => None,
            _ => {
                self.say(name::DONE, &[subject, deed, ("reason", (*reason).into())]);
                Some(true)
            }
        }
    }
}

/// Whether integrations may be on a connection.
pub(super) fn holds_some(context: &Context, connection: &str) -> bool {
    context.connections.platform(connection).is_ok_and(|platform| !platform.kinds().is_empty())
}

/// What a tick that was stopped leaves keeps its moment, and is asked about again soon.
fn not_over(ticked: &BTreeSet<String>) -> impl Iterator<Item = (String, Duration)> {
    ticked.iter().map(|connection| (connection.clone(), Duration::MAX))
}

fn words(problem: &Problem) -> String {
    format!("{} ({})", problem.summary, problem.code)
}

/// What is wrong, whatever this tick does.
fn what_is_wrong(looked: &Looked) -> BTreeMap<String, (&'static str, String)> {
    // What was not asked because its connection does not answer, or lets nobody in, is one thing.
    let of = |one: &operations::Unread| match one.problem.code {
        "E-UNHEARD" | "E-UNAUTHORIZED" => {
            one.subject.split('/').next().unwrap_or_default().to_owned()
        }
        _ => one.subject.clone(),
    };
    // What was not asked for because it was to stop is not wrong.
    let unread = looked.unread.iter().filter(|one| one.problem.code != "E-STOPPED");
    let unread = unread.map(|one| (of(one), ("opened", words(&one.problem))));
    let left = looked.steps.iter().filter_map(|step| match &step.next {
        Next::Held(why) | Next::PutOff { why, late: true, .. } => {
            Some((step.subject.clone(), ("opened", why.clone())))
        }
        _ => None,
    });
    unread.chain(left).collect()
}

/// What people were to do by now.
fn late(tasks: &[OpenTask]) -> impl Iterator<Item = (String, (&'static str, String))> {
    let late = tasks.iter().filter(|one| one.is_overdue());
    late.map(|one| (one.id(), ("opened", format!("{}: {}", one.what, one.next))))
}

/// What was done, as it is told.
fn notice_of(step: &TickStep, taken: &Taken) -> Option<Notice> {
    let Next::Do(work, reason) = &step.next else { return None };
    let (event, why) = match taken {
        Taken::Rotated(to) => ("rotated", format!("generation {}, {reason}", to.generation)),
        Taken::Met(Some(_)) | Taken::SwitchedOff | Taken::Revoked(_) | Taken::Narrowed(_) => {
            ("done", work.word().to_owned())
        }
        _ => return None,
    };
    Some(Notice { event, subject: step.subject.clone(), why, owner: None })
}

fn counts(looked: &Looked, steps: &[Arc<TickStep>]) -> BTreeMap<String, Counts> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    for step in &looked.steps {
        all.entry(step.integration.connection.clone()).or_default().read += 1;
    }
    for step in steps {
        let counts = all.entry(step.integration.connection.clone()).or_default();
        match &step.next {
            Next::Do(..) => counts.due += 1,
            Next::Held(_) | Next::PutOff { late: true, .. } => counts.overdue += 1,
            _ => {}
        }
    }
    for one in &looked.unread {
        let connection = one.subject.split('/').next().unwrap_or_default();
        all.entry(connection.to_owned()).or_default().gaps += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_over_the_interval_and_keep_their_moments_over_a_restart() {
        let every = Span::from_secs(900);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (one, later) = (at("2026-12-01T10:00:00Z"), at("2026-12-01T10:00:01Z"));
        let moments: BTreeSet<i64> = (0..40)
            .map(|number| {
                let name = format!("tenant-{number}");
                let next = next_at(&name, every, one);
                assert!(next > one && next <= one + SignedDuration::from_secs(900));
                // Whoever begins a second later takes the same moment, or the one that came meanwhile.
                let again = next_at(&name, every, later);
                assert!(again == next || next <= later, "{name}");
                // And then the next one, an interval later.
                let after = next_at(&name, every, next);
                assert_eq!(after.duration_since(next), SignedDuration::from_secs(900));
                next.as_second()
            })
            .collect();
        assert!(moments.len() > 30, "{moments:?}");
        assert!(moments.last().unwrap() - moments.first().unwrap() > 700);
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nothing() {
        let every = Span::from_secs(900);
        let now: Timestamp = "2026-12-01T10:00:00Z".parse().unwrap();
        let next = next_at("bao", every, now);
        assert!(!is_due(next, every, now) && is_due(next, every, next));
        assert!(is_due(next, every, now - SignedDuration::from_secs(86_400)));
    }
}
