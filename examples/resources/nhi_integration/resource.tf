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
  openbao_approle = { token_ttl = "1h" }
}
