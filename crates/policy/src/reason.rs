//! Why a credential is rotated, in rank: what is more urgent decides how long earlier ones are kept.

/// A reason, the least urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// To show that it can be done.
    Drill,
    /// The first own generation of a slot that was taken in.
    Custody,
    /// It is due.
    Schedule,
    /// Somebody asked: by a trigger, a command, or by changing what it is issued with.
    Asked,
    /// It ends by itself.
    Expiring,
    /// Somebody else answers for it now.
    OwnerChanged,
    /// It must go now, and nobody says that its secret is in wrong hands.
    Emergency,
    /// Its secret is, or may be, in wrong hands.
    Exposed,
}

impl Reason {
    /// The rank of a word, as claims and entries have it; a word of a later version ranks as asked for.
    pub fn of(word: &str) -> Reason {
        match word {
            "drill" => Reason::Drill,
            "custody" => Reason::Custody,
            "schedule" => Reason::Schedule,
            "expiring" => Reason::Expiring,
            "owner_changed" => Reason::OwnerChanged,
            "emergency" => Reason::Emergency,
            "exposed" => Reason::Exposed,
            _ => Reason::Asked,
        }
    }

    /// Earlier credentials are not kept, and nothing that would keep them is waited for.
    pub fn keeps_none(self) -> bool {
        self >= Reason::Emergency
    }
}

/// Of two words the one that ranks higher; the first where neither does.
pub fn higher<'a>(one: &'a str, other: &'a str) -> &'a str {
    if Reason::of(other) > Reason::of(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_in_rank_and_the_two_highest_keep_nothing() {
        let rank = [
            "exposed",
            "emergency",
            "owner_changed",
            "expiring",
            "asked",
            "schedule",
            "custody",
            "drill",
        ];
        assert!(rank.iter().rev().is_sorted_by_key(|word| Reason::of(word)));
        for (at, word) in rank.into_iter().enumerate() {
            assert_eq!(Reason::of(word).keeps_none(), at < 2, "{word}");
            let all = rank.into_iter().enumerate();
            for (than, other) in all {
                assert_eq!(higher(word, other), if than < at { other } else { word });
            }
        }
        assert_eq!(Reason::of("settings_changed"), Reason::Asked);
        assert_eq!(higher("settings_changed", "asked"), "settings_changed", "what was first stays");
    }
}
