//! What a scope lets its holder do: AWS's access levels, by the words that its actions begin with, and
//! the places where such a word means more.

use domain::{Action, Scope};

use crate::scope::{Form, action_covers, denies, form};

/// Actions that give, take or show more than their first word says; the first that fits counts.
const PLACES: [(&str, Action); 69] = [
    ("sts:GetCallerIdentity", Action::Read),
    ("sts:GetAccessKeyInfo", Action::Read),
    ("sts:DecodeAuthorizationMessage", Action::Read),
    ("sts:*", Action::Identity),
    ("iam:Get*", Action::Read),
    ("iam:List*", Action::Read),
    ("iam:Simulate*", Action::Read),
    ("iam:Generate*", Action::Read),
    ("iam:*Policy*", Action::Policy),
    ("iam:*PermissionsBoundary", Action::Policy),
    ("iam:*", Action::Identity),
    ("organizations:Describe*", Action::Read),
    ("organizations:List*", Action::Read),
    ("organizations:*", Action::Admin),
    ("account:Get*", Action::Read),
    ("account:List*", Action::Read),
    ("account:*", Action::Admin),
    ("sso:Get*", Action::Read),
    ("sso:List*", Action::Read),
    ("sso:Describe*", Action::Read),
    ("sso:*", Action::Identity),
    ("sso-directory:*", Action::Identity),
    ("identitystore:List*", Action::Read),
    ("identitystore:Describe*", Action::Read),
    ("identitystore:Get*", Action::Read),
    ("identitystore:*", Action::Identity),
    ("cognito-idp:Admin*", Action::Identity),
    ("cognito-identity:GetCredentialsForIdentity", Action::Identity),
    ("rolesanywhere:*", Action::Identity),
    ("ram:*", Action::Policy),
    ("secretsmanager:GetSecretValue", Action::Secret),
    ("secretsmanager:BatchGetSecretValue", Action::Secret),
    ("ssm:GetParameter*", Action::Secret),
    ("ssm:SendCommand", Action::Execute),
    ("ssm:StartSession", Action::Admin),
    ("kms:Decrypt", Action::Secret),
    ("kms:ReEncrypt*", Action::Secret),
    ("kms:CreateGrant", Action::Policy),
    ("kms:Encrypt", Action::Write),
    ("kms:Sign", Action::Write),
    ("kms:GenerateDataKey*", Action::Write),
    ("ecr:GetAuthorizationToken", Action::Secret),
    ("ecr-public:GetAuthorizationToken", Action::Secret),
    ("codeartifact:GetAuthorizationToken", Action::Secret),
    ("redshift:GetClusterCredentials*", Action::Secret),
    ("redshift-serverless:GetCredentials", Action::Secret),
    ("rds-db:connect", Action::Write),
    ("rds:DownloadCompleteDBLogFile", Action::Read),
    ("ec2:GetPasswordData", Action::Secret),
    ("apigateway:*", Action::Unknown),
    ("execute-api:*", Action::Execute),
    ("lambda:Get*", Action::Secret),
    ("lambda:AddPermission", Action::Policy),
    ("lambda:AddLayerVersionPermission", Action::Policy),
    ("s3:PutObjectAcl", Action::Policy),
    ("s3:PutBucketAcl", Action::Policy),
    ("s3:PutObjectVersionAcl", Action::Policy),
    ("s3:*PublicAccessBlock", Action::Policy),
    ("s3:*AccessPoint*", Action::Policy),
    ("sns:AddPermission", Action::Policy),
    ("sqs:AddPermission", Action::Policy),
    ("sqs:ReceiveMessage", Action::Read),
    ("dynamodb:PartiQLSelect", Action::Read),
    ("dynamodb:ExportTableToPointInTime", Action::Export),
    ("s3:GetObject*", Action::Read),
    ("logs:PutLogEvents", Action::Write),
    ("logs:CreateLog*", Action::Write),
    ("cloudwatch:PutMetricData", Action::Write),
    ("cloudtrail-data:PutAuditEvents", Action::Write),
];

/// Services that watch: whoever changes them may blind somebody.
const WATCHERS: [&str; 12] = [
    "cloudtrail",
    "config",
    "guardduty",
    "securityhub",
    "logs",
    "cloudwatch",
    "access-analyzer",
    "detective",
    "inspector2",
    "macie2",
    "events",
    "xray",
];

/// The words that actions begin with.
const WORDS: [(&str, Action); 79] = [
    ("List", Action::Read),
    ("Describe", Action::Read),
    ("Get", Action::Read),
    ("BatchGet", Action::Read),
    ("BatchDescribe", Action::Read),
    ("Head", Action::Read),
    ("Search", Action::Read),
    ("Query", Action::Read),
    ("Scan", Action::Read),
    ("Select", Action::Read),
    ("Lookup", Action::Read),
    ("View", Action::Read),
    ("Read", Action::Read),
    ("Check", Action::Read),
    ("Validate", Action::Read),
    ("Estimate", Action::Read),
    ("Preview", Action::Read),
    ("Detect", Action::Read),
    ("Filter", Action::Read),
    ("ConditionCheck", Action::Read),
    ("Verify", Action::Read),
    ("Poll", Action::Read),
    ("Export", Action::Export),
    ("Download", Action::Export),
    ("Create", Action::Write),
    ("Put", Action::Write),
    ("Update", Action::Write),
    ("Modify", Action::Write),
    ("Set", Action::Write),
    ("Add", Action::Write),
    ("Attach", Action::Write),
    ("Associate", Action::Write),
    ("Allocate", Action::Write),
    ("Assign", Action::Write),
    ("Tag", Action::Write),
    ("Untag", Action::Write),
    ("Copy", Action::Write),
    ("Import", Action::Write),
    ("Restore", Action::Write),
    ("Register", Action::Write),
    ("Enable", Action::Write),
    ("Upload", Action::Write),
    ("Publish", Action::Write),
    ("BatchWrite", Action::Write),
    ("Insert", Action::Write),
    ("Rotate", Action::Write),
    ("Change", Action::Write),
    ("Complete", Action::Write),
    ("Initiate", Action::Write),
    ("Replace", Action::Write),
    ("Reset", Action::Write),
    ("Apply", Action::Write),
    ("Abort", Action::Write),
    ("Merge", Action::Write),
    ("Move", Action::Write),
    ("Split", Action::Write),
    ("Increase", Action::Write),
    ("Decrease", Action::Write),
    ("Disable", Action::Delete),
    ("Delete", Action::Delete),
    ("BatchDelete", Action::Delete),
    ("Remove", Action::Delete),
    ("Terminate", Action::Delete),
    ("Purge", Action::Delete),
    ("Detach", Action::Delete),
    ("Disassociate", Action::Delete),
    ("Deregister", Action::Delete),
    ("Release", Action::Delete),
    ("Revoke", Action::Delete),
    ("Cancel", Action::Delete),
    ("Stop", Action::Delete),
    ("Start", Action::Execute),
    ("Invoke", Action::Execute),
    ("Run", Action::Execute),
    ("Execute", Action::Execute),
    ("Send", Action::Execute),
    ("Submit", Action::Execute),
    ("Reboot", Action::Execute),
    ("Retry", Action::Execute),
];

/// What a scope lets its holder do.
pub(crate) fn action(scope: &Scope) -> Action {
    match form(scope.as_str()) {
        Some(Form::Allow { action, .. }) => of_action(action),
        Some(Form::Policy(arn)) => of_policy(arn),
        Some(Form::Group(_) | Form::Rule { .. }) | None => Action::Unknown,
    }
}

/// AWS's own policies are named after what they give. What a customer's own gives is said by nobody.
fn of_policy(arn: &str) -> Action {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    match name {
        _ if !arn.contains(":iam::aws:") => Action::Unknown,
        _ if denies(arn) => Action::None,
        "AdministratorAccess" | "PowerUserAccess" => Action::Admin,
        "IAMFullAccess" => Action::Identity,
        "ReadOnlyAccess" => Action::Export,
        "ViewOnlyAccess" | "SecurityAudit" => Action::Read,
        // Reading these is reading secrets.
        _ if name.contains("Secret") || name.contains("SSM") || name.contains("Lambda") => {
            Action::Unknown
        }
        _ if name.ends_with("ReadOnlyAccess") || name.ends_with("ReadOnly") => Action::Read,
        _ if name.ends_with("FullAccess") => Action::Admin,
        _ => Action::Unknown,
    }
}

fn of_action(action: &str) -> Action {
    let Some((service, name)) = action.split_once(':') else { return Action::Admin };
    let Some(prefix) = name.split(['*', '?']).next().filter(|prefix| !prefix.is_empty()) else {
        // All of a service, and what its resources allow to whom.
        return Action::Admin;
    };
    let whole = prefix.len() == name.len();
    if let Some((_, known)) = PLACES.iter().find(|(place, _)| action_covers(place, action)) {
        return *known;
    }
    // A pattern that says less than a place reaches it as well.
    let reached = PLACES.iter().filter(|(place, _)| !whole && action_covers(action, place));
    let reached = reached.map(|(_, known)| *known).max().unwrap_or(Action::None);
    let verb = WORDS.iter().filter(|(word, _)| begins(prefix, word));
    let Some((_, known)) = verb.max_by_key(|(word, _)| word.len()) else { return Action::Unknown };
    let changes = *known >= Action::Write;
    let known = match () {
        () if changes && name.to_ascii_lowercase().contains("policy") => Action::Policy,
        // `Put*` of anything reaches `PutResourcePolicy`.
        () if changes && !whole => (*known).max(Action::Policy),
        () if changes && WATCHERS.contains(&service) => Action::Suppress,
        () => *known,
    };
    known.max(reached)
}

/// Whether a name begins with a word, and the word ends there.
fn begins(name: &str, word: &str) -> bool {
    name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        && !name[word.len()..].starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_ranked_by_what_they_do() {
        let of = |text: &str| action(&Scope::canonical(text));
        for (text, expected) in [
            ("s3:GetObject@*", Action::Read),
            ("s3:ListBucket@arn:aws:s3:::x", Action::Read),
            ("s3:PutObject@*", Action::Write),
            ("s3:DeleteObject@*", Action::Delete),
            ("s3:PutBucketPolicy@*", Action::Policy),
            ("s3:PutBucketAcl@*", Action::Policy),
            ("s3:Get*@*", Action::Read),
            ("s3:Put*@*", Action::Policy),
            ("s3:*@*", Action::Admin),
            ("*@*", Action::Admin),
            ("dynamodb:Query@*", Action::Read),
            ("dynamodb:BatchWriteItem@*", Action::Write),
            ("sqs:SendMessage@*", Action::Execute),
            ("lambda:InvokeFunction@*", Action::Execute),
            ("secretsmanager:GetSecretValue@*", Action::Secret),
            ("secretsmanager:Get*@*", Action::Secret),
            ("secretsmanager:ListSecrets@*", Action::Read),
            ("kms:Decrypt@*", Action::Secret),
            ("kms:PutKeyPolicy@*", Action::Policy),
            ("iam:GetUser@*", Action::Read),
            ("iam:PassRole@*", Action::Identity),
            ("iam:CreateAccessKey@*", Action::Identity),
            ("iam:AttachUserPolicy@*", Action::Policy),
            ("iam:*@*", Action::Admin),
            ("sts:AssumeRole@*", Action::Identity),
            ("sts:GetCallerIdentity@*", Action::Read),
            ("cloudtrail:StopLogging@*", Action::Suppress),
            ("logs:PutLogEvents@*", Action::Write),
            ("logs:DeleteLogGroup@*", Action::Suppress),
            ("organizations:LeaveOrganization@*", Action::Admin),
            ("acme:Frobnicate@*", Action::Unknown),
            ("acme:Settle@*", Action::Unknown),
            ("ec2:De*@*", Action::Unknown),
            ("policy/arn:aws:iam::aws:policy/AdministratorAccess", Action::Admin),
            ("policy/arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", Action::Read),
            ("policy/arn:aws:iam::aws:policy/AmazonS3FullAccess", Action::Admin),
            ("policy/arn:aws:iam::aws:policy/AWSDenyAll", Action::None),
            ("policy/arn:aws:iam::123456789012:policy/ReadOnlyAccess", Action::Unknown),
            ("group/devs", Action::Unknown),
            ("rule/x#00112233", Action::Unknown),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
