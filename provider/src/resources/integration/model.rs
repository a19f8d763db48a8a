//! What people write of an integration, and what state holds.

use std::collections::BTreeMap;

use tfplugin::{Attr, Model, Set};

use crate::{
    resources::{
        platform_objects::PlatformObjects,
        references::{Adoption, Ceiling, HostReference, OwnerReference, Reached, Workflow},
    },
    rules,
};

/// An integration: an OAuth client, a role, a bot, a service account, seen as a privileged
/// non-human identity.
///
/// It is born without any power: `nhi_scope` gives it what it may do and `nhi_credential` the means
/// to sign in. Owners are handed over as whole objects: `technical_owner = nhi_owner.payments`.
///
/// `-replace` ends the old one first, with every credential of it, also those that nobody declared.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct IntegrationModel {
    /// `<connection>/<kind>/<vendor key>`.
    #[tf(computed, not_null)]
    pub id: Attr<String>,

    /// The name of the platform object that is set, such as `openbao_approle`.
    #[tf(computed, not_null)]
    pub kind: Attr<String>,

    /// This incarnation at the platform (role id, client id). Another one means that somebody
    /// deleted and recreated the object; scopes and credentials below are then made anew.
    #[tf(computed, not_null)]
    pub vendor_id: Attr<String>,

    /// The connection's name in `nhi.hcl`. Unset only with `third_party`.
    #[tf(optional, replace, validate = rules::said)]
    pub connection_name: Attr<String>,

    /// Its name at the platform.
    #[tf(required)]
    pub name: Attr<String>,

    /// Why it exists, in at least 20 characters. Required, unless `adoption` is set.
    #[tf(optional, validate = rules::reason)]
    pub purpose: Attr<String>,

    /// Which environment it belongs to, such as `production`. Another one rotates its credentials.
    /// Required, unless `adoption` is set.
    #[tf(optional, validate = rules::said)]
    pub environment: Attr<String>,

    /// Who is accountable for the business: a whole `nhi_owner`. Required, unless `adoption` is set.
    #[tf(optional)]
    pub business_owner: Attr<OwnerReference>,

    /// Who is accountable for the technology: a whole `nhi_owner`. Another one rotates its
    /// credentials. Required, unless `adoption` is set.
    #[tf(optional)]
    pub technical_owner: Attr<OwnerReference>,

    /// How it runs: `batch`, `human_in_the_loop`, `autonomous` or `agent`. Unset is judged as
    /// `agent`.
    #[tf(optional, validate = rules::execution_mode)]
    pub execution_mode: Attr<String>,

    /// What sort of thing it is: `ipaas`, `etl_job`, `workflow_engine`, `ci_cd`, `low_code`,
    /// `rpa_bot`, `scheduled_job`, `saas_app`, `api`, `service_account`, `automation_tool` or
    /// `partner`.
    #[tf(optional, validate = rules::category)]
    pub category: Attr<String>,

    /// The last day it may live, `YYYY-MM-DD`, through the end of that day in UTC.
    #[tf(optional, validate = rules::date)]
    pub expires_on: Attr<String>,

    /// How often somebody must confirm that it is still needed, such as `90d`.
    #[tf(optional, validate = rules::span)]
    pub review_every: Attr<String>,

    /// The day of the newest valid review; null until there is one.
    #[tf(computed)]
    pub reviewed_on: Attr<String>,

    /// The limit on what `nhi_scope` may give it. Raising it is a widening.
    #[tf(optional)]
    pub ceiling: Attr<Ceiling>,

    /// Whether it may act at all; unset means true.
    #[tf(optional)]
    pub enabled: Attr<bool>,

    /// An incident that exposed all its credentials. A new value rotates them at once, without
    /// overlap.
    #[tf(optional, validate = rules::said)]
    pub incident: Attr<String>,

    /// Whether apply revokes live credentials that nobody declared. Without it they are only
    /// reported: somebody may be using them.
    #[tf(optional)]
    pub revoke_unmanaged: Attr<bool>,

    /// Where its logs are: a URL, or `<connection>/<path>`.
    #[tf(optional, validate = rules::place)]
    pub logs: Attr<String>,

    /// Who sees to its end when it is no longer needed: a whole `nhi_owner`.
    #[tf(optional)]
    pub offboarding_owner: Attr<OwnerReference>,

    /// Conditions any of which ends it, as if `expires_on` were over: `workflow_retired` (one of its
    /// `workflows` is gone or switched off), `contract_ended` (of the third party that it `runs_on`),
    /// `owner_left` (an owner is not there, without any grace), `dormant` (each of its credentials was
    /// last used longer ago than the policy says; where that is not known, it is not met).
    #[tf(optional, validate = rules::conditions)]
    pub expires_when: Attr<Set<String>>,

    /// Workflows that use it, by a name of your own. When all of them are gone, it is switched off
    /// (`workflow_gone` in the policy).
    #[tf(optional, validate = rules::named)]
    pub workflows: Attr<BTreeMap<String, Workflow>>,

    /// What it runs on, where that is an integration too: whoever has the one has the other. A whole
    /// `nhi_integration`.
    #[tf(optional)]
    pub runs_on: Attr<HostReference>,

    /// Systems that it reaches besides its own platform, by a name of your own. What its scopes let it
    /// do is known without.
    #[tf(optional, validate = rules::named)]
    pub reaches: Attr<BTreeMap<String, Reached>>,

    /// What an agent may choose to use. Only where it runs as one, or nobody says how; `[]` where its
    /// scopes are all that it has.
    #[tf(optional, validate = rules::each_said)]
    pub tools: Attr<Set<String>>,

    /// How fast it must be possible to stop it, such as `5m`: from the word to the first refusal.
    #[tf(optional, validate = rules::span)]
    pub stop_within: Attr<String>,

    /// The id of the integration that it takes the place of. As long as that one lives, it is told.
    #[tf(optional, validate = rules::integration_id)]
    pub replaces: Attr<String>,

    /// Who else uses it: teams, or owners. Where several `workflows` share one, this says that it is
    /// known.
    #[tf(optional, validate = rules::each_said)]
    pub shared_with: Attr<Set<String>>,

    /// What destroying it does at the platform: `delete` or `disable`.
    #[tf(default = "delete", validate = rules::on_destroy)]
    pub on_destroy: Attr<String>,

    /// Free labels.
    #[tf(optional)]
    pub labels: Attr<BTreeMap<String, String>>,

    /// It was taken over as it was found (`nhi adopt`): until a day somebody may still find out whose
    /// it is and what for. It is for what exists: nothing is made with it.
    #[tf(optional)]
    pub adoption: Attr<Adoption>,

    /// `active`, `disabled`, `quarantined` or `revoked`.
    #[tf(computed, not_null)]
    pub state: Attr<String>,

    /// What is wrong with it by the policy, and what follows: problem to `warn`, `disable` or
    /// `revoke`.
    #[tf(computed)]
    pub standing: Attr<BTreeMap<String, String>>,

    /// Ids of live credentials that nobody declared.
    #[tf(computed)]
    pub unmanaged_credentials: Attr<Set<String>>,

    /// Ids of live credentials that carry the mark of another installation. They are only reported:
    /// `revoke_unmanaged` does not end them.
    #[tf(computed)]
    pub foreign_credentials: Attr<Set<String>>,

    /// The platform object: exactly one.
    #[tf(flatten)]
    pub platform: PlatformObjects,
}
