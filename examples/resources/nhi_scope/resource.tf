resource "nhi_scope" "invoice_sync" {
  integration   = nhi_integration.invoice_sync # the whole object, not its id
  scopes        = ["secret/data/invoices/*:read"]
  justification = "Reads tonight's invoices and nothing else"

  temporary = {
    "secret/data/invoices-2025/*:read" = {
      until         = "2026-12-05T18:00:00Z"
      justification = "Re-run of the 2025 closing"
      ticket        = "CHG-2201"
    }
  }

  # nhi elevate gives it for half an hour at most, once a board has approved that change.
  on_request = {
    "secret/data/ledger/*:read" = {
      max      = "30m"
      approval = "high"
    }
  }
}
