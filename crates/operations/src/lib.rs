//! The deeds: the one code path of each change, whoever asks for it.
//!
//! A deed looks, lets `policy` judge, journals, acts, and looks again. It chooses nothing itself
//! and never guesses: after anything but a clean success it observes anew.

#![warn(clippy::disallowed_methods)]

mod access;
mod ack;
mod adopt;
mod another;
mod around;
mod attest;
mod beside;
pub mod break_glass;
mod claim;
mod context;
mod copies;
mod credential;
mod decommission;
mod delivered;
mod document;
mod drift;
mod drill;
mod duty;
mod elevate;
mod elsewhere;
mod ends;
mod foreseen;
mod forget;
mod form;
mod gate;
pub mod in_force;
mod integration;
mod inventory;
mod journal;
mod judge_all;
mod keep;
mod late;
mod lease;
mod observe;
mod ourselves;
mod owner;
mod places;
mod prints;
mod problem;
mod promise;
mod proof;
mod realm_key;
mod refused;
pub mod review;
mod rotate;
mod scopes;
mod signals;
mod slot;
mod switch;
mod task;
mod tell;
mod third_party;
mod tick;
mod tries;
mod troubled;
mod unheard;
mod unowned;
mod usage;
mod whoami;
mod withdraw;

pub use access::{OpenAccess, SignInWith, close_access, open_access, still_open};
pub use ack::{Acknowledged, acknowledge};
pub use adopt::{Part, governed_already, slot_name_of, unmarked_key};
pub use another::{Another, another, may_have_more};
pub use around::{SeenAround, look_around};
pub use attest::{conclude_review, reviewing_board};
pub use claim::{ClaimDocument, ClaimNames, ClaimStore};
pub use context::{Connections, Context, Custody, Notices, Run, StopSign};
pub use copies::{SecretCopy, copies_in};
pub use credential::{
    How, Outcome, Revoked, adjust, at_rest, carry_out, create_slot, declare_slot, end_slot,
    goal_of_create, goal_of_finish, goal_of_going_on, goal_of_resume, park_for_replacement,
    revoke_first, take_over,
};
pub use decommission::{Checklist, Decommissioned, STEPS, Step, decommission};
pub use delivered::{Delivered, other_fields, read_delivered};
pub use drift::{
    Begun, Held, Judged, Wish, WishedOwner, WishedScopes, WishedSlot, WishedThirdParty, Wishes,
    accepting_anything, declared_in_ledger, delivery, everything_begun, everything_left_open,
    judge_integration, judge_left_behind, judge_owner, on_request, schedule_written,
};
pub use drill::{Drilled, drill, may_drill};
pub use duty::{DueNow, Met, catch_up, due_now, duties_of, meet};
pub use elevate::{
    ElevateRequest, Elevated, Foreseen, elevate, elevations, end_elevation, foresee_elevation,
    running,
};
pub use elsewhere::{governed_elsewhere, is_elsewhere};
pub use ends::set_ends;
pub use foreseen::{crowded, no_room, no_room_beside, unfit_setting};
pub use forget::forget;
pub use form::{consumers, declared_slot, end_of_day, not_shown, slot_to_end, undeclared_slot};
pub use gate::{ApprovalGate, Authorization, Deed, EndingGate, Gate, RulesGate};
pub use integration::{
    DeclaredIntegration, create_integration, delete_integration, revoke_everything,
    revoke_unmanaged, update_integration,
};
pub use inventory::{Inventory, is_managed, take_inventory};
pub use judge_all::{
    AllJudged, Reaching, clocks_disagree, judge_all, judge_each, ledger_changed, reach_of,
};
pub use keep::keep_sink;
pub use lease::{Lease, lease_time};
pub use observe::{
    SeenIntegration, UNKNOWN_CONNECTION, find_connection, judge_listed, object_of,
    observe_integration,
};
pub use ourselves::{not_ourselves, ourselves};
pub use owner::{OwnerEntry, look_up_owner, note_owner};
pub use places::{Misplaced, custody_is_all_of_a_store, home_of, in_custody, misplaced};
pub use prints::{KnownSecret, known_secrets};
pub use problem::Problem;
pub use promise::{
    best_grade, ends_by_itself_after, interrupts, keeps_earlier, limits, way_words, ways,
};
pub use realm_key::fits_custody as realm_key_fits_custody;
pub use refused::{delivered_nowhere, never_another, no_place};
pub use rotate::old_in_use;
pub use scopes::{DeclaredScopes, KindLattice, park_scopes, remove_over, set_scopes};
pub use signals::{
    HeardSignals, NewSignal, Received, Signal, all_heard, close as close_signal, judge_heard,
    receive as receive_signal,
};
pub use slot::{
    Consumers, Delivery, Left, PreviousKey, SeenDelivery, SeenSlot, Sinks, SlotSpec, observe_slot,
};
pub use switch::{Switch, turn};
pub use task::{Evidence, OpenTask, TaskDone, may_be_done, note_tasks, task_done, tasks};
pub use tell::{LookedUp, OwnerNotice, ends_to_tell, findings_to_tell, forget_ends, note_told};
pub use third_party::{judge_third_party, note_third_party};
pub use tick::{About, Asked, Looked, Next, Step as TickStep, Taken, Tick, Unread, Work};
pub use troubled::{failing, shut_out};
pub use unheard::{held_in_custody, never_heard_of};
pub use usage::{ImportedUsage, Line, UseLine, all_usage, import_usage};
pub use whoami::whoami;
pub use withdraw::{NotTakenBack, withdraw};
