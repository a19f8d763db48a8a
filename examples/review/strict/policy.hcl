# For who must show to others that nobody acts alone: hardware keys, security in everything that gives
# power, short windows, a freeze, and a pipeline that shows who asks.

environments         = ["production", "staging", "test"]
environment_words    = { production = ["prod", "live"], test = ["test", "sandbox"] }
require_expires_on   = true
require_review_every = true
require_schedule     = true
two_owners_from      = "write"
wildcards            = "refuse"
temporary_longest    = "1d"

review = {
  version   = 1
  domain    = "acme.example"
  signers   = "allowed_signers"
  revoked   = "revoked_keys"
  approvals = "approvals"

  roles = {
    security = ["sam@acme.example", "sue@acme.example", "eli@acme.example"]
    platform = ["pat@acme.example"]
  }
  owners = {
    payments-platform = ["ann@acme.example", "eli@acme.example"]
  }

  quorum = {
    # To take power away waits for nobody, whatever stands here.
    low      = { people = 1, key = "touched", longest = "7d" }
    medium   = { people = 1, roles = ["owner", "security"], key = "touched", longest = "2d" }
    high     = { people = 2, roles = ["owner", "security"], each = ["security"], key = "touched", longest = "8h" }
    critical = { people = 2, roles = ["security"], key = "verified", longest = "4h" }
  }

  # Beside what is usual; a rule raises a level and never lowers it.
  impact = [
    {
      when  = { widens = true, action_at_least = "export", environments = ["production"] }
      level = "high"
      why   = "data may leave production"
    },
    {
      when  = { widens = true, action_at_least = "write", execution_modes = ["autonomous", "agent"], environments = ["production"] }
      level = "critical"
      why   = "in production nobody stands between it and what it does"
    },
    {
      when  = { deeds = ["adopt", "replace", "forget"] }
      level = "high"
      why   = "what is managed here changes hands"
    },
  ]

  # Who may go ahead alone in an emergency, and must answer for it the next day.
  break_glass = {
    people        = ["sam@acme.example", "sue@acme.example"]
    key           = "verified"
    longest       = "30m"
    changes       = 2
    review_within = "1d"
  }

  freeze = [
    { from = "2098-12-18T00:00:00Z", until = "2099-01-04T00:00:00Z", reason = "the year ends" },
    { days = ["fri"], start = "16:00", length = "62h", timezone = "Europe/Zurich", reason = "nobody is in who could help", but = ["low"] },
  ]

  # Whose word is taken for who asks; without it one more must sign.
  requesters = {
    github = {
      issuer     = "https://token.actions.githubusercontent.com"
      # curl https://token.actions.githubusercontent.com/.well-known/jwks > github.jwks.json
      keys       = "github.jwks.json"
      audience   = "nhi"
      require    = { repository = "acme/nhi", ref = "refs/heads/main" }
      claim      = "actor_id"
      principals = { "583231" = "pat@acme.example" }
    }
  }
}
