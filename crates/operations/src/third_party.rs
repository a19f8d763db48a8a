//! What vendors run: nothing of it can be read, so what is declared is all that is known.

use domain::{Span, Ties};
use jiff::civil::Date;
use ledger::inventory::Change;
use policy::{
    findings::{self, Tied},
    standing::{self, ThirdParty},
};
use serde_json::{Value, json};

use crate::{Context, Judged, WishedThirdParty, integration::TIES};

/// The facet of its row.
const FACET: &str = "third_party";

/// Notes what is declared of it, or that it is not any more, so that drift knows without a state.
pub async fn note_third_party(context: &Context, id: &str, declared: Option<&WishedThirdParty>) {
    let document = declared.map(written);
    let change = Change::Declared { integration: id.to_owned(), facet: FACET.to_owned(), document };
    context.note(context.entry("declared", id).change(change)).await;
}

fn written(declared: &WishedThirdParty) -> Value {
    let day = |day: Option<Date>| day.map(|day| day.to_string());
    let mut noted = json!({
        "owners": declared.owners,
        "expires_on": day(declared.dates.expires_on),
        "contract_ends_on": day(declared.dates.contract_ends_on),
        "disable_tested_on": day(declared.dates.tested_on),
        "admin_review_every": declared.dates.test_every.map(|every| every.to_string()),
    });
    if !declared.ties.is_empty() {
        noted[TIES] = declared.ties.to_json();
    }
    noted
}

/// Reads what [`note_third_party`] wrote.
pub(crate) fn noted_third_party(id: &str, declared: &Value) -> Option<WishedThirdParty> {
    let noted = declared.get(FACET)?;
    let word = |name: &str| noted.get(name).and_then(Value::as_str);
    let day = |name: &str| word(name).and_then(|day| day.parse::<Date>().ok());
    let owners = noted.get("owners").and_then(Value::as_array).into_iter().flatten();
    Some(WishedThirdParty {
        id: id.to_owned(),
        owners: owners.filter_map(Value::as_str).map(str::to_owned).collect(),
        dates: ThirdParty {
            expires_on: day("expires_on"),
            contract_ends_on: day("contract_ends_on"),
            tested_on: day("disable_tested_on"),
            test_every: word("admin_review_every").and_then(|every| every.parse::<Span>().ok()),
        },
        ties: noted.get(TIES).map(Ties::from_json).unwrap_or_default(),
    })
}

/// Judges it by what is declared alone.
pub fn judge_third_party(context: &Context, wish: &WishedThirdParty) -> Judged {
    let verdicts = standing::third_party(&wish.dates, &context.rules, context.time());
    let mut judged = Judged::default();
    judged.found("none", &wish.id, findings::standing(&wish.id, &verdicts));
    let tied = Tied {
        id: &wish.id,
        ties: &wish.ties,
        environment: None,
        execution_mode: None,
        adopted: false,
        time_to_stop: None,
    };
    judged.found("none", &wish.id, findings::ties(&tied, &context.rules));
    judged.weighed(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_as_it_was_declared() {
        let declared = WishedThirdParty {
            id: "none/third_party/etl".into(),
            owners: vec!["owner/finance".into(), "owner/data".into()],
            dates: ThirdParty {
                expires_on: Some("2027-01-31".parse().unwrap()),
                contract_ends_on: None,
                tested_on: Some("2026-11-01".parse().unwrap()),
                test_every: Some("90d".parse().unwrap()),
            },
            ties: Ties { stop_within: Some("5m".into()), ..Ties::default() },
        };
        let document = json!({ FACET: written(&declared) });
        assert_eq!(noted_third_party(&declared.id, &document), Some(declared));
        assert_eq!(noted_third_party("none/third_party/etl", &json!({})), None);
    }
}
