//! `provider::nhi::next_rotation`: when a credential rotates next.

use jiff::Timestamp;
use tfplugin::{Attr, Model, erased::FunctionError, function::Function};

use crate::{
    resources::credential::{ScheduleReference, schedule_of},
    values::moment,
};

/// When a credential rotates next, as its schedule says: due, and in a window that is open. Null
/// without a schedule, and where its platform does not say when it was issued. The same arithmetic as
/// in a plan, for calendars, alerts and `check` blocks. It knows no clock: a moment that has passed
/// means "at the next apply".
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct NextRotationArguments {
    /// A whole `nhi_credential`, or an object with what is needed of one: `id`, `schedule`,
    /// `issued_at`, `expires_at`.
    #[tf(required)]
    credential: Attr<ScheduledCredential>,
}

/// What the arithmetic needs of a credential.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct ScheduledCredential {
    /// `<integration id>/credential/<name>`.
    #[tf(required)]
    id: Attr<String>,
    /// A whole `nhi_rotation_schedule`.
    #[tf(optional)]
    schedule: Attr<ScheduleReference>,
    /// When the vendor issued it.
    #[tf(optional)]
    issued_at: Attr<String>,
    /// When it ends by itself.
    #[tf(optional)]
    expires_at: Attr<String>,
}

/// `next_rotation`.
#[derive(Debug)]
pub(crate) struct NextRotation;

impl Function for NextRotation {
    type Arguments = NextRotationArguments;
    type Output = Attr<String>;
    const NAME: &'static str = "next_rotation";
    const SUMMARY: &'static str = "When a credential rotates next.";

    fn call(&self, arguments: NextRotationArguments) -> Result<Attr<String>, FunctionError> {
        let wrong = |text: String| FunctionError::of_argument(0, text);
        let time = |name: &str, text: &Attr<String>| match text.value() {
            None => Ok(None),
            Some(text) => text.parse::<Timestamp>().map(Some).map_err(|_| {
                wrong(format!("{name} is {text:?}, which is no time such as 2026-01-31T09:00:00Z."))
            }),
        };
        let credential = arguments.credential.value().cloned().unwrap_or_default();
        let (issued_at, expires_at) = (
            time("issued_at", &credential.issued_at)?,
            time("expires_at", &credential.expires_at)?,
        );
        if credential.schedule.is_null() {
            return Ok(Attr::Null);
        }
        let Some(schedule) = schedule_of(&credential.schedule) else {
            return Err(wrong(
                "Its schedule cannot be read. Pass one that plan accepts: a whole \
                 nhi_rotation_schedule."
                    .into(),
            ));
        };
        let Some(issued_at) = issued_at else { return Ok(Attr::Null) };
        let at = schedule.next_rotation(credential.id.text(), issued_at, expires_at);
        Ok(at.map(moment).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(credential: ScheduledCredential) -> Result<Attr<String>, FunctionError> {
        NextRotation.call(NextRotationArguments { credential: credential.into() })
    }

    fn credential(schedule: ScheduleReference) -> ScheduledCredential {
        ScheduledCredential {
            id: "bao/openbao_approle/x/credential/default".into(),
            schedule: schedule.into(),
            issued_at: "2026-01-31T09:00:00Z".into(),
            expires_at: Attr::Null,
        }
    }

    #[test]
    fn the_next_rotation_is_told_as_a_time_and_null_without_a_schedule() {
        let ten_days = ScheduleReference { every: "10d".into(), ..ScheduleReference::default() };
        assert_eq!(call(credential(ten_days.clone())), Ok("2026-02-10T00:00:00Z".into()));
        let none = ScheduledCredential { schedule: Attr::Null, ..credential(ten_days) };
        assert_eq!(call(none), Ok(Attr::Null));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let odd = ScheduleReference { every: "10 moons".into(), ..ScheduleReference::default() };
        assert!(call(credential(odd.clone())).unwrap_err().text.contains("schedule"));
        let odd = ScheduledCredential { issued_at: "yesterday".into(), ..credential(odd) };
        assert!(call(odd).unwrap_err().text.contains("\"yesterday\""));
    }
}
