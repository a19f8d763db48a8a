//! What every connector must do, written once and run against each of them on its real server.
//!
//! Cases are chosen by what a kind publishes in its [`Capabilities`]: a case that a capability
//! excuses is absent, with the reason; every other one must hold. The report is compared with the
//! connector's own committed table, so that neither a case nor a claim can quietly go.

mod credential;
mod fixture;
mod integration;
mod offline;
mod report;
mod route;
mod words;

pub use fixture::{Fixture, Token, Wrap};
pub use report::{Report, Verdict};
pub use words::{answer, recorded, route};

use std::future::Future;

use crate::{Capabilities, Kind};

/// Why a case does not hold, or why it does not apply.
#[derive(Debug)]
pub(crate) enum Stop {
    Absent(String),
    Broken(String),
}

pub(crate) type Held = std::result::Result<(), Stop>;

impl From<crate::Error> for Stop {
    fn from(error: crate::Error) -> Stop {
        Stop::Broken(error.to_string())
    }
}

/// Broken unless it holds.
pub(crate) fn ensure(holds: bool, how: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(Stop::Broken(how())) }
}

/// Absent unless the kind claims it.
pub(crate) fn claims(claimed: bool, why: &str) -> Held {
    if claimed { Ok(()) } else { Err(Stop::Absent(why.to_owned())) }
}

/// The kind under test.
pub(crate) fn kind(fixture: &dyn Fixture) -> std::result::Result<&'static Kind, Stop> {
    let kinds = fixture.platform().kinds();
    let found = kinds.iter().find(|kind| kind.name == fixture.kind());
    found.ok_or_else(|| Stop::Broken(format!("the platform has no kind {:?}", fixture.kind())))
}

pub(crate) fn can(fixture: &dyn Fixture) -> std::result::Result<Capabilities, Stop> {
    Ok(kind(fixture)?.capabilities)
}

/// Runs every case and tells what became of each.
pub async fn run(fixture: &dyn Fixture) -> Report {
    let mut report = Report::new(fixture).await;
    macro_rules! cases {
        ($($module:ident :: $case:ident),* $(,)?) => {
            $(report.add(stringify!($case), settle($module::$case(fixture)).await);)*
        };
    }
    cases!(
        offline::every_kind_is_named_after_its_platform,
        offline::every_field_has_a_default_that_fits_its_type,
        offline::a_scope_is_parsed_into_itself,
        offline::a_change_of_scopes_has_a_direction_and_its_reverse_the_other,
        offline::no_text_makes_the_scope_parser_panic,
        integration::the_tenant_is_the_same_in_every_process,
        integration::an_integration_is_born_parked_with_its_record,
        integration::a_second_create_is_refused,
        integration::an_unfinished_create_is_resumed_by_its_own_realm,
        integration::what_is_not_there_is_none,
        integration::another_incarnation_is_refused,
        integration::a_listing_has_everybody_and_says_whether_it_is_complete,
        integration::settings_are_what_was_asked_for,
        integration::a_record_changes_alone,
        integration::scopes_are_replaced_and_emptied,
        integration::a_scope_given_by_hand_is_seen_and_taken_away,
        integration::a_scope_with_an_end_keeps_it,
        integration::switching_off_and_on_changes_nothing_else,
        integration::deleting_twice_succeeds,
        credential::every_way_of_issuing_is_published_and_promised,
        credential::a_credential_is_issued_marked_and_listed,
        credential::a_repeated_issue_finds_the_earlier_deed,
        credential::two_credentials_live_at_once,
        credential::a_replaced_credential_is_refused,
        credential::ending_one_leaves_the_others,
        credential::one_that_is_switched_off_is_not_ended_and_works_when_it_is_switched_on,
        credential::a_place_is_neither_written_over_nor_emptied_for_its_next_holder,
        credential::an_end_that_was_set_is_told,
        credential::the_end_of_one_is_brought_forward_and_put_off_and_the_others_keep_theirs,
        credential::revocation_is_proven_by_use,
        credential::switched_off_means_no_sign_in,
        credential::a_connection_knows_the_credential_that_it_signs_in_with,
        credential::children_are_found_and_revoked,
        credential::access_lets_in_for_no_longer_than_asked_and_is_refused_once_it_is_ended,
        credential::a_credential_issued_by_hand_is_listed_and_can_be_ended,
        credential::a_lean_read_tells_ids_and_the_rest_on_request,
        credential::a_random_secret_looks_like_a_real_one,
        credential::a_secret_of_ours_is_another_every_time,
        route::what_cannot_be_read_is_an_error_and_never_absence,
        route::a_404_that_is_not_the_platforms_own_ends_nothing,
        route::a_read_only_connection_changes_nothing,
        route::a_change_whose_answer_is_lost_is_ambiguous,
        route::a_failing_server_leaves_a_change_ambiguous_and_a_refusing_one_undone,
        route::no_error_quotes_an_answer,
    );
    report
}

async fn settle(case: impl Future<Output = Held>) -> Verdict {
    match case.await {
        Ok(()) => Verdict::Held,
        Err(Stop::Absent(why)) => Verdict::Absent(why),
        Err(Stop::Broken(how)) => Verdict::Broken(how),
    }
}
