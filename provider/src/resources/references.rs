//! What a resource takes of another one that it names as a whole object.
//!
//! A reference declares only what the plan of its holder needs. The core converts the larger object
//! and drops the rest, so an unrelated change of the other resource is no diff here.

use tfplugin::{Attr, Model};

use crate::rules;

/// An owner, as an integration names one.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct OwnerReference {
    /// `owner/<name>`.
    #[tf(required)]
    pub id: Attr<String>,
    /// Where to reach them.
    #[tf(optional)]
    pub email: Attr<String>,
    /// Whether they are still there, as the directory says: `unchecked`, `active`, `moved`,
    /// `inactive` or `left`.
    #[tf(optional)]
    pub status: Attr<String>,
}

/// The owner's id alone: a change of owner is what the holder must see.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct OwnerIdReference {
    /// `owner/<name>`.
    #[tf(optional)]
    pub id: Attr<String>,
}

/// The limit on what an integration may hold.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Ceiling {
    /// The highest action that a scope may have: `none`, `read`, `export`, `write`, `delete`,
    /// `execute`, `close`, `suppress`, `secret`, `policy`, `identity` or `admin`.
    #[tf(optional, validate = rules::limit)]
    pub highest_action: Attr<String>,
    /// Scopes that must cover every scope.
    #[tf(optional)]
    pub scopes: Attr<tfplugin::Set<String>>,
}

/// What was taken over as it was found: not everything need be said of it yet.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Adoption {
    /// The last day on which something may be missing, `YYYY-MM-DD`. After it, a plan is refused.
    #[tf(required, validate = rules::date)]
    pub complete_by: Attr<String>,
    /// Who sees to it: the id of an `nhi_owner`.
    #[tf(required, validate = rules::owner_id)]
    pub steward: Attr<String>,
}

impl Adoption {
    /// Whether it is known of an integration that everything must be said. Of what is not known yet
    /// it is asked again when it is.
    pub(crate) fn is_over(adoption: Option<&Attr<Adoption>>) -> bool {
        adoption.is_some_and(Attr::is_null)
    }
}

/// An integration, as `nhi_scope` names it.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct ScopedIntegration {
    /// `<connection>/<kind>/<vendor key>`.
    #[tf(required)]
    pub id: Attr<String>,
    /// This incarnation of the object on its platform.
    #[tf(optional)]
    pub vendor_id: Attr<String>,
    /// Which environment it belongs to.
    #[tf(optional)]
    pub environment: Attr<String>,
    /// The limit on what it may hold.
    #[tf(optional)]
    pub ceiling: Attr<Ceiling>,
    /// While it is set, the scopes need no `justification`.
    #[tf(optional)]
    pub adoption: Attr<Adoption>,
}

/// An integration, as `nhi_credential` names it.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct CredentialedIntegration {
    /// `<connection>/<kind>/<vendor key>`.
    #[tf(required)]
    pub id: Attr<String>,
    /// This incarnation of the object on its platform.
    #[tf(optional)]
    pub vendor_id: Attr<String>,
    /// Which environment it belongs to. Another one rotates the credential.
    #[tf(optional)]
    pub environment: Attr<String>,
    /// Who is accountable for the technology. Another one rotates the credential.
    #[tf(optional)]
    pub technical_owner: Attr<OwnerIdReference>,
    /// The last day it may live. A later one rotates a credential without a schedule that would end
    /// with the old one.
    #[tf(optional)]
    pub expires_on: Attr<String>,
    /// `active`, `disabled`, `quarantined` or `revoked`.
    #[tf(optional)]
    pub state: Attr<String>,
    /// While it is set, a credential that exists needs neither `deliver_to` nor `secret_source`.
    #[tf(optional)]
    pub adoption: Attr<Adoption>,
    /// An incident that all its credentials are exposed by. A new one rotates at once.
    #[tf(optional)]
    pub incident: Attr<String>,
}

/// What an integration runs on: a whole `nhi_integration`.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct HostReference {
    /// `<connection>/<kind>/<vendor key>`.
    #[tf(required, validate = rules::integration_id)]
    pub id: Attr<String>,
    /// Which environment it belongs to.
    #[tf(optional)]
    pub environment: Attr<String>,
    /// The contract, where its vendor runs it.
    #[tf(optional)]
    pub third_party: Attr<Contract>,
}

/// The contract with a vendor.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Contract {
    /// The last day of the contract, `YYYY-MM-DD`.
    #[tf(optional, validate = rules::date)]
    pub contract_ends_on: Attr<String>,
}

/// A workflow that uses an integration.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Workflow {
    /// The identity under which it runs at its own platform: `<connection>/<kind>/<vendor key>`, as
    /// `nhi scan` prints it. Each plan looks whether it is there; without it nobody can tell.
    #[tf(optional, validate = rules::integration_id)]
    pub id: Attr<String>,
    /// What of it is deployed now: a tag, a commit, a number.
    #[tf(optional, validate = rules::said)]
    pub version: Attr<String>,
    /// The version for which somebody last reviewed what the integration may do. Another one than
    /// `version` asks for a review.
    #[tf(optional, validate = rules::said)]
    pub reviewed_version: Attr<String>,
    /// Who may start it; `[]` where nothing but its schedule does. Unset: nobody has said.
    #[tf(optional, validate = rules::each_said)]
    pub invokers: Attr<tfplugin::Set<String>>,
}

/// A system that an integration reaches besides its own platform.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Reached {
    /// What sort of system: `identity`, `cloud`, `endpoint`, `siem`, `soar`, `ticketing`, `itsm`,
    /// `crm`, `erp`, `billing`, `hr`, `email`, `files`, `database`, `warehouse`, `code`, `ci_cd`,
    /// `queue`, `workflow_engine`, `secrets`, `admin_api` or `other`.
    #[tf(optional, validate = rules::system_category)]
    pub category: Attr<String>,
    /// Which way data goes: `reads`, `writes` or `both`. Unset: nobody knows.
    #[tf(optional, validate = rules::data_direction)]
    pub direction: Attr<String>,
    /// The most sensitive data of it: `none`, `public`, `internal`, `confidential`, `personal`,
    /// `financial`, `health` or `credentials`.
    #[tf(optional, validate = rules::data_class)]
    pub data: Attr<String>,
    /// Whose business it is, in a word of your own, such as `finance`.
    #[tf(optional, validate = rules::short_name)]
    pub domain: Attr<String>,
    /// Which environment it belongs to.
    #[tf(optional, validate = rules::said)]
    pub environment: Attr<String>,
    /// The id of the integration that is used to get there: what that one reaches is reached too.
    #[tf(optional, validate = rules::integration_id)]
    pub integration: Attr<String>,
}
