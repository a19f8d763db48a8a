# A client of an authorization server: what it may ask for, and the key that it signs in with.

terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody and ledger: nhi.hcl beside this file.
provider "nhi" {}

# Whoever is switched off in the directory is drift of everything that they own.
variable "desk" {
  type        = string
  description = "The id of the service desk's lead in the directory: its own id, and no user name."
}

resource "nhi_owner" "desk" {
  name      = "service-desk"
  email     = "desk@acme.example"
  directory = { connection = "people", id = var.desk }
}

resource "nhi_integration" "ticket_sync" {
  connection_name = "login"
  name            = "ticket-sync"
  purpose         = "Copies open tickets into the weekly report of the service desk"
  environment     = "production"
  business_owner  = nhi_owner.desk
  technical_owner = nhi_owner.desk
  oauth_client    = {}
}

# Without a scope the client is parked: it has no grant type and gets no token.
resource "nhi_scope" "ticket_sync" {
  integration   = nhi_integration.ticket_sync
  scopes        = ["tickets:read", "reports:read"]
  justification = "Reads tickets and the report that they go into"
}

# A key pair: the server gets the public half. Unlike a client secret it can rotate with overlap.
resource "nhi_credential" "ticket_sync" {
  integration       = nhi_integration.ticket_sync
  oauth_private_key = {}
  schedule          = { name = "monthly", every = "30d", overlap = "24h" }
  deliver_to        = { app = { connection = "files", path = "apps/ticket-sync" } }
}
