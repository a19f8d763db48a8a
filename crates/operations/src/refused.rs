//! What a plan, a command and a deed refuse alike, in the same words. What helps is for each to say: a
//! person can do other things about it in each.

use domain::CredentialId;

use crate::Problem;

const NO_PLACE: &str = "There is no place for the secret";

/// A new credential that would be delivered nowhere; `slot` where it has a name already.
pub fn no_place(slot: Option<&CredentialId>) -> Problem {
    let slot = slot.map(|slot| format!("{slot}: ")).unwrap_or_default();
    Problem::new("E-NO-SINK", NO_PLACE)
        .detail(format!(
            "{slot}no sink is named that a new credential could go to; secret_source only documents where \
             one is that exists."
        ))
        .next("name a sink in deliver_to, and apply")
        .at(&["deliver_to"])
}

/// A credential that is to be read from where it is delivered, and is delivered nowhere.
pub fn delivered_nowhere(slot: &str) -> Problem {
    Problem::new("E-NO-SINK", NO_PLACE)
        .detail(format!("{slot}: it is delivered nowhere."))
        .next("name a place in deliver_to of the nhi_credential")
        .at(&["credential"])
}

/// Another one of a type of which the platform makes one; `because` says why a better way is not used.
pub fn never_another(credential_type: &str, because: Option<&str>) -> Problem {
    let because = because.map(|why| format!(" ({why})")).unwrap_or_default();
    Problem::new("E-ROTATE", "This credential cannot be rotated")
        .detail(format!("The platform makes one {credential_type} and never another{because}."))
        .next("choose another type of credential, and apply")
}
