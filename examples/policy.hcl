# What our organization requires. nhi.hcl names this file: policy = { file = "policy.hcl" }

environments      = ["production", "staging", "test"]
environment_words = { production = ["prod", "live"], test = ["test", "sandbox"] }

require_expires_on   = true
require_review_every = true
require_schedule     = true
require_logs         = false
two_owners_from      = "write"

require_offboarding_owner = true
require_stop_within       = true
stop_within_longest       = "1h"
workflow_gone             = "disable"

owner_grace             = "14d"
owner_left              = "disable"
owner_left_revoke_after = "30d"
unowned_grace           = "30d"
expired                 = "disable"
expired_revoke_after    = "30d"
review_grace            = "30d"
temporary_longest       = "7d"
wildcards               = "warn"

claim_ttl        = "2m"
claim_ttl_timed  = "10m"
call_deadline    = "30s"
settle           = "1m"
interruption_max = "1m"
deliver_by       = "24h"
soft_cut_for     = "1h"
proof_deadline   = "24h"
quiet_for        = "12h"
overlap_max      = "7d"
old_still_used   = "ask"
lock_timeout     = "2m"
keep_entries     = "730d"

findings = {
  credential_oldest  = "180d"
  credential_longest = "90d"
  credential_ends    = true
  dormant_after      = "90d"
  domains_most       = 3
  systems_most       = 12
  severity           = { "purpose-says-nothing" = "medium", "unheld" = "low" }
}

# What nhi reconcile and nhi serve do by themselves.
standing = {
  rotate            = true
  retire            = true
  remove_temporary  = true
  disable_expired   = true
  disable_ownerless = false
}

# When owners are written to, by nhi serve.
owners_told = {
  before   = ["30d", "7d", "1d"]
  findings = "high"
}

# How changes are reviewed: who must sign what before it is applied. The files that are named lie
# beside this one; examples/review has them, for a team's first day and for a strict one.
review = {
  version   = 1
  domain    = "acme.example"
  signers   = "allowed_signers"
  revoked   = "revoked_keys"
  approvals = "approvals"

  # Who may sign in which role, and who speaks for which nhi_owner.
  roles  = { security = ["sam@acme.example", "sue@acme.example"], platform = ["pat@acme.example"] }
  owners = { payments-platform = ["ann@acme.example", "eli@acme.example"] }

  quorum = {
    low      = { people = 0 }
    medium   = { people = 1, roles = ["owner", "platform", "security"], longest = "7d" }
    high     = { people = 2, each = ["security"], key = "key", longest = "3d" }
    critical = { people = 2, each = ["security"], key = "touched", longest = "1d" }
  }

  # How much changes matter, beside what is usual. A rule raises a level and never lowers it.
  usual_impact = true
  impact = [
    {
      when = {
        widens                = true
        deeds                 = ["create", "adopt", "update"]
        action_at_least       = "export"
        environments          = ["production"]
        execution_modes       = ["autonomous", "agent"]
        kinds                 = ["nhi_scope"]
        takes_last_credential = false
        removes_owner         = false
      }
      level = "high"
      why   = "nobody sees what leaves production"
    },
  ]

  # When nothing is changed, but what is named and what takes power away.
  freeze = [
    { from = "2027-12-20T00:00:00Z", until = "2028-01-03T00:00:00Z", reason = "the year ends", but = ["low"] },
    { days = ["fri"], start = "16:00", length = "64h", timezone = "Europe/Zurich", reason = "nobody is in" },
  ]

  # Who may go ahead alone in an emergency, and how soon that is reviewed by those who would have signed.
  break_glass = { people = ["sue@acme.example"], key = "touched", longest = "1h", changes = 3, review_within = "72h" }

  # What is approved beforehand.
  standing = ["narrowing", "rotation"]

  # Whose word is taken for who asks. Where nobody has shown that, one more must sign.
  requesters = {
    github = {
      issuer     = "https://token.actions.githubusercontent.com"
      keys       = "github.jwks.json"
      audience   = "nhi"
      require    = { repository = "acme/nhi" }
      claim      = "actor"
      principals = { "bo-acme" = "bo@acme.example", "pat-acme" = "pat@acme.example" }
    }
  }
}

# What people do, because no platform can be asked for it: nhi task list.
tasks = {
  vendor-admins = {
    what     = "Go through the administrators of each vendor that runs an integration"
    owner    = "owner/finance-operations"
    each     = "none/third_party/*"
    first_by = "2027-01-31"
    every    = "90d"
  }
  stop-drill = {
    what     = "Try out how long an end takes"
    owner    = "owner/payments-platform"
    each     = "bao/*"
    drill    = true
    first_by = "2027-01-31"
    every    = "30d"
  }
}

# What somebody answers for until a day: listed all the same, and not counted.
waivers = [
  {
    rule     = "setting-changed"
    object   = "bao/openbao_approle/invoice-sync"
    facet    = "settings.token_ttl"
    reason   = "INC-4711: the nightly export takes longer than an hour until it is split"
    owner    = "ann@example.com"
    approver = "eli@example.com"
    ends_on  = "2027-01-31"
  },
]
