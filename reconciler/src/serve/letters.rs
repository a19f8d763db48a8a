//! What owners are told: one letter for each, with all that there is to say to them, and the same to the
//! webhook. What was taken is written down, so that it is told once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use connector::Clock;
use data_encoding::HEXLOWER;
use operations::{OwnerNotice, Problem};
use ring::digest;
use serde_json::Value;
use tracing::Instrument;
use wiring::Loaded;

use super::{
    logs::{Log, name},
    mail::{Letter, Mail},
    notify::{Notice, Notices},
};

/// How long a tick waits for all of them; whoever was not told by then is told by the next.
const LONGEST: Duration = Duration::from_secs(120);
/// The most that one letter has.
const MOST: usize = 100;

/// Tells owners.
pub(crate) struct Letters {
    mail: Option<Mail>,
    clock: Arc<dyn Clock>,
    log: Log,
}

impl Letters {
    /// By what is configured.
    ///
    /// # Errors
    ///
    /// `E-NOTIFY`: nobody can be written to by it.
    pub(crate) fn begin(
        loaded: &Loaded,
        clock: Arc<dyn Clock>,
        log: Log,
    ) -> Result<Letters, Problem> {
        let mail = loaded.config.notify.as_ref().and_then(|notify| notify.mail.as_ref());
        let mail = mail.map(|config| Mail::begin(loaded, config)).transpose()?;
        Ok(Letters { mail, clock, log })
    }

    /// Tells all of these, and gives those that were. `contacts`: where owners are reached.
    pub(crate) async fn tell<'a>(
        &self,
        all: &'a [OwnerNotice],
        contacts: &BTreeMap<String, String>,
        notices: &Notices,
    ) -> Vec<&'a OwnerNotice> {
        let mut by: BTreeMap<&str, Vec<&OwnerNotice>> = BTreeMap::new();
        for one in all {
            by.entry(&one.owner).or_default().push(one);
        }
        let mut told = Vec::new();
        let telling = async {
            for (owner, of_one) in by {
                for part in of_one.chunks(MOST) {
                    let address = contacts.get(owner).map(String::as_str);
                    if self.tell_one(owner, address, part, notices).await {
                        told.extend_from_slice(part);
                    }
                }
            }
        };
        let _ = tokio::time::timeout(LONGEST, telling).await;
        told
    }

    async fn tell_one(
        &self,
        owner: &str,
        address: Option<&str>,
        all: &[&OwnerNotice],
        notices: &Notices,
    ) -> bool {
        let now = self.clock.now();
        let by_mail = match &self.mail {
            None => None,
            Some(mail) => Some(match mail.to(address) {
                Some(to) => {
                    let span = telemetry::tell("mail", "letter", owner);
                    let letter = letter(owner, all);
                    let sent = mail.send(to, &letter, now).instrument(span.clone()).await;
                    match &sent {
                        Ok(()) => telemetry::ended(&span, "told"),
                        Err(_) => telemetry::failed(&span, "not_told", None),
                    }
                    sent
                }
                None => {
                    Err("its address is not known, and notify.mail.otherwise is not set".into())
                }
            }),
        };
        if let Some(Err(why)) = &by_mail {
            let with: [(&str, Value); 3] = [
                ("subject", owner.into()),
                ("to", "mail".into()),
                ("why", format!("it was not told: {why}").into()),
            ];
            self.log.line(now, name::NOTICE, &with);
        }
        if by_mail.as_ref().is_some_and(Result::is_err) {
            // Told by the next tick, to all.
            return false;
        }
        let mut taken = by_mail.is_some();
        for one in all {
            let notice = Notice {
                event: one.event,
                subject: one.subject.clone(),
                why: one.text.clone(),
                owner: Some(one.owner.clone()),
            };
            // The letter is what counts; where there is none, that somebody takes the notice.
            taken |= match self.mail.is_some() {
                true => notices.put(&notice, now),
                false => notices.tell(&notice, now).await,
            };
        }
        taken
    }
}

fn letter(owner: &str, all: &[&OwnerNotice]) -> Letter {
    let title = match all {
        [one] if one.event == "ends" => format!("nhi: {} ends soon", one.subject),
        [one] if one.event == "closed" => format!("nhi: over at {}", one.subject),
        [one] => format!("nhi: {} needs somebody", one.subject),
        more => format!("nhi: {} things of {owner}", more.len()),
    };
    let mut text = format!("You answer, as {owner}, for what follows.\n");
    for one in all {
        text.push_str(&format!("\n- {}\n", one.text));
        if !one.next.is_empty() {
            text.push_str(&format!("  Next: {}\n", one.next));
        }
    }
    text.push_str("\nThis was written by nhi, which tells each of these once.\n");
    let id = digest::digest(&digest::SHA256, format!("{owner}\0{text}").as_bytes());
    Letter { title, text, id: HEXLOWER.encode(&id.as_ref()[..16]) }
}

/// Where owners are reached: what a look read in records, and before that what a state says.
pub(crate) fn contacts(
    of_state: &BTreeMap<String, String>,
    of_records: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all = of_records.clone();
    all.extend(of_state.iter().map(|(id, address)| (id.clone(), address.clone())));
    all
}
