//! What judging takes from memory: `cargo xtask bench reconcile` ends with this. Credentials judged a second
//! by one thread, and everything that is declared compared with a platform in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use connector::{
    Clock, Connection, Connector, NewIntegration, Platform,
    fake::{self, APP, Fake},
};
use domain::{LastUsed, Now, OwnerRef, Record, Settings, Span};
use jiff::{SignedDuration, Timestamp};
use ledger::NullLedger;
use operations::{
    Connections, Context, Problem, RulesGate, Run, Wish, WishedScopes, Wishes, judge_each, reach_of,
};
use policy::{
    Rules,
    findings::{self, SlotFacts, Times},
    scopes::Enforcement,
};
use rustix::time::{ClockId, clock_gettime};

const CREDENTIALS: usize = 1_000_000;
const INTEGRATIONS: usize = 100_000;
/// One in so many is not as it should be.
const ONE_IN: usize = 50;
const NOW: Timestamp = Timestamp::constant(1_795_500_000, 0);

/// What this thread has had of a processor.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The most memory that this process had, in MB.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() * 1.024 / 1_000.0
}

/// Every rule that looks at one credential, for each.
fn credentials() {
    let ids: Vec<String> = (0..CREDENTIALS)
        .map(|at| format!("bao/openbao_approle/app-{at:07}/credential/default"))
        .collect();
    let rules = Rules { require_schedule: true, ..Rules::default() };
    let now = Now::from(NOW);
    let (begun, before) = (Instant::now(), worked());
    let mut found = 0;
    for (at, id) in ids.iter().enumerate() {
        let odd = at % ONE_IN == 0;
        let days = if odd { 400 } else { 20 };
        let issued = NOW - SignedDuration::from_hours(24 * days);
        let facts = SlotFacts {
            id,
            status: if odd { "overdue" } else { "current" },
            key_id: Some("219f9193-5c7f-c0b1-1522-667196fdba3f"),
            active: true,
            ..SlotFacts::default()
        };
        found += findings::slot(&facts).len();
        let times = Times {
            slot: id,
            issued_at: Some(issued),
            expires_at: None,
            can_end: true,
            last_used: LastUsed::At(NOW - SignedDuration::from_hours(24)),
            scheduled: !odd,
        };
        found += findings::times(&times, &rules, now).len();
    }
    let (wall, busy) = (begun.elapsed(), worked() - before);
    println!(
        "{CREDENTIALS} credentials judged by one thread, {found} findings: {:.2} million a second by the \
         clock, {:.2} by the processor   goal: at least 1",
        CREDENTIALS as f64 / wall.as_secs_f64() / 1e6,
        CREDENTIALS as f64 / busy.as_secs_f64() / 1e6,
    );
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

#[derive(Debug)]
struct Wired(Arc<dyn Connector>);

#[async_trait]
impl Connections for Wired {
    fn names(&self) -> Vec<String> {
        vec!["fake".to_owned()]
    }
    fn platform(&self, _: &str) -> Result<&'static dyn Platform, Problem> {
        Ok(&fake::PLATFORM)
    }
    async fn get(&self, _: &str) -> Result<Connection, Problem> {
        let connector = Some(self.0.clone());
        Ok(Connection { platform: &fake::PLATFORM, connector, sink: None, directory: None })
    }
    fn pinned_tenant(&self, _: &str) -> Option<String> {
        None
    }
}

/// Everything that is declared, against what a platform in memory has: record, settings, switch, scopes and
/// credentials of each.
async fn integrations() {
    let fake = Fake::new(Arc::new(Still));
    let mut wishes = Wishes::default();
    let owner = |id: &str| Some(OwnerRef { id: id.to_owned(), email: None });
    for at in 0..INTEGRATIONS {
        let name = format!("app-{at:06}");
        let record = Record {
            purpose: Some("Copies paid invoices from billing to the general ledger".into()),
            environment: Some("production".into()),
            business_owner: owner("owner/finance"),
            technical_owner: owner("owner/payments"),
            ..Record::default()
        };
        let new = NewIntegration {
            kind: APP.into(),
            name: name.clone(),
            settings: Settings::default(),
            record,
        };
        let made = fake.create(&new).await.expect("an empty platform makes an integration");
        let scopes = ["invoices:read", "ledger:write"];
        fake.by_hand(APP, &name, |hand| {
            scopes.iter().for_each(|one| hand.grant(one));
            hand.issue("not-a-secret-of-anything", None);
            if at % ONE_IN == 0 {
                hand.grant("payroll:read");
            }
        });
        let id = format!("fake/{APP}/{name}");
        let said = [
            ("purpose", "Copies paid invoices from billing to the general ledger"),
            ("environment", "production"),
            ("business_owner.id", "owner/finance"),
            ("technical_owner.id", "owner/payments"),
        ];
        let said = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let wish = Wish {
            id: id.clone(),
            vendor_id: Some(made.vendor_id),
            record: Some(BTreeMap::from(said)),
            enabled: Some(true),
            scopes: Some(WishedScopes {
                standing: scopes.map(str::to_owned).into(),
                temporary: BTreeMap::new(),
                on_request: BTreeMap::new(),
                enforcement: Enforcement::Exact,
                classify: BTreeMap::new(),
            }),
            ..Wish::default()
        };
        wishes.integrations.insert(id, wish);
    }
    drop(fake.calls());
    let context = Context {
        connections: Arc::new(Wired(Arc::new(fake.clone()))),
        realm: None,
        custody: None,
        rules: Arc::new(Rules { owner_grace: Span::from_secs(86_400), ..Rules::default() }),
        ledger: Arc::new(NullLedger),
        clock: Arc::new(Still),
        run: Run::default(),
        gate: Arc::new(RulesGate),
        read_only: true,
        notices: Default::default(),
        turns: Default::default(),
        claims: Default::default(),
        stop: Default::default(),
        under: Default::default(),
        signals: Default::default(),
    };
    let (mut found, mut gaps, mut rules) = (0, 0, BTreeSet::new());
    let owns = wishes.owned();
    let recorded = peak();
    let begun = Instant::now();
    let reach = reach_of(&wishes);
    judge_each(&context, wishes, owns, reach, |_, judged| match judged {
        Ok(judged) => {
            found += judged.findings.len();
            gaps += judged.gaps.len();
            rules.extend(judged.findings.iter().map(|(_, one)| one.rule));
        }
        Err(_) => gaps += 1,
    })
    .await;
    println!(
        "{INTEGRATIONS} integrations compared: {:.2} s, {found} findings by {} rules, {gaps} gaps   goal: at \
         most 5 s",
        begun.elapsed().as_secs_f64(),
        rules.len(),
    );
    println!(
        "the most memory: {:.0} MB, of which {recorded:.0} MB before anything was compared   goal: at most \
         400 MB",
        peak()
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime of one thread can be had").block_on(integrations());
    credentials();
}
