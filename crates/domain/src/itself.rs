//! What makes its own successor, and dies in that call: what is left when nobody heard the answer.

/// What is done after a call that was not answered, once none can arrive any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// It was not done: it may be done once more.
    OnceMore,
    /// Whatever took its place is in nobody's hand: nobody of ours can make another.
    LockedOut,
}

/// `works`: the one that was called with is seen to work still. `punishes_reuse`: its platform ends all
/// that came of it where a dead one is tried, so that a platform which was not asked with it says too little.
pub fn unanswered(works: bool, punishes_reuse: bool) -> Unanswered {
    match works && !punishes_reuse {
        true => Unanswered::OnceMore,
        false => Unanswered::LockedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_seen_to_work_is_called_with_again_and_nothing_where_that_is_punished() {
        assert_eq!(unanswered(true, false), Unanswered::OnceMore);
        for (works, punishes_reuse) in [(true, true), (false, false), (false, true)] {
            assert_eq!(unanswered(works, punishes_reuse), Unanswered::LockedOut);
        }
    }
}
