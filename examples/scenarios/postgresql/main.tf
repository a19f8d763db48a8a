terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody and ledger: nhi.hcl beside this file.
provider "nhi" {}

resource "nhi_owner" "billing" {
  name  = "billing"
  email = "billing@acme.example"
}

# A role that a nightly job signs in as. It is born without a password and with nothing granted.
resource "nhi_integration" "invoice_export" {
  connection_name = "db"
  name            = "invoice-export"
  purpose         = "Hands the invoices of the day to the accountants"
  environment     = "production"
  business_owner  = nhi_owner.billing
  technical_owner = nhi_owner.billing
  execution_mode  = "batch"
  expires_on      = "2099-06-30"
  ceiling         = { highest_action = "write" }
  postgresql_role = { connection_limit = 3 }
}

# What it may do: read invoices, and say in one column that they were handed over.
resource "nhi_scope" "invoice_export" {
  integration = nhi_integration.invoice_export
  scopes = [
    "schema/shop/billing:usage",
    "table/shop/billing/invoice:select",
    "column/shop/billing/invoice/exported_at:update",
  ]
  justification = "Reads invoices and marks the ones that were handed over"
}

# A role has one password at a time: the old one dies as the new one is set.
resource "nhi_rotation_schedule" "monthly" {
  name    = "monthly"
  every   = "30d"
  overlap = "0"
}

# Its password. The job reads it before it signs in.
resource "nhi_credential" "invoice_export" {
  integration         = nhi_integration.invoice_export
  postgresql_password = {}
  schedule            = nhi_rotation_schedule.monthly
  deliver_to          = { app = { connection = "bao", path = "secret/apps/invoice-export" } }
}
