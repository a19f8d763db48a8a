//! What decides by a policy: who reviews changes, who asks, and whether the policy may be used.

use std::{path::Path, sync::Arc};

use approval::{Folder, requester::Issuer};
use connector::{Clock as _, SystemClock};
use operations::{
    ApprovalGate, Gate, Problem, RulesGate,
    in_force::{ChainGate, InForce},
    review::ReviewBoard,
};

use crate::{
    connections::read_secret_file,
    context::Environment,
    policy_files::{Earlier, ReviewFiles},
};

/// The token of this run, by which a pipeline shows who asks.
const TOKEN: &str = "NHI_REQUEST_TOKEN";

/// The file that holds it.
const TOKEN_FILE: &str = "NHI_REQUEST_TOKEN_FILE";

/// What decides, where nobody is asked: what was asked before is remembered all the same.
pub(crate) fn nobody() -> Arc<dyn Gate> {
    Arc::new(ChainGate::new(Arc::new(RulesGate), InForce::new(None, None)))
}

/// What decides by what a policy names. `digest` is of the policy's text.
pub(crate) fn gate(
    files: ReviewFiles,
    digest: String,
    folder: &Path,
    environment: &Environment,
) -> Result<Arc<dyn Gate>, Problem> {
    let (here, kept) = (files.version(), files.kept());
    let (requester, unproven) = match asking(&files.issuers, folder, environment) {
        Ok(who) => (who, None),
        Err(why) => (None, Some(why)),
    };
    let ReviewFiles { terms, signers, revoked, approvals, .. } = files;
    let earlier = Earlier { kept, approvals: approvals.clone(), revoked: revoked.clone() };
    let store = Box::new(Folder(approvals));
    let board = ReviewBoard::new(terms, digest, signers, revoked, store)
        .asked_by(requester)
        .asked_by_nobody(unproven);
    let chain = InForce::new(Some(here), Some(Box::new(earlier)));
    Ok(Arc::new(ChainGate::new(Arc::new(ApprovalGate(Arc::new(board))), chain)))
}

/// Who asks, where a pipeline's token shows it; nobody where there is none.
fn asking(
    issuers: &[Issuer],
    folder: &Path,
    environment: &Environment,
) -> Result<Option<String>, String> {
    let set = |name: &str| environment.get(name).filter(|text| !text.trim().is_empty());
    let token = match (set(TOKEN), set(TOKEN_FILE)) {
        (Some(token), _) => domain::Secret::new(token),
        (None, Some(file)) => read_secret_file(&folder.join(&file))
            .map_err(|(why, _)| format!("{TOKEN_FILE}: {file}: {why}"))?,
        (None, None) => return Ok(None),
    };
    if issuers.is_empty() {
        return Err(
            "the policy names nobody whose word is taken for it (review.requesters)".to_owned()
        );
    }
    let now = SystemClock.now();
    approval::requester::requester(token.expose(), issuers, now.into())
        .map(Some)
        .map_err(|why| why.to_string())
}
