//! `nhi_rotation_schedule`: when credentials change. It has no object anywhere but in state.

use domain::{ScheduleId, Span};
use jiff::civil::Time;
use policy::{
    Schedule,
    schedule::{Written, weekday},
};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model, Path,
    erased::Call,
    resource::{Create, Delete, Done, Failure, MoveState, Plan, Read, Resource, Source, Update},
};

use crate::{rules, shared::Shared};

/// When credentials change, and how long the old one keeps working.
///
/// Credentials take it as a whole object: `schedule = nhi_rotation_schedule.monthly`. Times are
/// absolute (`anchor + spread + k × every`), so a late rotation does not move the next one. A
/// changed schedule is judged one plan later.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct RotationScheduleModel {
    /// `schedule/<name>`.
    #[tf(computed, prefix = "schedule/")]
    pub id: Attr<String>,

    /// Its name.
    #[tf(required, replace, validate = rules::short_name)]
    pub name: Attr<String>,

    /// How often, such as `30d`: `w`, `d`, `h`, `m`; no months, since a month is no duration.
    /// At least `15m`.
    #[tf(required, validate = rules::span)]
    pub every: Attr<String>,

    /// The moment that times are counted from.
    #[tf(default = "2026-01-01T00:00:00Z", validate = rules::moment)]
    pub anchor: Attr<String>,

    /// How far credentials are spread out, so that not all change at once. Below `every`.
    #[tf(default = "0", validate = rules::span)]
    pub spread: Attr<String>,

    /// How old a credential must be at least; a quarter of `every` unless set.
    #[tf(optional, computed, validate = rules::span)]
    pub min_age: Attr<String>,

    /// How long the old credential keeps working after the new one was delivered.
    #[tf(default = "24h", validate = rules::span)]
    pub overlap: Attr<String>,

    /// How long after it fell due a credential is overdue; a quarter of `every` unless set. Then
    /// windows no longer hold it back.
    #[tf(optional, computed, validate = rules::span)]
    pub overdue_after: Attr<String>,

    /// How long a credential may live before its platform ends it; `none` for no end. Unset, it
    /// ends itself if nobody ever rotates it.
    #[tf(optional, validate = rules::span_or_none)]
    pub lifetime: Attr<String>,

    /// When rotations are allowed. Unset: always.
    #[tf(optional)]
    pub windows: Attr<Vec<Window>>,

    /// The time zone of windows.
    #[tf(default = "UTC", validate = rules::timezone)]
    pub timezone: Attr<String>,

    /// When rotations are not allowed, whatever the windows say. At most 16.
    #[tf(optional)]
    pub blackout: Attr<Vec<Blackout>>,

    /// What a due credential does outside its windows: `wait` or `rotate`.
    #[tf(default = "wait", validate = rules::outside_window)]
    pub outside_window: Attr<String>,
}

/// A time of the week in which rotations are allowed.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Window {
    /// Days: `mon` to `sun`.
    #[tf(required)]
    pub days: Attr<Vec<String>>,
    /// From when, `HH:MM`.
    #[tf(required)]
    pub start: Attr<String>,
    /// For how long, at least `15m`.
    #[tf(required, validate = rules::span)]
    pub length: Attr<String>,
}

/// A time in which nothing rotates.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Blackout {
    /// From when.
    #[tf(required, validate = rules::moment)]
    pub from: Attr<String>,
    /// Until when.
    #[tf(required, validate = rules::moment)]
    pub until: Attr<String>,
    /// Why.
    #[tf(required, validate = rules::said)]
    pub reason: Attr<String>,
}

/// `nhi_rotation_schedule`.
#[derive(Debug)]
pub(crate) struct RotationSchedule {
    shared: Shared,
}

impl RotationSchedule {
    pub(crate) fn new(shared: Shared) -> RotationSchedule {
        RotationSchedule { shared }
    }
}

/// The members of a schedule, whether it is a resource or a reference to one.
pub(crate) struct Parts<'a> {
    pub(crate) name: &'a Attr<String>,
    pub(crate) every: &'a Attr<String>,
    pub(crate) anchor: &'a Attr<String>,
    pub(crate) spread: &'a Attr<String>,
    pub(crate) min_age: &'a Attr<String>,
    pub(crate) overlap: &'a Attr<String>,
    pub(crate) overdue_after: &'a Attr<String>,
    pub(crate) lifetime: &'a Attr<String>,
    pub(crate) windows: &'a Attr<Vec<Window>>,
    pub(crate) timezone: &'a Attr<String>,
    pub(crate) blackout: &'a Attr<Vec<Blackout>>,
    pub(crate) outside_window: &'a Attr<String>,
}

/// The schedule that the members say; `None` while one of them is unknown or outside its form,
/// which the attribute's own rule has said.
pub(crate) fn schedule(parts: &Parts<'_>) -> Option<Schedule> {
    let text = |attr: &Attr<String>| match attr {
        Attr::Unknown(_) => None,
        other => Some(other.as_deref().map(str::to_owned)),
    };
    let said = |attr: &Attr<String>| attr.as_deref().map(str::to_owned);
    let windows = match parts.windows {
        Attr::Unknown(_) => return None,
        other => other
            .value()
            .into_iter()
            .flatten()
            .map(|one| Some((one.days.value()?.clone(), said(&one.start)?, said(&one.length)?)))
            .collect::<Option<_>>()?,
    };
    let blackout = match parts.blackout {
        Attr::Unknown(_) => return None,
        other => other
            .value()
            .into_iter()
            .flatten()
            .map(|one| {
                let reason = one.reason.text().to_owned();
                Some((said(&one.from)?, said(&one.until)?, reason))
            })
            .collect::<Option<_>>()?,
    };
    Written {
        name: parts.name.text().to_owned(),
        every: said(parts.every)?,
        anchor: text(parts.anchor)?,
        spread: text(parts.spread)?,
        min_age: text(parts.min_age)?,
        overlap: text(parts.overlap)?,
        overdue_after: text(parts.overdue_after)?,
        lifetime: text(parts.lifetime)?,
        windows,
        timezone: text(parts.timezone)?,
        blackout,
        outside_window: said(parts.outside_window),
    }
    .read()
}

/// Says what contradicts itself in a schedule that stands at a path.
pub(crate) fn contradictions(
    parts: &Parts<'_>,
    floor: domain::Span,
    at: &Path,
    found: &mut Diagnostics,
) {
    for (name, text) in schedule(parts).map(|one| one.faults(floor)).unwrap_or_default() {
        found.error_at(
            at.then(name),
            "This schedule contradicts itself",
            format!(
                "{name} {text}.\nNext: change {name}, or what it is measured by.\n(E-SCHEDULE)"
            ),
        );
    }
}

impl RotationScheduleModel {
    fn parts(&self) -> Parts<'_> {
        Parts {
            name: &self.name,
            every: &self.every,
            anchor: &self.anchor,
            spread: &self.spread,
            min_age: &self.min_age,
            overlap: &self.overlap,
            overdue_after: &self.overdue_after,
            lifetime: &self.lifetime,
            windows: &self.windows,
            timezone: &self.timezone,
            blackout: &self.blackout,
            outside_window: &self.outside_window,
        }
    }
}

impl Resource for RotationSchedule {
    type Model = RotationScheduleModel;
    const TYPE_NAME: &'static str = "nhi_rotation_schedule";

    async fn validate(&self, config: &RotationScheduleModel, _call: &Call) -> Diagnostics {
        let mut found = Diagnostics::new();
        for (index, window) in config.windows.value().into_iter().flatten().enumerate() {
            let at = |name: &str| Path::attribute("windows").index(index).then(name);
            for day in window.days.value().into_iter().flatten() {
                if weekday(day).is_none() {
                    found.error_at(
                        at("days"),
                        "This is no day of the week",
                        format!("{day:?}.\nNext: write mon, tue, wed, thu, fri, sat or sun.\n(E-SCHEDULE)"),
                    );
                }
            }
            if let Some(start) = window.start.as_deref()
                && (start.len() != 5 || start.parse::<Time>().is_err())
            {
                found.error_at(
                    at("start"),
                    "This is no time of day",
                    format!(
                        "{start:?}: expected HH:MM.\nNext: for example \"02:00\".\n(E-SCHEDULE)"
                    ),
                );
            }
        }
        // What is too short is known only with the configuration: a demonstration may be quick.
        contradictions(&config.parts(), domain::Span::ZERO, &Path::root(), &mut found);
        found
    }

    async fn plan(&self, plan: &mut Plan<RotationScheduleModel>) {
        let floor = self.shared.rules().every_floor;
        if let Some((config, prior, planned)) = plan.changing() {
            planned.id = config.name.clone().map(|name| ScheduleId(name).to_string());
            if planned.id.is_unknown() {
                planned.id = Attr::unknown_with_prefix("schedule/");
            }
            // Derived from the interval where nothing is said.
            let quarter = config.every.clone().and_then(|every| match every.parse::<Span>() {
                Ok(every) => Attr::Value((every / 4).to_string()),
                Err(_) => Attr::Null,
            });
            if config.min_age.is_null() {
                planned.min_age = quarter.clone();
            }
            if config.overdue_after.is_null() {
                planned.overdue_after = quarter;
            }
            let changed = prior.is_some_and(|prior| prior != &*planned);
            let parts = planned.parts();
            let mut found = Diagnostics::new();
            contradictions(&parts, floor, &Path::root(), &mut found);
            plan.diagnostics.extend(found);
            if changed {
                plan.diagnostics.warning(
                    "A changed schedule is judged one plan later",
                    "Credentials take the new schedule in this apply; whether it makes them due shows \
                     in the next plan.",
                );
            }
        }
        if let Some(planned) = &plan.planned
            && planned.lifetime == "none"
        {
            plan.diagnostics.warning_at(
                "lifetime",
                "These credentials never end by themselves",
                "If nobody ever runs anything again, they live for ever.\nNext: leave lifetime unset.",
            );
        }
    }

    async fn create(
        &self,
        request: Create<RotationScheduleModel>,
    ) -> Result<Done<RotationScheduleModel>, Failure<RotationScheduleModel>> {
        Ok(request.planned.into())
    }

    async fn read(
        &self,
        request: Read<RotationScheduleModel>,
    ) -> Result<Option<Done<RotationScheduleModel>>, Diagnostics> {
        // It has no object anywhere.
        Ok(Some(request.state.into()))
    }

    async fn update(
        &self,
        request: Update<RotationScheduleModel>,
    ) -> Result<Done<RotationScheduleModel>, Failure<RotationScheduleModel>> {
        Ok(request.planned.into())
    }

    async fn delete(
        &self,
        _request: Delete<RotationScheduleModel>,
    ) -> Result<Diagnostics, Failure<RotationScheduleModel>> {
        Ok(Diagnostics::new())
    }
}

impl MoveState for RotationSchedule {
    /// Takes over a `time_rotating`: its interval, in whole days, hours or minutes.
    async fn move_state(
        &self,
        source: Source,
    ) -> Result<Option<Done<RotationScheduleModel>>, Diagnostics> {
        let theirs = source.type_name == "time_rotating"
            && source.provider_address.ends_with("hashicorp/time");
        if !theirs {
            return Ok(None);
        }
        let number =
            |name: &str| source.state.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let of = |name: &str, each: u64| number(name).checked_mul(each);
        let seconds = of("rotation_days", 86_400)
            .zip(of("rotation_hours", 3_600))
            .and_then(|(days, hours)| days.checked_add(hours))
            .zip(of("rotation_minutes", 60))
            .and_then(|(most, minutes)| most.checked_add(minutes))
            .filter(|seconds| *seconds > 0);
        let Some(seconds) = seconds else {
            return Err(Diagnostic::error(
                "This rotation has no interval that can be taken over",
                "Only days, hours and minutes are durations; months and years are not.\nNext: write \
                 an nhi_rotation_schedule, and remove the other with a removed block.\n(E-MOVED)",
            )
            .into());
        };
        let anchor = source.state.get("rfc3339").and_then(|at| at.as_str()).map(str::to_owned);
        Ok(Some(
            RotationScheduleModel {
                every: Attr::Value(Span::from_secs(seconds).to_string()),
                anchor: Attr::from(anchor),
                ..RotationScheduleModel::default()
            }
            .into(),
        ))
    }
}
