//! The port: what every ledger can do.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    archive::{Archive, Compaction},
    chain::Hash,
    entry::{Entry, NewEntry},
    error::{Error, Result},
    export::Parts,
    inventory::{
        Credential, Integration, Inventory, Obligation, Observed, Origin, Person, Scan, Selection,
        Slot, Tenant,
    },
    lease::{Drawn, Fence, Leased},
    tree,
};

/// Whether an append waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The receipt comes when a power cut can no longer take the entry. Deeds.
    Durable,
    /// The receipt comes when a crash of the program can no longer take it. Findings, census.
    RideAlong,
}

/// What a deed that is about to be journalled does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It gives power. Nothing is begun that might not be journalled to its end.
    Begins,
    /// It takes power away or gives none, or finishes what was begun: a ledger in which somebody
    /// changed something, or a disk that is nearly full, must not lock that out.
    Ends,
}

/// What an append gives back, one per entry, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The entry's number; 0 if the ledger keeps nothing.
    pub seq: u64,
    /// The entry's hash.
    pub hash: Hash,
}

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The ledger's own id; empty if it keeps nothing or has not begun.
    pub ledger: String,
    /// The last entry's number; 0 if there is none.
    pub seq: u64,
    /// The last entry's hash; zero if there is none.
    pub hash: Hash,
}

/// A statement of size, head and tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many entries.
    pub size: u64,
    /// When it was made, in milliseconds UTC.
    pub at: i64,
    /// The root of the tree over the bodies (RFC 6962).
    pub root: Hash,
    /// The hash of the last entry.
    pub head: Hash,
}

/// Which subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// This id.
    Is(String),
    /// This id and what hangs below it (`<id>/…`): an integration with its scopes and slots.
    Under(String),
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only about these.
    pub subject: Option<Subject>,
    /// Only of these kinds; `rotation` also means `rotation.promoted`. Empty: all.
    pub kinds: Vec<String>,
    /// Only of this rotation.
    pub rotation: Option<String>,
    /// Only numbers above this.
    pub after: u64,
    /// Only numbers up to this.
    pub through: Option<u64>,
    /// Only at or after this moment, in milliseconds UTC.
    pub since: Option<i64>,
    /// Newest first.
    pub newest_first: bool,
    /// At most so many in a page; 0 means 1,000, which is also the most.
    pub limit: usize,
}

/// The most entries in one page.
pub const PAGE_MAX: usize = 1000;

impl Filter {
    /// All entries, oldest first.
    pub fn all() -> Self {
        Self::default()
    }

    /// All about one object and what hangs below it.
    pub fn under(subject: impl Into<String>) -> Self {
        Filter { subject: Some(Subject::Under(subject.into())), ..Self::default() }
    }

    /// All of one rotation.
    pub fn rotation(rotation: impl Into<String>) -> Self {
        Filter { rotation: Some(rotation.into()), ..Self::default() }
    }

    /// The page size that is meant.
    pub fn page(&self) -> usize {
        if self.limit == 0 { PAGE_MAX } else { self.limit.min(PAGE_MAX) }
    }

    /// The filter of the page after one that ended with this number.
    #[must_use]
    pub fn next(&self, last: u64) -> Self {
        if self.newest_first {
            Filter { through: Some(last.saturating_sub(1)), ..self.clone() }
        } else {
            Filter { after: last, ..self.clone() }
        }
    }

    /// Whether it takes this entry; paging apart.
    pub fn takes(&self, entry: &Entry) -> bool {
        entry.seq > self.after
            && self.through.is_none_or(|through| entry.seq <= through)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.rotation.as_ref().is_none_or(|id| entry.rotation.as_ref() == Some(id))
            && (self.kinds.is_empty()
                || self.kinds.iter().any(|kind| below(kind, &entry.kind, '.')))
            && match &self.subject {
                None => true,
                Some(Subject::Is(id)) => entry.subject == *id,
                Some(Subject::Under(id)) => below(id, &entry.subject, '/'),
            }
    }
}

fn below(parent: &str, text: &str, separator: char) -> bool {
    text.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Some entries, and how to get the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The entries, in the order that was asked for.
    pub entries: Vec<Entry>,
    /// The filter of the next page; `None` if this was the last.
    pub next: Option<Filter>,
}

/// Which numbers to verify; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// From here; 1 is the first.
    pub first: u64,
    /// Up to here; `None` is the head.
    pub last: Option<u64>,
}

impl Range {
    /// All entries.
    pub const ALL: Range = Range { first: 1, last: None };
}

/// An entry that does not agree with the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Its number.
    pub seq: u64,
    /// What is wrong.
    pub what: String,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// How many entries were read and hashed.
    pub entries: u64,
    /// The last of those that lie in files; 0 where none does.
    pub archived: u64,
    /// Numbers that a salvage could not save and said so, first and last of each run. They are
    /// missing and no surprise.
    pub lost: Vec<(u64, u64)>,
    /// The first that does not agree, if any.
    pub first_bad: Option<BadEntry>,
    /// The newest checkpoint that does agree and lies before the first bad entry.
    pub last_good_checkpoint: Option<Checkpoint>,
    /// What is wrong beside the chain: the file, documents, checkpoints. One sentence each. For the
    /// inventory's rows see [`Ledger::compare`].
    pub problems: Vec<String>,
    /// What to do, if anything is wrong.
    pub remedy: Option<String>,
}

impl Verification {
    /// Whether nothing at all is wrong.
    pub fn is_sound(&self) -> bool {
        self.first_bad.is_none() && self.problems.is_empty()
    }
}

/// What rebuilding the inventory did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many entries were folded.
    pub entries: u64,
    /// How many changes they held.
    pub changes: u64,
}

/// Memory: the journal that only grows and the inventory beside it.
///
/// # Guarantees
///
/// - The entries of one append get consecutive numbers and are kept all or none, with the changes
///   that they make to the inventory.
/// - A durable receipt means that neither a crash nor a power cut loses the entry.
/// - Writers in several processes extend one chain.
/// - Reading never creates anything; an absent ledger reads as an empty one.
#[async_trait]
pub trait Ledger: Send + Sync + fmt::Debug {
    /// Where it is, for messages.
    fn place(&self) -> String;

    /// Whether what is appended is kept at all.
    fn keeps(&self) -> bool {
        true
    }

    /// Makes sure that the next append can work: called before a deed touches anything.
    ///
    /// Gives what is wrong and does not stop this work, so that it can be told. If that is
    /// [`Error::Broken`], the first entry to append is [`NewEntry::broken`].
    ///
    /// # Errors
    ///
    /// What stops this work: read-only, full, broken, newer, ….
    async fn ready(&self, work: Work) -> Result<Option<Error>>;

    /// Adds entries.
    ///
    /// A chain whose end is not where its head says is extended by nothing but an append that
    /// begins with [`NewEntry::broken`], which opens a new segment behind the recorded head.
    ///
    /// What was begun [under a lease](NewEntry::under) that is lost since is refused: [`Error::Fenced`].
    ///
    /// # Errors
    ///
    /// Any; then none of the entries is kept.
    async fn append(&self, entries: Vec<NewEntry>, durability: Durability) -> Result<Vec<Receipt>>;

    /// Where the chain ends.
    async fn head(&self) -> Result<Head>;

    /// One page of entries.
    async fn entries(&self, filter: &Filter) -> Result<Page>;

    /// Checks hashes, order, columns and checkpoints of a range.
    ///
    /// # Errors
    ///
    /// Only if nothing could be read at all; damage is a finding, not an error.
    async fn verify(&self, range: Range) -> Result<Verification>;

    /// Makes a checkpoint of what there is, or returns the one that already says so.
    ///
    /// `at` is in milliseconds UTC. `None` if there is no entry.
    async fn checkpoint(&self, at: i64) -> Result<Option<Checkpoint>>;

    /// All checkpoints, oldest first.
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>>;

    /// Proves that entry `seq` is in the tree of the first `size` entries.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if there is no such entry or size.
    async fn prove(&self, seq: u64, size: u64) -> Result<Vec<Hash>> {
        let leaves: Vec<Hash> = all_entries(self, Filter { through: Some(size), ..Filter::all() })
            .await?
            .iter()
            .map(|entry| tree::leaf(&entry.body))
            .collect();
        let index = seq.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        refuse_archived(self, seq.min(size)).await?;
        if leaves.len() as u64 != size {
            return Err(Error::Usage(format!("there are fewer than {size} entries")));
        }
        index
            .and_then(|index| tree::prove_inclusion(&leaves, index))
            .ok_or_else(|| Error::Usage(format!("there is no entry {seq} among the first {size}")))
    }

    /// A document that is kept beside the entries, by the hash that stands for it in one of them.
    async fn document(&self, hash: &Hash) -> Result<Option<Value>>;

    /// Folds the entries and says where the inventory's rows differ: one sentence each, none if
    /// they are what they should be. [`Ledger::rebuild`] puts them right.
    ///
    /// # Errors
    ///
    /// Those of reading; [`Error::Broken`] if an entry cannot be read.
    async fn compare(&self) -> Result<Vec<String>> {
        compare(self).await
    }

    /// The tenants that connections were pinned to.
    async fn tenants(&self) -> Result<Vec<Tenant>>;

    /// Integrations, by id.
    async fn integrations(&self, selection: &Selection) -> Result<Vec<Integration>>;

    /// Slots, by integration and name.
    async fn slots(&self, selection: &Selection) -> Result<Vec<Slot>>;

    /// Credentials, by integration and vendor id.
    async fn credentials(&self, selection: &Selection) -> Result<Vec<Credential>>;

    /// Obligations that are open, by moment of the next try, then by id.
    async fn open_obligations(&self) -> Result<Vec<Obligation>>;

    /// The same, of one object.
    async fn obligations_of(&self, subject: &str) -> Result<Vec<Obligation>> {
        let mut open = self.open_obligations().await?;
        open.retain(|one| one.subject == subject);
        Ok(open)
    }

    /// Obligations of this deed, open or not, by id.
    async fn obligations_with(&self, deed: &str) -> Result<Vec<Obligation>>;

    /// Slots whose next rotation is due at or before `at` (milliseconds UTC), earliest first.
    async fn due(&self, at: i64) -> Result<Vec<Slot>>;

    /// Takes in what scans saw. Not journalled: it may be lost and seen again.
    async fn observe(&self, seen: Vec<Observed>) -> Result<()>;

    /// Notes how complete a scan was. Not journalled.
    async fn record_scan(&self, scan: Scan) -> Result<()>;

    /// The newest scan of each tenant and listing.
    async fn scans(&self) -> Result<Vec<Scan>>;

    /// Takes the lease of something for so long, or has it for so long again, unless somebody else has it
    /// now. Not journalled.
    ///
    /// Time is the store's: of one clock for all who share it. Whoever is known to have died has it no more.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    async fn lease(&self, subject: &str, holder: &str, time: Duration) -> Result<Leased>;

    /// Gives a lease back, if it is still that one.
    async fn release(&self, fence: &Fence) -> Result<()>;

    /// Takes so many requests at most of what a tenant may be asked in a second by all who share the ledger.
    /// Not journalled.
    async fn draw(&self, tenant: &str, most: u32, per_second: u32) -> Result<Drawn>;

    /// Leaves a tenant alone for so long, all who share the ledger.
    async fn freeze(&self, tenant: &str, time: Duration) -> Result<()>;

    /// Keeps a person's name and address beside their id.
    async fn put_person(&self, person: Person) -> Result<()>;

    /// A person by id.
    async fn person(&self, id: &str) -> Result<Option<Person>>;

    /// Erases a person's name and address; the id stays, and so does the chain. Journal the
    /// `person.erased` entry as well.
    async fn erase_person(&self, id: &str, at: i64) -> Result<()>;

    /// Folds all entries into the inventory anew. What was observed stays.
    async fn rebuild(&self) -> Result<Rebuilt>;

    /// All persons, by id; none where the store keeps none.
    async fn persons(&self) -> Result<Vec<Person>> {
        Ok(Vec::new())
    }

    /// Takes another ledger over whole, with its id, its numbers and its hashes, into one that has not
    /// begun yet; what is folded from entries is folded on the way.
    ///
    /// # Errors
    ///
    /// [`Error::NotEmpty`], or what is wrong with a part; then nothing of it is kept.
    async fn take_over(&self, _parts: Parts) -> Result<Head> {
        Err(Error::Usage(format!("{} takes no other ledger over", self.place())))
    }

    /// What was taken out of the entries, oldest first.
    async fn archives(&self) -> Result<Vec<Archive>> {
        Ok(Vec::new())
    }

    /// Takes entries out that lie in a file now, and appends what says so and what the rows owe to them.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] where the chain ends elsewhere by now. Then, and with any other, nothing is done.
    async fn compact(&self, _compaction: Compaction) -> Result<()> {
        Err(Error::Usage(format!("nothing is taken out of {}", self.place())))
    }

    /// What is to be said of how well it keeps what it is given, and stops nothing: a sentence each.
    async fn weaknesses(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Waits until all that was appended is kept, then lets go of the store.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// What says where an entry is that is asked for and was taken out.
///
/// # Errors
///
/// It lies in a file.
pub async fn refuse_archived<L: Ledger + ?Sized>(ledger: &L, seq: u64) -> Result<()> {
    let archives = ledger.archives().await?;
    let Some(last) = archives.last().map(|one| one.last) else { return Ok(()) };
    let place = archives.iter().find(|one| seq <= one.last).map_or("", |one| &*one.place);
    Err(Error::Usage(format!(
        "the entries up to {last} lie in files, and a proof needs all of them: entry {seq} is in {place:?}"
    )))
}

/// How many entries at the end of the chain are checked before a deed.
const END: u64 = 256;

/// What is wrong where the chain ends, if anything. The whole chain is [`Ledger::verify`]'s
/// business; nothing new is built on a damaged end.
///
/// # Errors
///
/// Those of reading.
pub async fn damaged_end<L: Ledger + ?Sized>(ledger: &L) -> Result<Option<Error>> {
    let head = ledger.head().await?.seq;
    let end = Range { first: head.saturating_sub(END - 1).max(1), last: None };
    let found = ledger.verify(end).await?;
    let place = ledger.place();
    Ok(match (found.first_bad, found.problems.into_iter().next()) {
        (Some(bad), _) => Some(Error::Broken { place, seq: bad.seq, what: bad.what }),
        (None, Some(what)) => Some(Error::Damaged { place, what }),
        (None, None) => None,
    })
}

/// How often rows are held against the entries while others append.
const COMPARED_MOST: usize = 8;

async fn compare<L: Ledger + ?Sized>(ledger: &L) -> Result<Vec<String>> {
    let mut folded = Inventory::default();
    let (mut seen, mut before) = (0, Vec::new());
    for _ in 0..COMPARED_MOST {
        seen = fold_on(ledger, &mut folded, seen).await?;
        let differences = differences(ledger, &folded).await?;
        // Rows are read behind the entries: whoever appends meanwhile makes them differ.
        if differences.is_empty() || ledger.head().await?.seq <= seen {
            return Ok(differences);
        }
        before = differences;
    }
    // What others change all the time is never caught still: what differed each time is told.
    let last = differences(ledger, &folded).await?;
    before.retain(|one| last.contains(one));
    Ok(before)
}

/// Folds what was appended behind this number: the last that there is.
async fn fold_on<L: Ledger + ?Sized>(
    ledger: &L,
    folded: &mut Inventory,
    mut seen: u64,
) -> Result<u64> {
    let mut next = Some(Filter { after: seen, ..Filter::all() });
    while let Some(filter) = next {
        let page = ledger.entries(&filter).await?;
        seen = page.entries.last().map_or(seen, |entry| entry.seq);
        for change in page.entries.iter().flat_map(|entry| &entry.changes) {
            let mut documents = HashMap::new();
            for hash in change.names() {
                if let Some(document) = ledger.document(&hash).await? {
                    documents.insert(hash, document);
                }
            }
            let mut change = change.clone();
            change.restore(|hash| documents.get(hash).cloned());
            // A row cannot hold what is lost: either it is told so, or the row says more than this.
            if change.names().is_empty() {
                folded.apply(change);
            }
        }
        next = page.next;
    }
    Ok(seen)
}

async fn differences<L: Ledger + ?Sized>(ledger: &L, folded: &Inventory) -> Result<Vec<String>> {
    let all = Selection::all();
    let mut differences = Vec::new();
    // A row that only a scan made is in no entry, and rightly so.
    let by_scan = |row: &Integration| {
        row.declared.is_none() && row.applied.is_none() && row.origin == Origin::Discovered
    };
    let rows = ledger.integrations(&all).await?;
    differ(
        &mut differences,
        "integration",
        rows.iter().filter(|row| folded.integrations.contains_key(&row.id) || !by_scan(row)).map(
            |row| {
                // A scan may know the tenant better than an entry that names none.
                let known = folded.integrations.get(&row.id).map(|row| row.tenant.clone());
                let tenant = known.filter(|known| known.is_empty()).unwrap_or(row.tenant.clone());
                (row.id.clone(), Integration { tenant, ..row.projected() })
            },
        ),
        folded.integrations.clone().into_iter(),
    );
    differ(
        &mut differences,
        "slot",
        ledger.slots(&all).await?.into_iter().map(|row| (named(&row.integration, &row.name), row)),
        folded.slots.values().map(|row| (named(&row.integration, &row.name), row.clone())),
    );
    let known = |row: &Credential| {
        row.last_seen_at.is_none()
            || folded.credentials.contains_key(&(row.integration.clone(), row.vendor_id.clone()))
    };
    let keys = ledger.credentials(&all).await?;
    differ(
        &mut differences,
        "credential",
        keys.iter()
            .filter(|row| known(row))
            .map(|row| (named(&row.integration, &row.vendor_id), row.projected())),
        folded
            .credentials
            .values()
            .map(|row| (named(&row.integration, &row.vendor_id), row.projected())),
    );
    differ(
        &mut differences,
        "obligation",
        ledger.open_obligations().await?.into_iter().map(|row| (row.id.clone(), row)),
        folded
            .obligations
            .iter()
            .filter(|(_, row)| row.state == "open")
            .map(|(id, row)| (id.clone(), row.clone())),
    );
    differ(
        &mut differences,
        "tenant",
        ledger.tenants().await?.into_iter().map(|row| (row.key.clone(), row)),
        folded.tenants.clone().into_iter(),
    );
    Ok(differences)
}

fn named(integration: &str, name: &str) -> String {
    format!("{name} of {integration}")
}

/// Says which rows of one kind differ from what folding gives.
fn differ<T: PartialEq>(
    differences: &mut Vec<String>,
    noun: &str,
    rows: impl Iterator<Item = (String, T)>,
    folded: impl Iterator<Item = (String, T)>,
) {
    let mut folded: BTreeMap<String, T> = folded.collect();
    for (name, row) in rows {
        match folded.remove(&name) {
            Some(expected) if expected == row => (),
            Some(_) => {
                differences.push(format!("the row of {noun} {name} is not what the entries say"));
            }
            None => differences.push(format!("the row of {noun} {name} comes from no entry")),
        }
    }
    let missing = folded.into_keys();
    differences.extend(missing.map(|name| format!("the row of {noun} {name} is missing")));
}

/// Collects all pages. For stories and tests; a long journal is better walked page by page.
///
/// # Errors
///
/// Those of [`Ledger::entries`].
pub async fn all_entries<L: Ledger + ?Sized>(ledger: &L, filter: Filter) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut next = Some(filter);
    while let Some(filter) = next {
        let page = ledger.entries(&filter).await?;
        entries.extend(page.entries);
        next = page.next;
    }
    Ok(entries)
}
