//! How many simulated rotations there are in a second: `cargo xtask bench rotate` ends with this.
//!
//! By the clock, and by what each thread has had of a processor: on an idle machine these are the same,
//! on a busy one the second tells how fast it is.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use simulation::{
    choices::Choices,
    story::{Bounds, Teller, WAYS},
};

/// How long each way is told of.
const FOR: Duration = Duration::from_secs(3);

/// What this thread has had of a processor.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Rotations a second.
#[derive(Clone, Copy, Default)]
struct Pace {
    by_clock: f64,
    by_processor: f64,
}

impl Pace {
    fn and(self, other: Pace) -> Pace {
        Pace {
            by_clock: self.by_clock + other.by_clock,
            by_processor: self.by_processor + other.by_processor,
        }
    }

    fn tell(self, what: &str, note: &str) {
        println!("  {what:<14} {:7.0}      {:7.0}{note}", self.by_clock, self.by_processor);
    }
}

/// Stories of one way from a seed on.
fn pace(way: &'static str, from: u64, faults: usize) -> Pace {
    let bounds = Bounds::of(way, 3, faults);
    let mut teller = Teller::new();
    let (begun, before) = (Instant::now(), worked());
    (from..).take_while(|_| begun.elapsed() < FOR).for_each(|seed| {
        teller.tell(Choices::of_seed(seed), &bounds);
    });
    let deeds = teller.deeds as f64;
    Pace {
        by_clock: deeds / begun.elapsed().as_secs_f64(),
        by_processor: deeds / (worked() - before).as_secs_f64(),
    }
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    println!("simulated rotations a second, {cores} threads, up to three runs at once:");
    println!("  {:<14} by the clock, by the processor", "");
    let mut all = Pace::default();
    for way in WAYS {
        let threads: Vec<_> = (0..cores as u64)
            .map(|one| thread::spawn(move || pace(way, one * 1_000_000, 3)))
            .collect();
        let each = threads.into_iter().filter_map(|one| one.join().ok());
        let of_way = each.fold(Pace::default(), Pace::and);
        of_way.tell(way, "");
        all = all.and(of_way);
    }
    let many = WAYS.len() as f64;
    let mean = Pace { by_clock: all.by_clock / many, by_processor: all.by_processor / many };
    mean.tell("mean", "   goal: at least 20,000");
}
