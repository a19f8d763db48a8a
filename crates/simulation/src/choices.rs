//! What happens next, as data: a sequence of small numbers, 0 where nothing unusual does.

/// The source of all that is not certain in one story.
#[derive(Debug)]
pub struct Choices {
    given: Vec<u16>,
    dice: Option<u64>,
    taken: Vec<u16>,
}

impl Choices {
    /// By lot.
    pub fn of_seed(seed: u64) -> Choices {
        Choices { given: Vec::new(), dice: Some(seed), taken: Vec::new() }
    }

    /// As given; where they end, nothing unusual happens any more.
    pub fn of(given: Vec<u16>) -> Choices {
        Choices { given, dice: None, taken: Vec::new() }
    }

    /// All that were taken so far.
    pub fn taken(&self) -> &[u16] {
        &self.taken
    }

    /// One of so many, all alike.
    pub fn any(&mut self, many: usize) -> usize {
        self.take(many, 1)
    }

    /// One of so many; once in so often another than the first.
    pub fn rarely(&mut self, once_in: u64, many: usize) -> usize {
        self.take(many, once_in)
    }

    /// The same, by lot as often as not the one that is wanted. What is taken is all that is written down:
    /// whoever tells it again needs to want nothing.
    pub fn leaning(&mut self, once_in: u64, many: usize, wanted: Option<usize>) -> usize {
        if let (Some(dice), Some(wanted)) = (&mut self.dice, wanted)
            && roll(dice).is_multiple_of(2)
        {
            let wanted = wanted.min(many.saturating_sub(1));
            self.taken.push(u16::try_from(wanted).unwrap_or(0));
            return wanted;
        }
        self.take(many, once_in)
    }

    fn take(&mut self, many: usize, once_in: u64) -> usize {
        let many = many.max(1);
        let chosen = match &mut self.dice {
            Some(dice) => {
                let roll = roll(dice);
                if (roll >> 32).is_multiple_of(once_in) {
                    (roll & 0xffff_ffff) % many as u64
                } else {
                    0
                }
            }
            None => u64::from(self.given.get(self.taken.len()).copied().unwrap_or(0)) % many as u64,
        };
        self.taken.push(u16::try_from(chosen).unwrap_or(0));
        usize::try_from(chosen).unwrap_or(0)
    }
}

/// SplitMix64.
fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Makes a sequence smaller as long as what is asked of it stays true.
pub fn shrink(mut choices: Vec<u16>, mut still: impl FnMut(&[u16]) -> bool) -> Vec<u16> {
    loop {
        let before = choices.clone();
        let mut length = choices.len();
        while length > 0 {
            let mut from = 0;
            while from < choices.len() {
                let mut fewer = choices.clone();
                fewer.drain(from..(from + length).min(choices.len()));
                if still(&fewer) { choices = fewer } else { from += length }
            }
            length /= 2;
        }
        for index in 0..choices.len() {
            for less in [0, choices[index] / 2, choices[index].saturating_sub(1)] {
                let mut calmer = choices.clone();
                calmer[index] = less;
                if less < choices[index] && still(&calmer) {
                    choices = calmer;
                }
            }
        }
        while choices.last() == Some(&0) {
            choices.pop();
        }
        if choices == before {
            return choices;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_by_lot_is_taken_again_from_its_record() {
        let take = |choices: &mut Choices| {
            let mut one = || choices.any(7) + choices.rarely(3, 5) + choices.leaning(9, 4, Some(3));
            (0..50).map(|_| one()).collect::<Vec<_>>()
        };
        let mut by_lot = Choices::of_seed(7);
        let first = take(&mut by_lot);
        assert_eq!(take(&mut Choices::of(by_lot.taken().to_vec())), first);
    }

    #[test]
    fn what_matters_is_all_that_shrinking_leaves() {
        let long: Vec<u16> = (0..100).collect();
        let still = |some: &[u16]| some.contains(&40) && some.iter().any(|one| *one > 70);
        assert_eq!(shrink(long, still), [40, 71]);
    }
}
