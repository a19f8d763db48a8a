resource "nhi_integration" "invoice_sync" {
  connection_name = "bao"
  name            = "invoice-sync"
  purpose         = "Copies paid invoices from billing to the general ledger every night"
  environment     = "production"
  business_owner  = nhi_owner.finance # the whole object, not its id
  technical_owner = nhi_owner.payments
  execution_mode  = "batch"
  expires_on      = "2027-06-30"
  review_every    = "90d"
  ceiling         = { highest_action = "secret" }

  # What it has to do with besides its platform.
  offboarding_owner = nhi_owner.payments
  stop_within       = "5m"
  workflows = {
    nightly = {
      version          = "2026.11"
      reviewed_version = "2026.11" # other than version: somebody must look at its scopes again
      invokers         = ["owner/payments-platform"]
    }
  }
  reaches = {
    ledger = { category = "erp", direction = "writes", data = "financial", domain = "finance" }
  }

  openbao_approle = { token_ttl = "1h" }
}
