//! Every breach that is tried: the law, the answer that it is in, and who sees it.

use tfplugin::laws::Law;

/// One way to break one law.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breach {
    /// The law.
    pub(crate) law: Law,
    /// The answer that breaks it.
    pub(crate) place: Place,
    /// Whether real cores refuse it themselves; else the law is ours, there.
    pub(crate) core: bool,
}

/// The answers of a provider, and the parts of them, in which a law can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The plan of a new object: at its root, in an object of a list, of a set, by key, alone.
    Plan,
    PlanInList,
    PlanInSet,
    PlanInMap,
    PlanInSingle,
    /// The plan of a change.
    Update,
    /// The same, where it speaks of an element of a set.
    UpdateInSet,
    /// The plan to destroy.
    Destroy,
    /// What was created.
    Apply,
    ApplyInList,
    /// A set that came with more elements than were planned, and one with another element.
    ApplyMoreOfSet,
    ApplyOtherOfSet,
    /// What is left after a delete.
    Delete,
    /// What is read from state, and from the platform.
    Upgrade,
    Read,
    ReadInList,
    /// What an import finds, and what the read that follows finds of it.
    Import,
    ImportByIdentity,
    ReadAfterImport,
    /// The answer of a data source, and of an ephemeral resource.
    Data,
    Open,
    /// The same, where nothing is configured.
    OpenUnasked,
}

/// When a core comes by a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// While a new object is planned.
    Plan,
    /// While it is made.
    Apply,
    /// While the next run reads it and plans a change.
    Update,
    /// While its end is planned.
    Destroy,
    /// While it is ended.
    Delete,
    /// While it is taken into state.
    Import,
}

impl Breach {
    /// The name of the part that does it: `wrong_plan_keeps_config_plan_in_list`.
    pub(crate) fn type_name(&self) -> String {
        match self.place {
            Place::Data => return "wrong_names".to_owned(),
            Place::Open => return "wrong_token".to_owned(),
            Place::OpenUnasked => return "wrong_inventor".to_owned(),
            _ => {}
        }
        let mut name = "wrong".to_owned();
        for letter in format!("{:?}{:?}", self.law, self.place).chars() {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// When a core comes by it.
    pub(crate) fn phase(&self) -> Phase {
        match (self.law, self.place) {
            // The plan is made again at apply, and must be the same.
            (Law::FinalPlanKeepsPlan, _) => Phase::Apply,
            (_, Place::Plan | Place::PlanInList | Place::PlanInSet) => Phase::Plan,
            (_, Place::PlanInMap | Place::PlanInSingle) => Phase::Plan,
            (_, Place::Data | Place::Open | Place::OpenUnasked) => Phase::Plan,
            (_, Place::Apply | Place::ApplyInList) => Phase::Apply,
            (_, Place::ApplyMoreOfSet | Place::ApplyOtherOfSet) => Phase::Apply,
            (_, Place::Update | Place::UpdateInSet) => Phase::Update,
            (_, Place::Upgrade | Place::Read | Place::ReadInList) => Phase::Update,
            (_, Place::Destroy) => Phase::Destroy,
            (_, Place::Delete) => Phase::Delete,
            (_, Place::Import | Place::ImportByIdentity | Place::ReadAfterImport) => Phase::Import,
        }
    }
}

const fn core(law: Law, place: Place) -> Breach {
    Breach { law, place, core: true }
}

const fn ours(law: Law, place: Place) -> Breach {
    Breach { law, place, core: false }
}

/// All of them.
pub(crate) const BREACHES: &[Breach] = &[
    core(Law::FitsSchema, Place::Plan),
    core(Law::PlanKeepsConfig, Place::Plan),
    core(Law::PlanKeepsConfig, Place::PlanInList),
    core(Law::PlanKeepsConfig, Place::PlanInMap),
    core(Law::PlanInventsNothing, Place::Plan),
    core(Law::PlanInventsNothing, Place::PlanInList),
    core(Law::PlanKeepsNested, Place::PlanInList),
    core(Law::PlanKeepsNested, Place::PlanInSet),
    core(Law::PlanKeepsNested, Place::PlanInMap),
    core(Law::PlanKeepsNested, Place::PlanInSingle),
    core(Law::PlanKeepsExistence, Place::Plan),
    core(Law::PlanKeepsExistence, Place::Destroy),
    core(Law::ReplacePathExists, Place::Update),
    core(Law::ReplacePathExists, Place::UpdateInSet),
    core(Law::FinalPlanKeepsPlan, Place::Plan),
    core(Law::ApplyKeepsPlan, Place::Apply),
    core(Law::ApplyKeepsPlan, Place::ApplyInList),
    core(Law::ApplyKeepsPlan, Place::ApplyMoreOfSet),
    core(Law::ApplyKeepsPlan, Place::ApplyOtherOfSet),
    core(Law::ApplyKeepsPromise, Place::Apply),
    core(Law::StateIsKnown, Place::Apply),
    core(Law::StateIsKnown, Place::Read),
    core(Law::StateIsKnown, Place::Upgrade),
    core(Law::StateIsKnown, Place::Import),
    core(Law::ApplyKeepsExistence, Place::Apply),
    core(Law::ApplyKeepsExistence, Place::Delete),
    core(Law::WriteOnlyIsNull, Place::Plan),
    core(Law::WriteOnlyIsNull, Place::PlanInList),
    core(Law::WriteOnlyIsNull, Place::Apply),
    core(Law::WriteOnlyIsNull, Place::ApplyInList),
    core(Law::WriteOnlyIsNull, Place::Upgrade),
    core(Law::WriteOnlyIsNull, Place::Read),
    core(Law::WriteOnlyIsNull, Place::ReadInList),
    core(Law::WriteOnlyIsNull, Place::Import),
    core(Law::ImportFinds, Place::ReadAfterImport),
    core(Law::IdentityIsKnown, Place::Apply),
    core(Law::IdentityIsKnown, Place::Read),
    core(Law::IdentityIsKnown, Place::ImportByIdentity),
    ours(Law::IdentityIsStable, Place::Read),
    ours(Law::AnswerKeepsConfig, Place::Data),
    core(Law::EphemeralKeepsConfig, Place::Open),
    core(Law::EphemeralKeepsConfig, Place::OpenUnasked),
    ours(Law::QuietWhenNothingChanged, Place::Update),
];
