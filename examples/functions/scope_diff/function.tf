locals {
  wider = provider::nhi::scope_diff(
    "openbao_approle",
    ["secret/data/invoices/*:read"],
    nhi_scope.invoice_sync.scopes,
  )
}

check "invoice_sync_stays_narrow" {
  assert {
    condition     = contains(["none", "narrows"], local.wider.direction)
    error_message = "invoice-sync may do more than was agreed: ${join(", ", local.wider.added)}."
  }
}
