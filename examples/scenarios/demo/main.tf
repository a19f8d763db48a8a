terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody and ledger: nhi.hcl beside this file.
provider "nhi" {}

resource "nhi_owner" "finance" {
  name  = "finance-operations"
  email = "finance-ops@acme.example"
}

resource "nhi_owner" "payments" {
  name  = "payments-platform"
  email = "payments@acme.example"
}

resource "nhi_integration" "invoice_sync" {
  connection_name  = "bao"
  name             = "invoice-sync"
  purpose          = "Copies paid invoices from billing to the general ledger every night"
  environment      = "production"
  business_owner   = nhi_owner.finance
  technical_owner  = nhi_owner.payments
  execution_mode   = "batch"
  expires_on       = "2099-06-30"
  ceiling          = { highest_action = "secret" }
  revoke_unmanaged = true
  openbao_approle  = { token_ttl = "1h" }
}

resource "nhi_scope" "invoice_sync" {
  integration   = nhi_integration.invoice_sync
  scopes        = ["secret/data/invoices/*:read"]
  justification = "Reads tonight's invoices and nothing else"
}

resource "nhi_rotation_schedule" "often" {
  name          = "often"
  every         = var.every
  min_age       = var.min_age
  overlap       = var.overlap
  overdue_after = "1h"
  lifetime      = "24h"
}

resource "nhi_credential" "invoice_sync" {
  integration = nhi_integration.invoice_sync
  schedule    = nhi_rotation_schedule.often
  deliver_to  = { app = { connection = "bao", path = "secret/apps/invoice-sync" } }
}

# A demonstration has minutes, not months.
variable "every" {
  type    = string
  default = "40s"
}

variable "min_age" {
  type    = string
  default = "30s"
}

variable "overlap" {
  type    = string
  default = "5s"
}

output "generation" {
  value = nhi_credential.invoice_sync.generation
}
