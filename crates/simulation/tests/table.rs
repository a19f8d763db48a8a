//! The generated table: way × step × how it ends × ledger × runs. After the one bad call whoever
//! comes next brings the slot to its goal, and no promise is broken on the way.

use std::{collections::BTreeSet, thread, time::Instant};

use simulation::{
    ports::Call,
    story::{Books, Row, Teller, WAYS, ends},
};

/// More calls that change something than a deed has.
const MOST: usize = 200;

/// Seconds: what two runs make of a ledger of their own, or of one that is lost, is one run's. With
/// `NHI_TEST_WIDE` these too, and rotations that keep the earlier one: a minute or two.
fn rows(way: &'static str) -> Vec<Row> {
    let wide = std::env::var_os("NHI_TEST_WIDE").is_some();
    let mut rows = Vec::new();
    for at_once in [true, false] {
        for books in Books::ALL {
            for two in [false, true] {
                let twice = two && !matches!(books, Books::Shared | Books::None);
                if wide || (at_once && !twice) {
                    rows.push(Row { way, at_once, books, two });
                }
            }
        }
    }
    rows
}

/// Every cell of one row, and the calls that it has.
fn fill(teller: &mut Teller, row: &Row, calls: &mut BTreeSet<Call>) -> u64 {
    let mut cells = 0;
    for nth in 0..MOST {
        let mut met = None;
        for end in 0.. {
            match teller.row(row, nth, end) {
                Ok(Some(call)) => {
                    cells += 1;
                    met = Some(call);
                    if end + 1 == ends(call.what).len() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(broken) => panic!("call {nth}, end {end}: {broken}"),
            }
        }
        match met {
            Some(call) => calls.insert(call),
            None => return cells,
        };
    }
    panic!("{row:?}: more than {MOST} calls")
}

/// What every deed that rotates and keeps nothing writes, whatever the way.
const STEPS: [(&str, &str); 6] = [
    ("journal", ""),
    ("write claim", "stored"),
    ("issue", ""),
    ("sign in", ""),
    ("write sink", ""),
    ("write claim", "free"),
];

#[test]
fn whichever_call_of_a_deed_ends_badly_the_next_run_puts_it_right() {
    let begun = Instant::now();
    let ways: Vec<_> = WAYS
        .into_iter()
        .map(|way| {
            thread::spawn(move || {
                let (mut teller, mut calls, mut cells) = (Teller::new(), BTreeSet::new(), 0);
                for row in rows(way) {
                    cells += fill(&mut teller, &row, &mut calls);
                }
                for (what, phase) in STEPS {
                    let step = Call { what, phase };
                    assert!(calls.contains(&step), "{way}: no {what} {phase}: {calls:?}");
                }
                (way, cells, calls.len())
            })
        })
        .collect();
    let mut all = 0;
    for way in ways {
        let (way, cells, calls) = way.join().expect("no promise is broken");
        println!("{way}: {cells} cells, {calls} kinds of calls");
        all += cells;
    }
    println!("{all} cells in {:?}", begun.elapsed());
    assert!(all >= 3_000, "only {all} cells");
}
