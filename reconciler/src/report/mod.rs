//! What `nhi drift` came to, and its forms, one file each.
//!
//! A form is a pure function of the report: it reads nothing and decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use operations::{Judged, Problem, Wishes};
pub(crate) use policy::findings::{Condition, Finding, Severity, Verdict};
use policy::waiver::{self, Waiver};

use crate::exit::Exit;

pub(crate) mod baseline;
mod github;
pub(crate) mod html;
mod json;
mod junit;
pub(crate) mod markdown;
mod openmetrics;
mod rules;
pub(crate) mod sarif;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod written;

/// A form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs: one object, whose schema is docs/schemas/drift.json.
    Json,
    /// For a comment on a pull request.
    Markdown,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For test reports of a pipeline: a test case for each declared object.
    Junit,
    /// For a browser: one page that needs nothing else.
    Html,
    /// For Prometheus: OpenMetrics 1.0.
    Openmetrics,
    /// For GitHub Actions: annotations, and the job's summary.
    Github,
}

/// One finding, with what stays the same of it while it lasts.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) print: [u8; 16],
    pub(crate) finding: Finding,
    /// Which of the report's acceptances it falls under.
    pub(crate) accepted: Option<usize>,
}

/// Where a report has its leave to accept a finding from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Baseline,
    Waiver,
}

impl By {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            By::Baseline => "baseline",
            By::Waiver => "waiver",
        }
    }
}

/// Somebody answers for something until a day.
#[derive(Debug, Clone)]
pub(crate) struct Acceptance {
    pub(crate) by: By,
    /// What it is about, in words.
    pub(crate) about: String,
    pub(crate) owner: String,
    pub(crate) approver: Option<String>,
    pub(crate) reason: String,
    pub(crate) ends_on: Date,
    /// That day is over.
    pub(crate) over: bool,
    /// How many findings it is about today.
    pub(crate) findings: usize,
}

/// One thing that is declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) id: String,
    /// What is looked at to judge it: itself, or what it is a part of.
    pub(crate) of: String,
    pub(crate) kind: &'static str,
}

/// What the comparison came to.
#[derive(Debug)]
pub(crate) struct Report {
    /// Who says what is declared.
    pub(crate) from: String,
    pub(crate) demo: bool,
    /// When it was made.
    pub(crate) at: Timestamp,
    pub(crate) found: Vec<Found>,
    pub(crate) objects: Vec<Object>,
    pub(crate) expected: usize,
    pub(crate) read: usize,
    /// How many of these were judged without a look at anything outside.
    pub(crate) offline: usize,
    pub(crate) failed: Vec<(String, Problem)>,
    /// The incarnation of each integration that was looked at; nothing where one could not be read.
    pub(crate) looked_at: BTreeMap<String, Option<String>>,
    /// What was looked at and judged, whatever it is.
    pub(crate) judged: BTreeSet<String>,
    /// What is declared and was not asked for.
    pub(crate) left_out: BTreeSet<String>,
    /// A part was asked for, so what is declared nowhere was not looked for.
    pub(crate) narrowed: bool,
    pub(crate) acceptances: Vec<Acceptance>,
    pub(crate) fail_on: Severity,
    pub(crate) allow_partial: bool,
    pub(crate) ignore_policy: bool,
    /// Whose exit codes.
    pub(crate) as_terraform: bool,
    /// The file of the repository that a finding is shown at.
    pub(crate) location: String,
}

/// Findings that share one cause: the same rule, facet and values on several objects.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The first of them.
    pub(crate) first: &'a Found,
    /// All of them, the first too.
    pub(crate) all: Vec<&'a Found>,
    /// What it means, with `ID` for the object's own.
    pub(crate) why: String,
}

impl Report {
    /// A report of nothing yet on what is declared.
    pub(crate) fn new(wishes: &Wishes, from: String, at: Timestamp) -> Report {
        Report {
            from,
            demo: false,
            at,
            found: Vec::new(),
            objects: objects(wishes),
            expected: wishes.count(),
            read: 0,
            offline: 0,
            failed: Vec::new(),
            looked_at: BTreeMap::new(),
            judged: BTreeSet::new(),
            left_out: BTreeSet::new(),
            narrowed: false,
            acceptances: Vec::new(),
            fail_on: Severity::Low,
            allow_partial: false,
            ignore_policy: false,
            as_terraform: false,
            location: "nhi.hcl".into(),
        }
    }

    /// Adds a finding.
    pub(crate) fn add(&mut self, print: [u8; 16], finding: Finding) {
        self.found.push(Found { print, finding, accepted: None });
    }

    /// Takes what a look at one declared thing came to.
    pub(crate) fn take(&mut self, id: &str, judged: Result<Judged, Problem>) {
        match judged {
            Ok(judged) => {
                self.read += 1;
                self.judged.insert(id.to_owned());
                let seen = judged.vendor_id.map(|vendor_id| (id.to_owned(), Some(vendor_id)));
                self.looked_at.extend(seen);
                for (print, finding) in judged.findings {
                    self.add(print, finding);
                }
                self.failed.extend(judged.gaps);
            }
            Err(problem) => {
                self.looked_at.insert(id.to_owned(), None);
                self.failed.push((id.to_owned(), problem));
            }
        }
    }

    pub(crate) fn sort(&mut self) {
        let key = |one: &Found| {
            let one = &one.finding;
            let (subject, facet) = (one.subject.clone(), one.facet.clone());
            (subject, facet, one.verdict, one.actual.clone(), one.expected.clone())
        };
        self.found.sort_by_cached_key(key);
        self.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    }

    /// Lets findings be that somebody answers for. What a baseline accepts, it accepts in this state
    /// only; a waiver whatever the values. Where the day is over the finding counts, and so does that.
    pub(crate) fn accept(&mut self, baseline: &[baseline::Entry], waivers: &[Waiver]) {
        let today = self.at.to_zoned_datetime(TimeZone::UTC).date();
        let first_waiver = baseline.len();
        let written = baseline.iter().map(|one| Acceptance {
            by: By::Baseline,
            about: format!("{} on {}, {}", one.rule, one.subject, one.facet),
            owner: one.owner.clone(),
            approver: None,
            reason: one.reason.clone(),
            ends_on: one.ends_on,
            over: one.ends_on < today,
            findings: 0,
        });
        let waived = waivers.iter().map(|one| Acceptance {
            by: By::Waiver,
            about: format!("{} on {}, {}", one.rule, one.object, one.facet),
            owner: one.owner.clone(),
            approver: Some(one.approver.clone()),
            reason: one.reason.clone(),
            ends_on: one.ends_on,
            over: one.ends_on < today,
            findings: 0,
        });
        let mut all: Vec<Acceptance> = written.chain(waived).collect();
        let mut over = Vec::new();
        for found in &mut self.found {
            if !waiver::can_be_waived(found.finding.rule) || found.accepted.is_some() {
                continue;
            }
            let state = waiver::state_of(&found.finding);
            let written = baseline.iter().enumerate();
            let written = written.filter(|(_, one)| one.print == found.print && one.state == state);
            let waived = waivers.iter().enumerate();
            let waived = waived.filter(|(_, one)| one.covers(&found.finding));
            let which: Vec<usize> =
                written.map(|(at, _)| at).chain(waived.map(|(at, _)| first_waiver + at)).collect();
            for at in &which {
                all[*at].findings += 1;
            }
            found.accepted = which.iter().copied().find(|at| !all[*at].over);
            if let (None, Some(at)) = (found.accepted, which.first()) {
                let one = &all[*at];
                let told = waiver::over(&found.finding, one.ends_on, &one.owner, &one.reason);
                over.push((told.fingerprint("", &hex(&found.print)), told));
            }
        }
        for (print, finding) in over {
            self.add(print, finding);
        }
        self.acceptances = all;
    }

    pub(crate) fn is_partial(&self) -> bool {
        !self.failed.is_empty() || self.read < self.expected
    }

    /// How much was read, in percent.
    pub(crate) fn percent(&self) -> usize {
        (self.read * 100).checked_div(self.expected).unwrap_or(100)
    }

    /// Whether this object was not looked at, or not wholly: then nothing that is not found of it is
    /// known not to be there.
    pub(crate) fn is_unread(&self, subject: &str) -> bool {
        let within = |whole: &str| {
            subject.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.left_out.iter().any(|one| within(one)) {
            return true;
        }
        if self.gap_around(subject).is_some() {
            return true;
        }
        match self.objects.iter().find(|one| one.id == subject || within(&one.of)) {
            Some(object) => !self.judged.contains(&object.of),
            // What nothing declares is found in custody and on platforms.
            None if ["ledger", "clock"].contains(&subject) => false,
            None if subject.starts_with("task/") => self.narrowed,
            None => {
                let wide = |gap: &str| ["custody", "platforms", "ledger", "plan"].contains(&gap);
                self.narrowed || self.failed.iter().any(|(gap, _)| wide(gap))
            }
        }
    }

    /// The gap that an object is within. What a connection could not list says nothing of what was looked
    /// at by itself.
    fn gap_around(&self, subject: &str) -> Option<&Problem> {
        let within = |whole: &str, one: &str| {
            one.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let declared =
            self.objects.iter().find(|one| one.id == subject || within(&one.of, subject));
        let judged = declared.is_some_and(|one| self.judged.contains(&one.of));
        let of_listing = |gap: &str, problem: &Problem| {
            judged && problem.code == "E-DRIFT-HALF" && !gap.contains('/')
        };
        let around =
            |(gap, problem): &&(String, Problem)| within(gap, subject) && !of_listing(gap, problem);
        self.failed.iter().find(around).map(|(_, problem)| problem)
    }

    /// What is not read of an object, in words.
    pub(crate) fn gap_of(&self, subject: &str) -> Option<String> {
        let within = |whole: &str| {
            subject.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.left_out.iter().any(|one| within(one)) {
            return Some("it was not asked for".into());
        }
        let words = self.gap_around(subject).map(one_line);
        words.or_else(|| self.is_unread(subject).then(|| "nobody looked at it to the end".into()))
    }

    /// What manages an object is lost, and waits for a person.
    fn is_locked_out(&self) -> bool {
        self.failed.iter().any(|(_, problem)| problem.code == "E-MANAGEMENT-LOST")
    }

    /// Every condition that holds, worst first.
    pub(crate) fn conditions(&self) -> Vec<Exit> {
        let has = |condition: Condition| {
            self.found.iter().any(|one| {
                one.accepted.is_none()
                    && one.finding.condition == condition
                    && one.finding.severity >= self.fail_on
            })
        };
        let nothing_read = self.read == self.offline && self.expected > self.offline;
        [
            (nothing_read, Exit::Failed),
            (has(Condition::Policy) && !self.ignore_policy, Exit::Policy),
            (has(Condition::Unfinished) || self.is_locked_out(), Exit::Unfinished),
            (has(Condition::Drift), Exit::Drift),
            (self.is_partial() && !self.allow_partial, Exit::Partial),
        ]
        .into_iter()
        .filter_map(|(holds, exit)| holds.then_some(exit))
        .collect()
    }

    pub(crate) fn exit(&self) -> Exit {
        let exit = self.conditions().into_iter().fold(Exit::Clean, Exit::worst);
        if self.as_terraform { exit.as_terraform() } else { exit }
    }

    /// Whether a finding has a part in the exit code.
    pub(crate) fn counts(&self, one: &Found) -> bool {
        one.accepted.is_none()
            && one.finding.condition > Condition::Note
            && one.finding.severity >= self.fail_on
            && !(self.ignore_policy && one.finding.condition == Condition::Policy)
    }

    /// Who answers for a finding.
    pub(crate) fn acceptance(&self, one: &Found) -> Option<&Acceptance> {
        self.acceptances.get(one.accepted?)
    }

    /// How many differences there are that nobody answers for, how many that somebody does, and how
    /// many are only noted.
    pub(crate) fn sums(&self) -> (usize, usize, usize) {
        let accepted = self.found.iter().filter(|one| one.accepted.is_some()).count();
        let open = self
            .found
            .iter()
            .filter(|one| one.accepted.is_none() && one.finding.condition > Condition::Note);
        let open = open.count();
        (open, accepted, self.found.len() - open - accepted)
    }

    /// The verdict of the whole, in words.
    pub(crate) fn verdict(&self, exit: Exit) -> String {
        let (open, ..) = self.sums();
        match exit {
            Exit::Clean => {
                let part = match self.is_partial() {
                    true => " in what was read; not everything was",
                    false => "",
                };
                match open {
                    0 => format!("In sync{part}"),
                    open => format!("{open} difference(s), none that counts here{part}"),
                }
            }
            Exit::Failed | Exit::Partial => "Not everything could be read".to_owned(),
            _ => format!("{open} difference(s)"),
        }
    }

    /// The sum of the report in a sentence, without its verdict.
    pub(crate) fn coverage(&self) -> String {
        let (_, accepted, noted) = self.sums();
        // What is listed and is no difference is in the sum too.
        let part = |count: usize, words: &str| match count {
            0 => String::new(),
            count => format!(", {count} {words}"),
        };
        format!(
            "{}{}: {} declared in {}, {} read ({} %), {} gap(s){}.",
            part(accepted, "accepted"),
            part(noted, "only noted"),
            self.expected,
            self.from,
            self.read,
            self.percent(),
            self.failed.len(),
            part(self.left_out.len(), "not asked for"),
        )
    }

    /// Every condition that holds, in words.
    pub(crate) fn holds(&self) -> String {
        let mut words: Vec<&str> = self.conditions().into_iter().map(Exit::word).collect();
        if words.is_empty() {
            words.push(Exit::Clean.word());
        }
        words.join(", ")
    }

    /// Findings that may share a cause together, in the order of the first of each.
    pub(crate) fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut places: BTreeMap<[u8; 16], usize> = BTreeMap::new();
        for found in &self.found {
            let why = why_of_any(&found.finding);
            match places.get(&cause(found)) {
                Some(at) => groups[*at].all.push(found),
                None => {
                    places.insert(cause(found), groups.len());
                    groups.push(Group { first: found, all: vec![found], why });
                }
            }
        }
        groups
    }
}

/// The integration, or whatever else, that an object is a part of.
fn whole(subject: &str) -> &str {
    let subject = subject.strip_suffix("/scope").unwrap_or(subject);
    subject.split_once("/credential/").map_or(subject, |(whole, _)| whole)
}

/// What a finding means, with `ID` where it names its own object or what that is a part of.
fn why_of_any(one: &Finding) -> String {
    one.why.replace(&one.subject, "ID").replace(whole(&one.subject), "ID")
}

/// What findings of one cause have in common.
pub(crate) fn cause(found: &Found) -> [u8; 16] {
    let one = &found.finding;
    let accepted = found.accepted.map(|at| at.to_string()).unwrap_or_default();
    let parts = [
        one.rule,
        &one.facet,
        one.verdict.as_str(),
        &one.expected,
        &one.actual,
        one.severity.as_str(),
        one.condition.as_str(),
        &why_of_any(one),
        &accepted,
    ];
    let mut out = [0u8; 16];
    out.copy_from_slice(&domain::realm::digest_of("nhi-cause/1", &parts)[..16]);
    out
}

/// A fingerprint as it is written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// What is declared, one by one.
fn objects(wishes: &Wishes) -> Vec<Object> {
    let mut all = Vec::new();
    let mut add = |id: String, of: &str, kind| all.push(Object { id, of: of.to_owned(), kind });
    for (of, wish) in &wishes.integrations {
        add(of.clone(), of, "integration");
        if wish.scopes.is_some() {
            add(format!("{of}/scope"), of, "scope");
        }
        for slot in &wish.slots {
            add(format!("{of}/credential/{}", slot.name), of, "credential");
        }
    }
    for id in wishes.owners.keys() {
        add(id.clone(), id, "owner");
    }
    for wish in &wishes.third_parties {
        add(wish.id.clone(), &wish.id, "third_party");
    }
    all.sort();
    all
}

/// What happened, in a line without color.
pub(crate) fn line(one: &Finding) -> String {
    let action = one.action.map(|action| format!(" ({action})")).unwrap_or_default();
    match one.verdict {
        Verdict::Unmanaged => format!("+ credential that nobody declared: {}", one.actual),
        Verdict::Added => format!("+ {}: {}{action}", one.facet, one.actual),
        Verdict::Removed => format!("- {}: {}{action}", one.facet, one.expected),
        Verdict::Missing if one.facet == "object" => "- it is not there any more".to_owned(),
        Verdict::Missing => format!("- {}: {} is not there any more", one.facet, one.expected),
        Verdict::Changed => format!("~ {}: {:?} -> {:?}", one.facet, one.expected, one.actual),
    }
}

/// Who answers for a finding, in a line.
pub(crate) fn accepted_words(one: &Acceptance) -> String {
    let approver = one.approver.as_ref().map(|who| format!(", {who} agreed"));
    format!(
        "accepted until {} by {}{} ({}): {}",
        one.ends_on,
        one.owner,
        approver.unwrap_or_default(),
        one.by.as_str(),
        one.reason
    )
}

/// A problem in one line.
pub(crate) fn one_line(problem: &Problem) -> String {
    problem.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text in which nothing moves a cursor, turns a direction or is no character: for forms that cannot
/// hold it.
pub(crate) fn spelled(text: &str) -> String {
    // Our own styles are none within it.
    let text = text.replace('\u{1b}', "\\u001b");
    crate::output::printable(&text).replace('\n', "\\n").replace('\t', " ")
}

/// The report in a form; `previous` is what a SARIF file carries forward.
pub(crate) fn render(report: &Report, form: Form, previous: Option<&sarif::Previous>) -> String {
    let exit = report.exit();
    let text = match form {
        Form::Text => text::whole(report, exit),
        Form::Json => json::render(report, exit).to_string(),
        Form::Markdown => markdown::render(report, exit),
        Form::Sarif => sarif::render(report, previous).to_string(),
        Form::Junit => junit::render(report),
        Form::Html => html::render(report, exit),
        Form::Openmetrics => openmetrics::render(report, exit),
        Form::Github => github::render(report, exit),
    };
    crate::output::printable(&text)
}
