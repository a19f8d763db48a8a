//! Worlds with one credential that rotates on a real platform, every request of which passes a proxy; and
//! what is known there by the vendor's own tools: curl, AWS's client for Python, and psql.

use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use acceptance_tests::{
    Core, Ran, Result, World, curl,
    line::{self, Break, Fault, Line},
    servers::{JupyterHub, Moto, OpenBao, PostgreSql},
    world::{aws_hcl, nhi_hcl},
};
use connector::fault_proxy::{Effect, FaultProxy, Hold};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{BASE, aws, holds, jupyterhub, postgresql, walk::Start};

/// As many seconds as the claim of a run that died holds, where only time fences it, and some more.
pub(crate) const PATIENCE: u64 = 17;

/// Where proxies run.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads for proxies"));

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request of a rotation: what it says, and which of those that say the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) says: String,
    nth: usize,
}

impl Point {
    /// Whether it is said on a line to a database.
    pub(crate) fn is_said(&self) -> bool {
        self.says.starts_with("db ")
    }

    /// Whether it may change something, where that can come late: what goes over HTTP.
    pub(crate) fn comes_late(&self) -> bool {
        ["POST", "PUT", "PATCH", "DELETE"].iter().any(|one| self.says.contains(&format!(" {one} ")))
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.says, self.nth)
    }
}

/// Where a request is when its sender dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// On its way to the server, which never hears of it.
    Before,
    /// On its way to the server, which hears of it when the next run has come to its end.
    Late,
    /// Done, with the answer on its way back.
    After,
}

/// What is held until its sender is dead, at whichever proxy it comes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    http: Hold,
    line: line::Held,
}

impl Stop {
    pub(crate) fn is_reached(&self) -> bool {
        self.http.is_reached() || self.line.reached(Duration::ZERO)
    }

    pub(crate) fn release(&self) {
        self.http.release();
        self.line.release();
    }
}

/// What passes all proxies of a place, in one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row(Arc<Mutex<Passed>>);

#[derive(Debug, Default)]
struct Passed {
    seen: Vec<Point>,
    wanted: Option<(Point, At, Stop)>,
    disturbs: Option<(Point, Fault)>,
}

impl Row {
    /// Begins anew, and holds one, where one is wanted.
    pub(crate) fn begin(&self, wanted: Option<(&Point, At)>) -> Stop {
        let stop = Stop::default();
        let wanted = wanted.map(|(point, at)| (point.clone(), at, stop.clone()));
        *locked(&self.0) = Passed { seen: Vec::new(), wanted, disturbs: None };
        stop
    }

    /// Begins anew, and lets something happen to one that is said on a line.
    pub(crate) fn disturb(&self, point: &Point, fault: &Fault) {
        let disturbs = Some((point.clone(), fault.clone()));
        *locked(&self.0) = Passed { disturbs, ..Passed::default() };
    }

    /// Whether what was to be disturbed has come.
    pub(crate) fn was_disturbed(&self) -> bool {
        locked(&self.0).disturbs.is_none()
    }

    pub(crate) fn seen(&self) -> Vec<Point> {
        locked(&self.0).seen.clone()
    }

    /// Counts a request.
    fn count(&self, says: String) -> Point {
        let mut passed = locked(&self.0);
        let nth = passed.seen.iter().filter(|one| one.says == says).count() + 1;
        let point = Point { says, nth };
        passed.seen.push(point.clone());
        point
    }

    /// Where a request is held if it is the one that is wanted.
    fn pass(&self, point: Point) -> Option<(At, Stop)> {
        let mut passed = locked(&self.0);
        let (_, at, stop) = passed.wanted.take_if(|(wanted, ..)| *wanted == point)?;
        Some((at, stop))
    }

    /// A proxy before an HTTP server, and its address.
    pub(crate) fn http(&self, name: &'static str, server: &str) -> Result<FaultProxy> {
        let proxy =
            RUNTIME.block_on(FaultProxy::start(server)).map_err(|error| error.to_string())?;
        let row = self.clone();
        proxy.watch(move |method, path| {
            let (at, stop) = row.pass(row.count(format!("{name} {method} {}", plain(path))))?;
            Some(match at {
                At::Before => Effect::LoseHeldRequest(stop.http),
                At::Late => Effect::HoldRequest(stop.http),
                At::After => Effect::HoldAnswer(stop.http),
            })
        });
        Ok(proxy)
    }

    /// A line to a server that speaks PostgreSQL's protocol.
    fn line(&self, name: &'static str, port: u16) -> Result<Line> {
        let (line, row) = (Line::to(port)?, self.clone());
        line.watch(move |bytes| {
            let point = row.count(format!("{name} {}", spoken(bytes)?));
            let disturbs = locked(&row.0).disturbs.take_if(|(wanted, _)| *wanted == point);
            if let Some((_, fault)) = disturbs {
                return Some(fault);
            }
            let (at, stop) = row.pass(point)?;
            // A session ends with its client, and with it what it has not said.
            let at = if at == At::After { Break::After } else { Break::Before };
            Some(Fault::Break(at, stop.line))
        });
        Ok(line)
    }
}

/// A path without what is another one each time.
fn plain(path: &str) -> String {
    let path = path.split("&").next().unwrap_or(path);
    let varies = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        word != "v1" && digits > 0 && (digits + 1 >= word.len() || word.len() > 20)
    };
    let plain = |word: &str| if varies(word) { "*".to_owned() } else { word.to_owned() };
    let parts = path.split('/').map(|part| match part.split_once('=') {
        Some((name, value)) => format!("{name}={}", plain(value)),
        None => plain(part),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// What a client of PostgreSQL says, where it waits for an answer: the begin of the statement.
fn spoken(bytes: &[u8]) -> Option<String> {
    let words = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    };
    match bytes {
        [] | [b'X', ..] => None,
        [0, ..] => Some("begins".to_owned()),
        [b'p', ..] => Some("signs in".to_owned()),
        [b'P', rest @ ..] => {
            let mut parts = rest.get(4..)?.split(|byte| *byte == 0);
            parts.next()?;
            Some(words(parts.next()?))
        }
        [b'Q', rest @ ..] => Some(words(rest.get(4..)?.split(|byte| *byte == 0).next()?)),
        [other, ..] => Some(format!("says {}", char::from(*other))),
    }
}

/// A world with one credential that rotates, and what is known there by other hands than ours.
pub(crate) trait Place {
    /// Where it is.
    fn site(&self) -> &Site;

    fn world(&self) -> &World {
        &self.site().world
    }

    /// What its proxies see.
    fn row(&self) -> &Row {
        &self.site().row
    }

    /// Those before servers that speak HTTP.
    fn proxies(&self) -> &[FaultProxy] {
        &self.site().proxies
    }

    /// The credential.
    fn slot(&self) -> &'static str;

    /// Where its consumers read.
    fn path(&self) -> &'static str;

    /// Whether what consumers read works at every moment.
    fn overlaps(&self) -> bool {
        true
    }

    /// Whether who has this document is let in.
    fn lets_in(&self, document: &Value) -> Result<bool>;

    /// All that the platform lists.
    fn listed(&self) -> Result<Vec<String>>;

    /// What the platform calls the one that is in a document.
    fn id_of(&self, document: &Value) -> Result<String>;

    /// What a person does where a killed run left what no other run can put right, once that was told; false
    /// where there is no such thing.
    fn mend(&self) -> Result<bool> {
        Ok(false)
    }

    /// Secrets besides those that custody knows.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// What consumers read.
    fn delivered(&self) -> Result<Value> {
        let path = format!("/v1/secret/data/{}", self.path());
        Ok(bao_as_root(&self.world().bao, "GET", &path, None)?["data"]["data"].clone())
    }

    /// What is in the claim of its slot besides the claim.
    fn pending(&self) -> Result<Vec<String>> {
        let bao = &self.world().bao;
        let mut pending = Vec::new();
        for path in bao.documents()?.iter().filter(|path| path.starts_with("nhi/")) {
            let document = bao_as_root(bao, "GET", &format!("/v1/secret/data/{path}"), None)?;
            let text = document["data"]["data"]["pending"].as_str().unwrap_or_default().to_owned();
            pending.extend((!text.is_empty()).then_some(path.clone()));
        }
        Ok(pending)
    }
}

/// What OpenBao answers the holder of its root token, asked by curl.
pub(crate) fn bao_as_root(
    bao: &OpenBao,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let header = ("X-Vault-Token", bao.token.as_str());
    let answer = curl::ask(bao.port, method, path, header, body)?;
    match answer.status {
        200..300 => Ok(answer.json),
        status => Err(format!("{method} {path}: {status}")),
    }
}

/// Whether OpenBao lets in who has this document, by curl.
pub(crate) fn lets_in(bao: &OpenBao, document: &Value) -> Result<bool> {
    let body = json!({ "role_id": document["role_id"], "secret_id": document["secret_id"] });
    let login = "/v1/auth/approle/login";
    let answer = curl::ask(bao.port, "POST", login, ("X-Vault-Token", ""), Some(&body))?;
    if answer.status == 200 {
        let token = text(&answer.json["auth"], "client_token");
        let header = ("X-Vault-Token", token.as_str());
        curl::ask(bao.port, "POST", "/v1/auth/token/revoke-self", header, None)?;
    }
    Ok(answer.status == 200)
}

/// What OpenBao lists of a role, by curl.
pub(crate) fn listed(bao: &OpenBao, role: &str) -> Result<Vec<String>> {
    let path = format!("/v1/auth/approle/role/{role}/secret-id?list=true");
    let keys = bao_as_root(bao, "GET", &path, None)?["data"]["keys"].clone();
    let keys = keys.as_array().cloned().unwrap_or_default();
    Ok(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

pub(crate) fn text(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap_or_default().to_owned()
}

/// The generation that a document says it is of.
pub(crate) fn generation(document: &Value) -> Result<u64> {
    let says: Value = serde_json::from_str(&text(document, "_nhi")).unwrap_or_default();
    says["gen"].as_u64().ok_or_else(|| "a document names no generation".to_owned())
}

fn names(document: &Value) -> Vec<&String> {
    document.as_object().into_iter().flatten().map(|(name, _)| name).collect()
}

/// A new world with this in it. One core is enough: no rotation here asks it.
pub(crate) fn world(main: &str) -> Result<World> {
    // With what ends at once, all of a rotation is one run.
    let at_once = ["24h", "4s"].iter().fold(main.to_owned(), |main, overlap| {
        main.replace(&format!("overlap = \"{overlap}\""), "overlap = \"0\"")
            .replace(&format!("overlap   = \"{overlap}\""), "overlap   = \"0\"")
    });
    holds(at_once != main, "there was an overlap, or none", main)?;
    World::new(Core::find(None)?, &at_once)
}

/// A world, and what stands between its programs and its servers.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) row: Row,
    pub(crate) proxies: Vec<FaultProxy>,
}

/// OpenBao is platform and custody in one.
pub(crate) struct Bao(Site);

impl Bao {
    pub(crate) fn start() -> Result<Box<dyn Place>> {
        let (world, row) = (world(BASE)?, Row::default());
        let proxy = row.http("bao", &world.bao.address())?;
        world.write("nhi.hcl", &nhi_hcl(proxy.address()))?;
        Ok(Box::new(Bao(Site { world, row, proxies: vec![proxy] })))
    }
}

const ROLE: &str = "/v1/auth/approle/role/invoice-sync";

impl Place for Bao {
    fn site(&self) -> &Site {
        &self.0
    }

    fn slot(&self) -> &'static str {
        "bao/openbao_approle/invoice-sync/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/invoice-sync"
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        lets_in(&self.world().bao, document)
    }

    fn listed(&self) -> Result<Vec<String>> {
        listed(&self.world().bao, "invoice-sync")
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        let body = json!({ "secret_id": document["secret_id"] });
        let path = format!("{ROLE}/secret-id/lookup");
        let about = bao_as_root(&self.world().bao, "POST", &path, Some(&body))?;
        Ok(text(&about["data"], "secret_id_accessor"))
    }
}

/// An AWS account.
pub(crate) struct Account {
    site: Site,
    moto: Moto,
}

impl Account {
    pub(crate) fn start() -> Result<Box<dyn Place>> {
        Ok(Box::new(Account::open()?))
    }

    pub(crate) fn open() -> Result<Account> {
        let (moto, row) = (Moto::start()?, Row::default());
        let world = world(aws::MAIN)?
            .with("AWS_ACCESS_KEY_ID", &moto.id)
            .with("AWS_SECRET_ACCESS_KEY", &moto.secret);
        let (iam, bao) =
            (row.http("aws", &moto.address())?, row.http("bao", &world.bao.address())?);
        world.write("nhi.hcl", &aws_hcl(aws::HCL, iam.address(), bao.address()))?;
        Ok(Account { site: Site { world, row, proxies: vec![iam, bao] }, moto })
    }

    /// Ends one of the user's keys, as the administrator.
    pub(crate) fn end_by_hand(&self, id: &str) -> Result<()> {
        let key = json!({ "UserName": "invoice-sync", "AccessKeyId": id });
        self.moto.iam("delete_access_key", key).map(drop)
    }
}

impl Place for Account {
    fn site(&self) -> &Site {
        &self.site
    }

    fn slot(&self) -> &'static str {
        "aws/aws_iam_user/invoice-sync/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/invoice-sync"
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        let key = (&*self.id_of(document)?, &*text(document, "AWS_SECRET_ACCESS_KEY"));
        Ok(self.moto.ask_as(key, "sts", "get_caller_identity", json!({}))?.is_ok())
    }

    fn listed(&self) -> Result<Vec<String>> {
        let user = json!({ "UserName": "invoice-sync" });
        let keys = self.moto.iam("list_access_keys", user)?["AccessKeyMetadata"].clone();
        let keys = keys.as_array().cloned().unwrap_or_default();
        Ok(keys.iter().map(|key| text(key, "AccessKeyId")).collect())
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        Ok(text(document, "AWS_ACCESS_KEY_ID"))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.moto.secret.clone()]
    }
}

/// A JupyterHub.
pub(crate) struct School {
    site: Site,
    hub: JupyterHub,
}

impl School {
    pub(crate) fn start() -> Result<Box<dyn Place>> {
        let (hub, row) = (JupyterHub::start()?, Row::default());
        let world = world(&jupyterhub::whole())?.with("HUB_TOKEN", &hub.token);
        let (to_hub, bao) =
            (row.http("hub", &hub.address())?, row.http("bao", &world.bao.address())?);
        world.write("nhi.hcl", &jupyterhub::hcl(to_hub.address(), bao.address()))?;
        Ok(Box::new(School { site: Site { world, row, proxies: vec![to_hub, bao] }, hub }))
    }
}

impl Place for School {
    fn site(&self) -> &Site {
        &self.site
    }

    fn slot(&self) -> &'static str {
        "hub/jupyterhub_user/grade-sync/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/grade-sync"
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        Ok(self.hub.whose(&text(document, "token"))?.is_some())
    }

    fn listed(&self) -> Result<Vec<String>> {
        Ok(self.hub.tokens("grade-sync")?.into_iter().map(|(id, _)| id).collect())
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        let whose = self.hub.whose(&text(document, "token"))?.unwrap_or_default();
        Ok(text(&whose, "token_id"))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.hub.token.clone()]
    }
}

/// A cluster, with a role that has one password at a time, or two that sign in for it by turns.
pub(crate) struct Shop {
    site: Site,
    db: PostgreSql,
    by_turns: bool,
}

impl Shop {
    pub(crate) fn start(by_turns: bool) -> Result<Box<dyn Place>> {
        let (db, row) = (PostgreSql::start()?, Row::default());
        db.by_hand("create database shop")?;
        db.by_hand_in("shop", postgresql::THINGS)?;
        let world = match by_turns {
            true => world(postgresql::BY_TURNS)?,
            false => World::new(Core::find(None)?, postgresql::MAIN)?,
        };
        let world = world.with("NHI_PGPASSWORD", &db.password);
        let (line, bao) = (row.line("db", db.port)?, row.http("bao", &world.bao.address())?);
        let there = format!("127.0.0.1:{}", line.port);
        let hcl = postgresql::HCL.replace("127.0.0.1:5432", &there);
        world.write("nhi.hcl", &hcl.replace("http://127.0.0.1:8200", bao.address()))?;
        Ok(Box::new(Shop { site: Site { world, row, proxies: vec![bao] }, db, by_turns }))
    }
}

impl Place for Shop {
    fn site(&self) -> &Site {
        &self.site
    }

    fn slot(&self) -> &'static str {
        "db/postgresql_role/invoice-export/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/invoice-export"
    }

    fn overlaps(&self) -> bool {
        self.by_turns
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        self.db.lets_in(&self.id_of(document)?, &text(document, "password"))
    }

    fn listed(&self) -> Result<Vec<String>> {
        let can = "rolcanlogin and rolpassword is not null and oid > 16383";
        self.db.by_hand(&format!("select rolname from pg_authid where {can} order by 1"))
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        Ok(match self.by_turns {
            true => text(document, "user"),
            false => "invoice-export".to_owned(),
        })
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.db.password.clone()]
    }
}

/// By the account of the vendor's own tools: what consumers read works and is one generation further,
/// what they read before is refused, and nothing else is there; and nothing is left to do.
pub(crate) fn is_at_rest(place: &dyn Place, before: &Value) -> Result<()> {
    let (world, document) = (place.world(), place.delivered()?);
    let (was, is) = (generation(before)?, generation(&document)?);
    holds(is == was + 1, "one generation further", &format!("{was} -> {is}"))?;
    holds(names(&document) == names(before), "in the same form", "")?;
    holds(!place.lets_in(before)?, "the old one is refused", "")?;
    holds(place.lets_in(&document)?, "what consumers read works", "")?;
    let (listed, one) = (place.listed()?, place.id_of(&document)?);
    holds(listed == [one.as_str()], "and is all that there is", &format!("{listed:?}, not {one}"))?;
    let said = world.nhi(&["recover"])?.expect(0)?;
    holds(said.contains("Nothing is open"), "nothing is open", &said)?;
    let pending = place.pending()?;
    holds(pending.is_empty(), "no secret is left in custody", &format!("{pending:?}"))?;
    world.nhi(&["drift"])?.expect(0).map(drop)
}

/// What there is after a kill is put right by the next runs, whether somebody says that the dead one is
/// dead or not.
pub(crate) fn runs_again(place: &dyn Place, before: &Value, told: bool) -> Result<()> {
    let (world, slot) = (place.world(), place.slot());
    let was = generation(before)?;
    let further = || Ok::<_, String>(generation(&place.delivered()?)? > was);
    let open = || Ok::<_, String>(!world.nhi(&["recover"])?.said.contains("Nothing is open"));
    if told && open()? {
        world.nhi(&["recover", slot, "--take", "--yes"])?.expect(0)?;
    }
    // What was never begun is asked for once more; what is open is the one that was asked for.
    if !further()? {
        world.nhi(&["rotate", slot, "--yes"])?.expect(0)?;
    } else if open()? {
        // Another rotation would be one more.
        let busy = |ran: &Ran| ran.code != 0 && ran.said.contains("(E-BUSY)");
        let mut ran = world.nhi(&["recover", slot, "--yes"])?;
        for _ in 0..PATIENCE {
            if !busy(&ran) {
                break;
            }
            thread::sleep(Duration::from_secs(1));
            ran = world.nhi(&["recover", slot, "--yes"])?;
        }
        ran.expect(0)?;
    }
    // Whoever dies in between has begun to keep the earlier one: its end is the next apply's, or of the
    // one after where the first has to write down what was done.
    for _ in 0..2 {
        if place.listed()?.len() > 1 {
            let mut ran = world.nhi(&["drift"])?;
            // What plans read of a claim may be a step behind it, until that is old.
            if ran.said.contains("is at work on it") {
                thread::sleep(Duration::from_secs(PATIENCE));
                ran = world.nhi(&["drift"])?;
            }
            let said = ran.expect(5)?;
            let ends = said.contains("overlap is over is not ended; apply");
            holds(ends || said.contains("finishes what was begun"), "told", &said)?;
            world.apply()?;
        }
    }
    Ok(())
}

/// A new world with everything in it.
pub(crate) fn begun(start: &Start<'_>) -> Result<Box<dyn Place>> {
    let place = start()?;
    place.world().apply()?;
    Ok(place)
}
