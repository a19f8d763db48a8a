//! `nhi_owner`: who is accountable.

use domain::OwnerId;
use operations::{OwnerEntry, Problem, look_up_owner, note_owner};
use policy::owner::{Seen, status};
use tfplugin::{
    Attr, Diagnostics, Model,
    erased::Call,
    resource::{
        By, Create, Delete, Done, Failure, Identity, Import, ImportState, Plan, Read, Resource,
        Update,
    },
};

use crate::{
    diagnostics::{error, errors, warning},
    rules,
    shared::Shared,
};

/// Somebody who is accountable for integrations: a person, a team, or a vendor.
///
/// Integrations name owners as whole objects: `technical_owner = nhi_owner.payments`. Bound to a
/// directory, an owner who leaves shows as a change of every integration that is left without one.
/// Renaming makes another owner, and so rotates what it owned: bind a directory id and change
/// `email` instead.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct OwnerModel {
    /// `owner/<name>`.
    #[tf(computed, prefix = "owner/")]
    pub id: Attr<String>,

    /// A name that stays: lower-case letters, digits and `-`, 2 to 63 characters.
    #[tf(required, replace, validate = rules::owner_name)]
    pub name: Attr<String>,

    /// What it is: `person`, `team` or `vendor`. A directory's own word wins where it is bound.
    #[tf(default = "team", validate = rules::owner_kind)]
    pub kind: Attr<String>,

    /// Where to reach them. Required without `directory`.
    #[tf(optional, validate = rules::email)]
    pub email: Attr<String>,

    /// Where a directory knows them. An owner who is inactive there cannot be bound; one who becomes
    /// so is drift of what they own.
    #[tf(optional)]
    pub directory: Attr<DirectoryEntry>,

    /// The department; another one in the directory makes the status `moved`.
    #[tf(optional, validate = rules::said)]
    pub department: Attr<String>,

    /// Whom to reach when they do not answer.
    #[tf(optional, validate = rules::email)]
    pub escalation: Attr<String>,

    /// `unchecked` without a directory, `active`, `moved` (another department), `inactive` (disabled
    /// or gone, within the policy's grace) or `left` (the grace is over and the policy demands
    /// action).
    #[tf(computed)]
    pub status: Attr<String>,

    /// The day on which the directory last changed the entry, while it is inactive.
    #[tf(computed)]
    pub inactive_since: Attr<String>,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct DirectoryEntry {
    /// The connection's name in `nhi.hcl`; it must be a directory.
    #[tf(required, validate = rules::said)]
    pub connection: Attr<String>,
    /// The directory's own id of the entry.
    #[tf(required, validate = rules::said)]
    pub id: Attr<String>,
}

/// The identity: the name.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct OwnerIdentity {
    /// The owner's name.
    #[tf(required)]
    pub name: Attr<String>,
}

/// `nhi_owner`.
#[derive(Debug)]
pub(crate) struct Owner {
    shared: Shared,
}

/// What a directory said of an owner.
struct Asked {
    status: &'static str,
    /// The directory shows nobody under this id.
    gone: bool,
    /// What it is, where the directory tells.
    kind: Option<String>,
    since: Option<String>,
    /// What follows, and when, in a sentence.
    follows: String,
}

impl Owner {
    pub(crate) fn new(shared: Shared) -> Owner {
        Owner { shared }
    }

    async fn ask(&self, owner: &OwnerModel) -> Result<Option<Asked>, Problem> {
        let Some(entry) = owner.directory.value() else { return Ok(None) };
        let context = self.shared.context()?;
        let (seen, member) =
            look_up_owner(&context, entry.connection.text(), entry.id.text()).await?;
        let known = owner.inactive_since.as_deref().and_then(|text| text.parse().ok());
        let (status, since) =
            status(&seen, owner.department.as_deref(), known, &context.rules, context.time());
        let follows = since
            .filter(|_| status == "inactive")
            .and_then(|day| policy::owner::leaves_on(day, &context.rules))
            .map(|day| format!(" On {day} what they own is switched off by the next apply."));
        Ok(Some(Asked {
            status,
            gone: matches!(seen, Seen::Gone),
            kind: member.and_then(|member| member.kind),
            since: since.map(|day| day.to_string()),
            follows: follows.unwrap_or_default(),
        }))
    }

    /// Lets `nhi drift` ask the directory as well. Without it nothing but that is lost.
    async fn note(&self, owner: &OwnerModel) {
        let Ok(context) = self.shared.context() else { return };
        let entry = owner.directory.value().map(|entry| OwnerEntry {
            connection: entry.connection.text(),
            id: entry.id.text(),
            department: owner.department.as_deref(),
        });
        note_owner(&context, owner.id.text(), entry).await;
    }

    /// Somebody who is not there cannot be made responsible.
    async fn bind(&self, owner: &mut OwnerModel) -> Result<(), Problem> {
        let Some(asked) = self.ask(owner).await? else {
            owner.status = "unchecked".into();
            owner.inactive_since = Attr::Null;
            return Ok(());
        };
        take_kind(owner, asked.kind)?;
        if matches!(asked.status, "inactive" | "left") {
            let entry = owner.directory.value().cloned().unwrap_or_default();
            if asked.gone {
                return Err(Problem::new("E-OWNER-LEFT", "The directory has no such owner")
                    .detail(format!(
                        "{}: {} has nobody and no team under the id {:?}. Either they left, or it is \
                         no id of theirs: it is the id that the directory itself gave, and no user \
                         name and no address.",
                        owner.name.text(),
                        entry.connection.text(),
                        entry.id.text()
                    ))
                    .next("correct the id (the guide on owners says where to find it), or name somebody else")
                    .at(&["directory", "id"]));
            }
            return Err(Problem::new("E-OWNER-LEFT", "This owner is not there any more")
                .detail(format!(
                    "{} ({}/{}) is inactive in the directory. Somebody who has left cannot \
                     be made responsible.",
                    owner.name.text(),
                    entry.connection.text(),
                    entry.id.text()
                ))
                .next("name somebody else")
                .at(&["directory", "id"]));
        }
        owner.status = asked.status.into();
        owner.inactive_since = Attr::Null;
        Ok(())
    }
}

/// A directory's own word wins; one that contradicts it would be drift for ever.
fn take_kind(owner: &mut OwnerModel, word: Option<String>) -> Result<(), Problem> {
    if let Some(kind) = owner.kind.as_deref()
        && let Some(word) = word.as_deref().filter(|word| *word != kind)
    {
        return Err(Problem::new("E-OWNER-KIND", "The directory says otherwise of this owner")
            .detail(format!("{} is a {word} there, and kind is {kind:?}.", owner.name.text()))
            .next(format!("remove kind, or set kind = {word:?}"))
            .at(&["kind"]));
    }
    if owner.kind.is_unknown() {
        owner.kind = word.map_or_else(|| "team".into(), Attr::Value);
    }
    Ok(())
}

impl Resource for Owner {
    type Model = OwnerModel;
    const TYPE_NAME: &'static str = "nhi_owner";

    async fn validate(&self, config: &OwnerModel, _call: &Call) -> Diagnostics {
        let mut found = Diagnostics::new();
        if config.email.is_null() && config.directory.is_null() {
            found.error_at(
                "email",
                "An owner must be reachable",
                "Without a directory an owner needs an email.\nNext: set email, or directory.\n(E-OWNER-UNREACHABLE)",
            );
        }
        found
    }

    async fn plan(&self, plan: &mut Plan<OwnerModel>) {
        let mut told = Diagnostics::new();
        if let Some((config, prior, planned)) = plan.changing() {
            planned.id = config.name.clone().map(|name| OwnerId(name).to_string());
            if planned.id.is_unknown() {
                planned.id = Attr::unknown_with_prefix("owner/");
            }
            self.shared.tell_twice(&planned.id, config, &mut told);
            let bound = !config.directory.is_null();
            let asks = prior.is_none_or(|prior| {
                prior.directory != planned.directory || prior.department != planned.department
            });
            if asks {
                planned.status = if bound { Attr::unknown_not_null() } else { "unchecked".into() };
                planned.inactive_since = Attr::Null;
            }
            if bound && config.kind.is_null() {
                planned.kind = match prior {
                    Some(prior) if !asks => prior.kind.clone(),
                    _ => Attr::unknown_not_null(),
                };
            }
        }
        plan.diagnostics.extend(told);
        if let Some(context) = self.shared.context_if_ready()
            && let Some(planned) = &plan.planned
            && let Some(entry) = planned.directory.value()
            && let Some(name) = entry.connection.as_deref()
        {
            match context.connections.platform(name) {
                Ok(platform) if !platform.is_directory() => plan.diagnostics.push(error(
                    &Problem::new("E-DIRECTORY", "This connection is no directory")
                        .detail(format!("{name:?} knows no people."))
                        .next("name a connection to a directory, such as one of scim")
                        .at(&["directory", "connection"]),
                )),
                Err(problem) => {
                    plan.diagnostics.push(error(&problem.at(&["directory", "connection"])));
                }
                Ok(_) => {}
            }
        }
    }

    async fn create(
        &self,
        request: Create<OwnerModel>,
    ) -> Result<Done<OwnerModel>, Failure<OwnerModel>> {
        let mut owner = request.planned;
        self.bind(&mut owner).await.map_err(errors)?;
        if owner.directory.is_value() {
            self.note(&owner).await;
        }
        Ok(owner.into())
    }

    async fn read(
        &self,
        request: Read<OwnerModel>,
    ) -> Result<Option<Done<OwnerModel>>, Diagnostics> {
        let mut owner = request.state;
        if owner.name.is_null() {
            return Ok(Some(owner.into()));
        }
        // Who counts as gone is a rule, and one that cannot be read says nothing of anybody.
        if owner.status.is_value() && self.shared.closed().is_some() {
            return Ok(Some(owner.into()));
        }
        match self.ask(&owner).await {
            Ok(None) => {
                owner.status = "unchecked".into();
                Ok(Some(owner.into()))
            }
            Ok(Some(asked)) => {
                owner.status = asked.status.into();
                if let Some(kind) = asked.kind {
                    owner.kind = Attr::Value(kind);
                }
                owner.inactive_since = Attr::from(asked.since);
                let mut told = Diagnostics::new();
                if !matches!(asked.status, "active") {
                    told.warning_at(
                        "status",
                        "An owner needs attention",
                        format!(
                            "{} {} the directory{}.{} Integrations that name them show it in \
                             this plan.\nNext: name another owner there; where none does, remove \
                             this nhi_owner.",
                            owner.name.text(),
                            match asked.status {
                                "left" => "has left: inactive or gone in",
                                "moved" => "is in another department in",
                                _ => "is inactive in",
                            },
                            owner
                                .inactive_since
                                .as_deref()
                                .map(|day| format!(" since {day}"))
                                .unwrap_or_default(),
                            asked.follows
                        ),
                    );
                }
                Ok(Some(Done::new(owner).tell(told)))
            }
            // A directory that does not answer is no sign that somebody left, and must not stop a
            // revocation.
            Err(problem) => {
                if owner.status.is_null() {
                    owner.status = "unchecked".into();
                }
                Ok(Some(Done::new(owner).tell([warning(&problem)])))
            }
        }
    }

    async fn update(
        &self,
        request: Update<OwnerModel>,
    ) -> Result<Done<OwnerModel>, Failure<OwnerModel>> {
        let mut owner = request.planned;
        if owner.status.is_unknown() {
            self.bind(&mut owner).await.map_err(errors)?;
        } else if owner.kind != request.prior.kind
            && let Some(asked) = self.ask(&owner).await.map_err(errors)?
        {
            take_kind(&mut owner, asked.kind).map_err(errors)?;
        }
        if owner.directory != request.prior.directory
            || owner.department != request.prior.department
        {
            self.note(&owner).await;
        }
        Ok(owner.into())
    }

    async fn delete(
        &self,
        request: Delete<OwnerModel>,
    ) -> Result<Diagnostics, Failure<OwnerModel>> {
        if request.prior.directory.is_value() {
            self.note(&OwnerModel { directory: Attr::Null, ..request.prior }).await;
        }
        // What it owned went first, by the graph.
        Ok(Diagnostics::new())
    }
}

impl Identity for Owner {
    type Identity = OwnerIdentity;

    fn identity(&self, state: &OwnerModel) -> OwnerIdentity {
        OwnerIdentity { name: state.name.clone() }
    }
}

impl ImportState for Owner {
    async fn import(&self, request: Import) -> Result<Done<OwnerModel>, Diagnostics> {
        let text = match (&request.by, request.by.identity::<OwnerIdentity>()?) {
            (By::Id(id), _) => id.clone(),
            (_, Some(identity)) => identity.name.need("name")?.clone(),
            (_, None) => String::new(),
        };
        let (name, entry) = match text.split_once('@') {
            Some((name, place)) => (name, place.split_once('/')),
            None => (text.as_str(), None),
        };
        let name = name.strip_prefix("owner/").unwrap_or(name);
        if rules::owner_name(name).is_err() {
            return Err(errors(
                Problem::new("E-ID", "This is no owner's id")
                    .detail(format!("{text:?}."))
                    .next("owner/<name>, or <name>@<connection>/<directory id>"),
            ));
        }
        let directory = entry.map(|(connection, id)| DirectoryEntry {
            connection: connection.into(),
            id: id.into(),
        });
        Ok(OwnerModel {
            id: Attr::Value(OwnerId(name.to_owned()).to_string()),
            name: name.into(),
            kind: "team".into(),
            directory: Attr::from(directory),
            ..OwnerModel::default()
        }
        .into())
    }
}
