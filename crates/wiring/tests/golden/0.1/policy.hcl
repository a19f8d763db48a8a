environments = ["production", "test"]
environment_words = { production = ["prod", "live"] }
require_expires_on = true
require_schedule = false
two_owners_from = "admin"
owner_grace = "7d"
owner_left = "warn"
expired = "revoke"
expired_revoke_after = "30d"
review_grace = "never"
temporary_longest = "30d"
claim_ttl = "15m"
lock_timeout = "2m"
