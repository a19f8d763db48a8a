//! What may be done: one question, asked once before each deed.
//!
//! Ending and narrowing are always open. Where the policy has changes reviewed, what gives power needs
//! leave, which [`crate::review::pass`] gives for one change of one object; where it has not, widening is
//! journalled as such.

use std::{fmt, sync::Arc};

use data_encoding::HEXLOWER;
use domain::{Direction, realm::digest_of};
use policy::change::standing::Class;

use crate::{Problem, in_force::InForce, review::ReviewBoard};

/// What somebody is about to do to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The object's id.
    pub object: String,
    /// The tenant's own id.
    pub tenant: String,
    /// `create`, `widen`, `narrow`, `rotate`, `revoke`, ….
    pub action: &'static str,
    /// What is there, canonical.
    pub before: String,
    /// What is wanted, canonical.
    pub after: String,
    /// Which way it goes.
    pub direction: Direction,
}

impl Deed {
    /// What takes something away: what is there goes, and nothing comes.
    pub(crate) fn ending(object: &str, tenant: &str, action: &'static str, before: String) -> Deed {
        Deed {
            object: object.to_owned(),
            tenant: tenant.to_owned(),
            action,
            before,
            after: String::new(),
            direction: Direction::Narrows,
        }
    }

    /// The digest that an approval would be bound to.
    pub fn digest(&self) -> String {
        let parts = [self.tenant.as_str(), &self.object, self.action, &self.before, &self.after];
        format!("sha256:{}", HEXLOWER.encode(&digest_of("nhi-change/v1", &parts)))
    }
}

/// Leave to do one deed. Only a gate makes one.
#[derive(Debug)]
pub struct Authorization {
    auth: String,
}

impl Authorization {
    /// What allowed it, for the journal.
    pub fn auth(&self) -> &str {
        &self.auth
    }
}

/// Decides.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Asks for leave.
    ///
    /// # Errors
    ///
    /// The deed is not allowed; nothing was done.
    fn authorize(&self, deed: &Deed) -> Result<Authorization, Problem>;

    /// Why nothing that gives power is allowed, where that is known before anything is asked for. What
    /// rules would say is not known then, and nothing is concluded from them.
    fn closed(&self) -> Option<&Problem> {
        None
    }

    /// Who reviews changes, where somebody does.
    fn board(&self) -> Option<&Arc<ReviewBoard>> {
        None
    }

    /// Whether the policy follows the one that was used last, where somebody asks.
    fn chain(&self) -> Option<&Arc<InForce>> {
        None
    }
}

/// Decides by the rules alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct RulesGate;

impl Gate for RulesGate {
    fn authorize(&self, deed: &Deed) -> Result<Authorization, Problem> {
        let auth = match (deed.action, deed.direction.may_widen()) {
            ("rotate", _) => "policy:rotation",
            (_, true) => "policy:widening",
            (_, false) => "policy:narrowing",
        };
        Ok(Authorization { auth: auth.to_owned() })
    }
}

/// Decides by what a board has approved.
#[derive(Debug, Clone)]
pub struct ApprovalGate(pub Arc<ReviewBoard>);

/// Deeds that give nobody more than what was approved before: the next key of a slot, its end moved with its
/// schedule, access for a while with what an integration may do, and a key that works again for whoever
/// still needed it.
const LATERAL: [&str; 4] = ["rotate", "extend", "mint", "enable"];

impl Gate for ApprovalGate {
    fn authorize(&self, deed: &Deed) -> Result<Authorization, Problem> {
        if let Some(auth) = self.0.leave_for(&deed.object, deed.direction.may_widen()) {
            return Ok(Authorization { auth });
        }
        let open = deed.action != "rotate" || self.0.terms.standing.contains(&Class::Rotation);
        let lateral = LATERAL.contains(&deed.action) && open;
        if !open || (deed.direction.may_widen() && !lateral) {
            return Err(Problem::new("E-APPROVAL-MISSING", "Change not approved")
                .detail(format!(
                    "{}: to {} it {}, and no approved change covers that. Nothing was changed.",
                    deed.object, deed.action, deed.direction
                ))
                .next("declare it, and have the plan reviewed: nhi review PLAN"));
        }
        let auth =
            if lateral { format!("standing:{}", deed.action) } else { "policy:narrowing".into() };
        Ok(Authorization { auth })
    }

    fn board(&self) -> Option<&Arc<ReviewBoard>> {
        Some(&self.0)
    }
}

/// Decides where the rules cannot be read, for the reason that it holds: what takes power away is open
/// as ever, and nothing else.
#[derive(Debug, Clone)]
pub struct EndingGate(pub Problem);

impl Gate for EndingGate {
    fn authorize(&self, deed: &Deed) -> Result<Authorization, Problem> {
        match deed.action == "rotate" || deed.direction.may_widen() {
            true => Err(self.0.clone()),
            false => RulesGate.authorize(deed),
        }
    }

    fn closed(&self) -> Option<&Problem> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_bound_to_every_part_of_the_deed() {
        let deed = Deed {
            object: "bao/openbao_approle/x/scope".into(),
            tenant: "cluster-1".into(),
            action: "widen",
            before: "a".into(),
            after: "a b".into(),
            direction: Direction::Widens,
        };
        let digest = deed.digest();
        for other in [
            Deed { object: "y".into(), ..deed.clone() },
            Deed { tenant: "cluster-2".into(), ..deed.clone() },
            Deed { before: String::new(), ..deed.clone() },
            Deed { after: "a b c".into(), ..deed.clone() },
        ] {
            assert_ne!(other.digest(), digest);
        }
        assert_eq!(RulesGate.authorize(&deed).unwrap().auth(), "policy:widening");
    }

    #[test]
    fn without_rules_that_can_be_read_power_is_taken_away_and_none_is_given() {
        let gate = EndingGate(Problem::new("E-CONFIG", "The configuration is not right"));
        let deed = |action, direction| Deed {
            direction,
            ..Deed::ending("bao/openbao_approle/x", "cluster-1", action, "k1".to_owned())
        };
        for (action, direction) in [
            ("rotate", Direction::None),
            ("widen", Direction::Widens),
            ("create", Direction::Widens),
            ("change", Direction::Unknown),
        ] {
            let refused = gate.authorize(&deed(action, direction)).unwrap_err();
            assert_eq!(refused.code, "E-CONFIG", "{action}");
        }
        for action in ["revoke", "disable", "delete", "narrow"] {
            let leave = gate.authorize(&deed(action, Direction::Narrows)).unwrap();
            assert_eq!(leave.auth(), "policy:narrowing", "{action}");
        }
    }
}
