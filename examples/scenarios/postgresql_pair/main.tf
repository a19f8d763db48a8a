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

# A role that a service acts as, day and night. It is born without a password and with nothing granted.
resource "nhi_integration" "invoice_export" {
  connection_name = "db"
  name            = "invoice-export"
  purpose         = "Hands each invoice to the accountants as it comes in"
  environment     = "production"
  business_owner  = nhi_owner.billing
  technical_owner = nhi_owner.billing
  execution_mode  = "autonomous"
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

# Both of the roles that sign in for it have a password for a day: the service reads the next one in it.
resource "nhi_rotation_schedule" "monthly" {
  name    = "monthly"
  every   = "30d"
  overlap = "24h"
}

# The roles invoice-export_a and invoice-export_b sign in for it by turns. The document says which one, and
# its password: {"user": "invoice-export_b", "password": "…"}.
resource "nhi_credential" "invoice_export" {
  integration     = nhi_integration.invoice_export
  postgresql_pair = {}
  schedule        = nhi_rotation_schedule.monthly
  deliver_to      = { app = { connection = "bao", path = "secret/apps/invoice-export" } }
}
