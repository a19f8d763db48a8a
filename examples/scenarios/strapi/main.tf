terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody and ledger: nhi.hcl beside this file.
provider "nhi" {}

resource "nhi_owner" "support" {
  name  = "support"
  email = "support@acme.example"
}

# An application that reads the project's tickets. It is born as an API token that may do nothing.
resource "nhi_integration" "helpdesk" {
  connection_name = "cms"
  name            = "helpdesk"
  purpose         = "Shows the project's tickets in the help desk"
  environment     = "production"
  business_owner  = nhi_owner.support
  technical_owner = nhi_owner.support
  execution_mode  = "batch"
  expires_on      = "2099-06-30"
  strapi_client   = {}
}

# What every token of it may do: actions of the content API, by their own names.
resource "nhi_scope" "helpdesk" {
  integration   = nhi_integration.helpdesk
  scopes        = ["api::ticket.ticket.find+findOne"]
  justification = "Reads tickets and nothing else"
}

resource "nhi_rotation_schedule" "monthly" {
  name    = "monthly"
  every   = "30d"
  overlap = "24h"
}

# A further token beside the integration's own: two live at once while it rotates. Where the token must
# keep its name in Strapi, strapi_own_token = {} regenerates that one, without overlap.
resource "nhi_credential" "helpdesk" {
  integration  = nhi_integration.helpdesk
  strapi_token = {}
  schedule     = nhi_rotation_schedule.monthly
  deliver_to   = { app = { connection = "bao", path = "secret/apps/helpdesk" } }
  depends_on   = [nhi_scope.helpdesk]
}
