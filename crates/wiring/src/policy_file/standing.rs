//! What is let pass, kept from passing, and whose word is taken: `freeze`, `standing`, `requesters`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use policy::{
    change::{
        freeze::{Freeze, When},
        impact::Level,
        requester::Voucher,
        standing::Class,
    },
    schedule::{Window, weekday},
};

use super::{span, text, texts};
use crate::tree::{ConfigError, Node, Place, wrong};

/// The members of a freeze: a time once, or one of the week.
const FREEZE: [&str; 8] = ["from", "until", "days", "start", "length", "timezone", "reason", "but"];

/// The members of somebody who vouches for requesters.
const VOUCHER: [&str; 6] = ["issuer", "keys", "audience", "require", "claim", "principals"];

/// Times in which nothing is changed.
pub(super) fn freezes(node: &Node, place: &Place) -> Result<Vec<Freeze>, ConfigError> {
    let Node::List(all) = node else {
        return Err(wrong(place, format!("expected a list of {ONCE} or {WEEKLY}")));
    };
    all.iter().enumerate().map(|(index, node)| freeze(node, &place.join(index))).collect()
}

const ONCE: &str = "{ from = \"2027-12-20T00:00:00Z\", until = \"…\", reason = \"…\" }";
const WEEKLY: &str =
    "{ days = [\"fri\"], start = \"16:00\", length = \"64h\", timezone = \"UTC\", reason = \"…\" }";

fn freeze(node: &Node, place: &Place) -> Result<Freeze, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, format!("expected {ONCE} or {WEEKLY}")));
    };
    known(all, &FREEZE, place)?;
    let at = |name: &str| all.get(name).map(|node| (node, place.join(name)));
    let needed = |name: &str| {
        at(name).ok_or_else(|| {
            wrong(&place.join(name), "must be set: a freeze says when it is, and why")
        })
    };
    let (reason, _) = needed("reason").and_then(|(node, at)| Ok((text(node, &at)?, at)))?;
    let but = match at("but") {
        None => BTreeSet::new(),
        Some((node, at)) => levels(node, &at)?,
    };
    let weekly =
        ["days", "start", "length", "timezone"].into_iter().find(|name| all.contains_key(*name));
    let once = ["from", "until"].into_iter().find(|name| all.contains_key(*name));
    let when = match (once, weekly) {
        (Some(_), Some(weekly)) => {
            return Err(wrong(
                &place.join(weekly),
                format!("expected {ONCE} or {WEEKLY}, not both"),
            ));
        }
        (_, Some(_)) => {
            let (days, at) = needed("days")?;
            let days = texts(days, &at)?.into_iter().map(|word| {
                weekday(&word).ok_or_else(|| {
                    wrong(
                        &at,
                        format!("{word:?} is no day; expected mon, tue, wed, thu, fri, sat or sun"),
                    )
                })
            });
            let days = days.collect::<Result<Vec<_>, _>>()?;
            let (start, at) = needed("start")?;
            let start = text(start, &at)?
                .parse()
                .map_err(|_| wrong(&at, "expected a time of the day such as \"16:00\""))?;
            let (length, at) = needed("length")?;
            let length = span(length, &at)?;
            // Whose Friday it is decides what is frozen, so that nobody is to guess.
            let (timezone, at) = needed("timezone")?;
            let timezone = TimeZone::get(text(timezone, &at)?)
                .map_err(|_| wrong(&at, "expected a zone such as \"Europe/Zurich\" or \"UTC\""))?;
            When::Weekly { windows: vec![Window { days, start, length }], timezone }
        }
        (_, None) => {
            let moment = |name: &str| {
                let (node, at) = needed(name)?;
                text(node, &at)?
                    .parse()
                    .map_err(|_| wrong(&at, "expected a moment such as \"2027-12-20T00:00:00Z\""))
            };
            When::Once { from: moment("from")?, until: moment("until")? }
        }
    };
    let freeze = Freeze { when, reason: reason.trim().to_owned(), but };
    match freeze.faults().first() {
        None => Ok(freeze),
        Some((name, why)) => Err(wrong(&place.join(name), *why)),
    }
}

fn levels(node: &Node, place: &Place) -> Result<BTreeSet<Level>, ConfigError> {
    let level = |word: String| {
        Level::from_word(&word)
            .ok_or_else(|| wrong(place, "expected \"low\", \"medium\", \"high\" or \"critical\""))
    };
    texts(node, place)?.into_iter().map(level).collect()
}

/// The classes that can be opened. To give back what was taken by hand is none of them as long as nobody
/// keeps what an approval gave.
const OPEN: [Class; 2] = [Class::Narrowing, Class::Rotation];

/// What is approved beforehand. That power may be taken away is always among it.
pub(super) fn classes(node: &Node, place: &Place) -> Result<BTreeSet<Class>, ConfigError> {
    let words = OPEN.map(Class::as_str).join("\", \"");
    let class = |word: String| {
        let known = Class::from_word(&word).filter(|class| OPEN.contains(class));
        known.ok_or_else(|| wrong(place, format!("expected some of \"{words}\"")))
    };
    let open = texts(node, place)?.into_iter().map(class).collect::<Result<BTreeSet<_>, _>>()?;
    match open.contains(&Class::Narrowing) {
        true => Ok(open),
        false => Err(wrong(
            place,
            "\"narrowing\" must be among them: that power is taken away waits for nobody",
        )),
    }
}

/// Those who vouch for whoever asks.
pub(super) fn vouchers(
    node: &Node,
    place: &Place,
) -> Result<BTreeMap<String, Voucher>, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, format!("expected {{ name = {{ {} }} }}", VOUCHER.join(", "))));
    };
    all.iter().map(|(name, node)| Ok((name.clone(), voucher(node, &place.join(name))?))).collect()
}

fn voucher(node: &Node, place: &Place) -> Result<Voucher, ConfigError> {
    let Node::Map(all) = node else {
        return Err(wrong(place, format!("expected {{ {} }}", VOUCHER.join(", "))));
    };
    known(all, &VOUCHER, place)?;
    let said = |name: &str| match all.get(name) {
        None => Err(wrong(&place.join(name), "must be set")),
        Some(node) => match text(node, &place.join(name))?.trim() {
            "" => Err(wrong(&place.join(name), "must say something")),
            text => Ok(text.to_owned()),
        },
    };
    let by_name = |name: &str, why: &str| match all.get(name) {
        Some(Node::Map(members)) if !members.is_empty() => members
            .iter()
            .map(|(member, node)| {
                Ok((member.clone(), text(node, &place.join(name).join(member))?.to_owned()))
            })
            .collect::<Result<BTreeMap<_, _>, _>>(),
        _ => Err(wrong(&place.join(name), why)),
    };
    let issuer = said("issuer")?;
    if !issuer.starts_with("https://") {
        let text = "expected the issuer's address, as its tokens have it: \"https://…\"";
        return Err(wrong(&place.join("issuer"), text));
    }
    Ok(Voucher {
        issuer,
        keys: said("keys")?,
        audience: said("audience")?,
        required: by_name(
            "require",
            "must name what only tokens of your runs say, such as { repository = \"acme/nhi\" }: anybody can \
             have this issuer make a token for any audience",
        )?,
        claim: said("claim")?,
        principals: by_name(
            "principals",
            "must say who is who: { \"octo\" = \"bo@acme.example\" }",
        )?,
    })
}

fn known(all: &BTreeMap<String, Node>, members: &[&str], place: &Place) -> Result<(), ConfigError> {
    match all.keys().find(|name| !members.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let known = members.join(", ");
            let text = format!("nothing of this name is read here. Known: {known}");
            Err(wrong(&place.join(name), text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T>(
        text: &str,
        read: impl Fn(&Node, &Place) -> Result<T, ConfigError>,
    ) -> Result<T, String> {
        let node = Node::parse_hcl(&format!("x = {text}")).unwrap();
        read(node.member("x"), &Place::default().join("x")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_freeze_is_a_time_once_or_one_of_the_week_and_says_why() {
        let both = told(
            "[{ from = \"2027-12-20T00:00:00Z\", until = \"2028-01-03T00:00:00Z\", reason = \"r\", but = [\"low\"] },
              { days = [\"fri\"], start = \"16:00\", length = \"64h\", timezone = \"Europe/Zurich\", reason = \"r\" }]",
            freezes,
        )
        .unwrap();
        assert!(matches!(both[0].when, When::Once { .. }) && both[0].but.contains(&Level::Low));
        assert!(matches!(both[1].when, When::Weekly { .. }));
        let once = "from = \"2027-12-20T00:00:00Z\", until = \"2028-01-03T00:00:00Z\"";
        let weekly = "days = [\"fri\"], start = \"16:00\", length = \"64h\"";
        for (inner, why) in [
            (once.to_owned(), "x.0.reason: must be set"),
            (format!("{once}, reason = \" \""), "x.0.reason: must say something"),
            (format!("{once}, reason = \"r\", but = [\"none\"]"), "x.0.but: expected \"low\""),
            (format!("{once}, reason = \"r\", why = \"r\""), "x.0.why: nothing of this name"),
            (format!("{once}, {weekly}, reason = \"r\""), "not both"),
            (format!("{weekly}, reason = \"r\""), "x.0.timezone: must be set"),
            (
                format!("{weekly}, timezone = \"Mars\", reason = \"r\""),
                "x.0.timezone: expected a zone",
            ),
            (
                "from = \"2027-12-20\", until = \"x\", reason = \"r\"".to_owned(),
                "x.0.from: expected a moment",
            ),
            (
                "from = \"2027-12-20T00:00:00Z\", reason = \"r\"".to_owned(),
                "x.0.until: must be set",
            ),
            (
                "from = \"2027-12-20T00:00:00Z\", until = \"2026-12-20T00:00:00Z\", reason = \"r\""
                    .to_owned(),
                "x.0.until: must be after",
            ),
        ] {
            let error = told(&format!("[{{ {inner} }}]"), freezes).unwrap_err();
            assert!(error.contains(why), "{inner}: {error}");
        }
    }

    #[test]
    fn nobody_can_shut_what_takes_power_away() {
        let open = told("[\"narrowing\", \"rotation\"]", classes).unwrap();
        assert_eq!(open, Class::usual());
        assert_eq!(told("[\"narrowing\"]", classes).unwrap(), [Class::Narrowing].into());
        assert!(told("[]", classes).unwrap_err().contains("waits for nobody"));
        assert!(told("[\"widening\"]", classes).unwrap_err().contains("\"rotation\""));
    }

    #[test]
    fn who_vouches_says_for_whose_runs_and_who_is_who() {
        const GOOD: [(&str, &str); 6] = [
            ("issuer", "\"https://token.actions.githubusercontent.com\""),
            ("keys", "\"github.json\""),
            ("audience", "\"nhi\""),
            ("require", "{ repository = \"acme/nhi\" }"),
            ("claim", "\"actor\""),
            ("principals", "{ octo = \"bo@acme.example\" }"),
        ];
        let with = |name: &str, value: Option<&str>| {
            let members = GOOD.iter().filter_map(|(member, good)| match *member == name {
                true => value.map(|value| format!("{member} = {value}")),
                false => Some(format!("{member} = {good}")),
            });
            let members: Vec<String> = members.collect();
            told(&format!("{{ github = {{ {} }} }}", members.join(", ")), vouchers)
        };
        assert_eq!(with("", None).unwrap()["github"].principals["octo"], "bo@acme.example");
        for (name, _) in GOOD {
            let error = with(name, None).unwrap_err();
            assert!(error.contains(&format!("x.github.{name}: ")), "{error}");
        }
        assert!(with("require", Some("{}")).unwrap_err().contains("only tokens of your runs"));
        assert!(with("issuer", Some("\"http://ci.example\"")).unwrap_err().contains("https://"));
    }
}
