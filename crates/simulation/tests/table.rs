//! The generated table: way × deed × step × how it ends × ledger × runs. After the one bad call whoever
//! comes next brings the slot to its goal, and no promise is broken on the way. `NHI_TEST_DEED` names the deeds
//! of it by how they begin.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Instant,
};

use simulation::{
    ports::Call,
    story::{Books, Does, Filled, Row, Second, Teller, WAYS, ends},
};

/// More calls that change something than a deed has.
const MOST: usize = 200;

/// Every row of a way. Without `NHI_TEST_WIDE` only the deed that has every step is done with every ledger
/// and every second run; two others with one ledger for each second run, and the rest not at all.
fn rows(way: &'static str) -> Vec<Row> {
    let wide = std::env::var_os("NHI_TEST_WIDE").is_some();
    let chosen = std::env::var("NHI_TEST_DEED").unwrap_or_default();
    let is_chosen = |does: &Does| format!("{does:?}").starts_with(&chosen);
    let mut rows = Vec::new();
    for does in Does::ALL.into_iter().filter(is_chosen) {
        for books in Books::ALL {
            for second in Second::ALL {
                let row = Row { way, does, books, second };
                let every_step = matches!(does, Does::AtOnce);
                let differs = match second {
                    Second::Nobody => books == Books::Lost,
                    Second::Joins => books == Books::Own,
                    Second::TakesOver => books == Books::None,
                };
                // What is short, in the worst of books; all of it with others in the wide table.
                let usual = match does {
                    Does::Rotate | Does::Retire | Does::Revoke => differs,
                    _ => second == Second::Nobody && books == Books::Lost,
                };
                if row.is_one() && (wide || every_step || usual) {
                    rows.push(row);
                }
            }
        }
    }
    rows
}

/// Cells that were filled, by what is done and with how many runs; and the calls that were met.
#[derive(Default)]
struct Cells {
    by: BTreeMap<(Does, Books, Second), u64>,
    calls: BTreeMap<Does, BTreeSet<Call>>,
}

/// Every cell of one row, and the calls that it has.
fn fill(teller: &mut Teller, row: &Row, cells: &mut Cells) {
    let filled = cells.by.entry((row.does, row.books, row.second)).or_default();
    for nth in 0..MOST {
        let mut met = None;
        for end in 0.. {
            match teller.row(row, nth, end) {
                Ok(Filled::Yes(call)) => {
                    *filled += 1;
                    met = Some(call);
                    if end + 1 == ends(call.what).len() {
                        break;
                    }
                }
                Ok(Filled::Never(call)) => {
                    met = Some(call);
                    break;
                }
                Ok(Filled::No) => break,
                Err(broken) => panic!("call {nth}, end {end}: {broken}"),
            }
        }
        match met {
            Some(call) => drop(cells.calls.entry(row.does).or_default().insert(call)),
            None => return,
        }
    }
    panic!("{row:?}: more than {MOST} calls")
}

/// What every deed of a kind writes, whatever the way.
fn steps(does: Does) -> &'static [(&'static str, &'static str)] {
    match does {
        Does::AtOnce | Does::NoneKept => &[
            ("journal", ""),
            ("write claim", "stored"),
            ("issue", ""),
            ("sign in", ""),
            ("write sink", ""),
            ("write claim", "free"),
        ],
        Does::Rotate | Does::Finish | Does::Drill => {
            &[("issue", ""), ("write sink", ""), ("write claim", "stored")]
        }
        Does::Decommission => &[("modify", ""), ("write claim", "retiring"), ("end", "")],
        Does::Retire | Does::EndCut | Does::Meet => {
            &[("write claim", "retiring"), ("write claim", "proving"), ("write claim", "free")]
        }
        Does::Revoke => &[("write claim", "retiring"), ("write sink", ""), ("end", "")],
        Does::Cut => &[("write claim", "cutting"), ("disable", ""), ("write claim", "parked")],
        Does::Reenable => &[("write claim", "enabling"), ("enable", ""), ("write claim", "parked")],
    }
}

#[test]
fn whichever_call_of_a_deed_ends_badly_the_next_run_puts_it_right() {
    let begun = Instant::now();
    let ways: Vec<_> = WAYS
        .into_iter()
        .map(|way| {
            thread::spawn(move || {
                let (mut teller, mut cells) = (Teller::new(), Cells::default());
                for row in rows(way) {
                    fill(&mut teller, &row, &mut cells);
                }
                for does in Does::ALL.into_iter().filter(|does| does.suits(way)) {
                    // What becomes an earlier one is told of, and a word that lets one work
                    // again takes that back.
                    let tells =
                        matches!(does, Does::Rotate | Does::Reenable) && does.tells_of_an_end(way);
                    let more = [("set_expiry", "")];
                    let more = more.iter().filter(|_| tells);
                    for (what, phase) in steps(does).iter().chain(more) {
                        let step = Call { what, phase };
                        let Some(calls) = cells.calls.get(&does) else { continue };
                        assert!(
                            calls.contains(&step),
                            "{way} {does:?}: no {what} {phase}: {calls:?}"
                        );
                    }
                }
                (way, cells)
            })
        })
        .collect();
    let mut all = Cells::default();
    for way in ways {
        let (way, cells) = way.join().expect("no promise is broken");
        let calls: BTreeSet<Call> = cells.calls.values().flatten().copied().collect();
        let cases: u64 = cells.by.values().sum();
        println!("{way}: {cases} cases, {} kinds of calls", calls.len());
        for (key, cases) in cells.by {
            *all.by.entry(key).or_default() += cases;
        }
    }
    for does in Does::ALL {
        let of = |part: &dyn Fn(&(Does, Books, Second)) -> bool| -> u64 {
            all.by
                .iter()
                .filter(|(key, _)| key.0 == does && part(key))
                .map(|(_, cases)| cases)
                .sum()
        };
        let books = Books::ALL.map(|books| format!("{books:?} {}", of(&|key| key.1 == books)));
        let second = Second::ALL.map(|one| format!("{one:?} {}", of(&|key| key.2 == one)));
        println!("{does:?}: ledger {}; second run {}", books.join(", "), second.join(", "));
    }
    let cases: u64 = all.by.values().sum();
    println!("{cases} cases in {:?}", begun.elapsed());
    let few = std::env::var_os("NHI_TEST_DEED").is_some();
    assert!(few || cases >= 3_000, "only {cases} cases");
}
