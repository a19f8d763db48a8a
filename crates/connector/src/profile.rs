//! How a platform issues credentials: what decides the order of a rotation's steps.

use domain::Span;

/// What happens to the credentials that are there when one more is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// They live on.
    Adds {
        /// How many may live at once; `None` without a limit.
        max_live: Option<u8>,
    },
    /// There are two places for them, each of which holds one. A secret of ours is written into the one
    /// that is free, and refused where none is: what the other place holds lives on.
    Alternates,
    /// The one that is there works on for a while and is ended by the platform then; one that another
    /// took the place of before ends in the call.
    Supersedes {
        /// How long.
        keeps: Span,
    },
    /// The one that is there dies inside the call.
    Replaces,
}

impl Effect {
    /// How many may live beside each other; `None` without a limit.
    pub fn most(self) -> Option<u8> {
        match self {
            Effect::Adds { max_live } => max_live,
            Effect::Alternates | Effect::Supersedes { .. } => Some(2),
            Effect::Replaces => Some(1),
        }
    }

    /// For how long an earlier one works where it is asked to for that long.
    pub fn kept(self, overlap: Span) -> Span {
        match self {
            Effect::Supersedes { keeps } => overlap.min(keeps),
            _ if self.overlaps() => overlap,
            _ => Span::ZERO,
        }
    }

    /// An earlier one can be kept for a while.
    pub fn overlaps(self) -> bool {
        self.most().is_none_or(|most| most > 1)
    }
}

/// Who makes the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// We choose it: it is durable before the platform hears of it.
    Ours,
    /// We hold a private key; the platform gets the public half.
    OursPublicKey,
    /// The platform makes it and shows it once.
    VendorOnce,
    /// The platform makes it and shows it to every reader.
    VendorReadable,
    /// The platform makes it and shows it once, called with the very one that dies in the call; the first
    /// is made by its parent.
    Itself {
        /// Whoever calls with a dead one ends all that came of it.
        punishes_reuse: bool,
    },
}

/// When a marker of ours comes to stand on a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// In the issuing call: whatever exists carries it.
    AtIssue,
    /// By a call of its own, once the credential is in our books ([`crate::Connector::mark`]). One
    /// whose answer was lost carries none.
    Afterwards,
    /// Never.
    Never,
}

/// What a positive sign-in costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyCost {
    /// It may use up one of a limited number of uses.
    pub takes_use: bool,
}

/// How many refused sign-ins a platform stands before it locks the good secret out as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeBudget {
    /// Refusals allowed between two successes; 0 forbids probing with an old secret.
    pub between_successes: u8,
    /// Refusals allowed in one window.
    pub in_window: u8,
    /// The window's length.
    pub window: Span,
}

/// One way in which a platform issues a type of credential. A type lists them best first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// `add-ours`, `add-marked`, `add-unmarked`, `slots`, `grace`, `replace-ours`, `replace-once`,
    /// `replace-self`, or `first-only` where a first secret can be had and never another.
    pub name: &'static str,
    /// What happens to the ones that are there.
    pub effect: Effect,
    /// Who makes the secret.
    pub origin: Origin,
    /// When a marker of ours comes to stand on the credential.
    pub marks: Marks,
    /// The credentials of one integration can be listed completely.
    pub lists: bool,
    /// An end can be set at issue.
    pub sets_expiry: bool,
    /// One can be switched off and on again by its id ([`crate::Connector::disable`]), and the others
    /// work on. Such a one is not ended.
    pub disables: bool,
    /// The end of one that is there can be set by its id ([`crate::Connector::set_expiry`]), and the others
    /// keep theirs.
    pub moves_expiry: bool,
    /// What a sign-in costs.
    pub verify: VerifyCost,
    /// How many refusals it stands.
    pub probe: ProbeBudget,
    /// How long an ended credential may still be accepted, at most.
    pub revocation_lag: Span,
    /// How long a listing may lag behind a change, at most.
    pub list_lag: Span,
}

impl Profile {
    /// An end only switches the secret off: the platform never makes another, so that the next one
    /// that is asked for is the same again.
    pub fn keeps_what_ended(&self) -> bool {
        self.name == "first-only"
    }
}
