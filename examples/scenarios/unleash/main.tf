terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody and ledger: nhi.hcl beside this file.
provider "nhi" {}

resource "nhi_owner" "shop" {
  name  = "shop"
  email = "shop@acme.example"
}

# An application that asks which features are on. It is born without a token that lets anybody in.
resource "nhi_integration" "checkout" {
  connection_name = "flags"
  name            = "checkout"
  purpose         = "Asks which of the checkout's features are switched on"
  environment     = "production"
  business_owner  = nhi_owner.shop
  technical_owner = nhi_owner.shop
  execution_mode  = "batch"
  expires_on      = "2099-06-30"
  unleash_client  = {}
}

resource "nhi_rotation_schedule" "monthly" {
  name    = "monthly"
  every   = "30d"
  overlap = "24h"
}

# What the token reaches is fixed when it is issued: another environment or project is a rotation. An
# ended token is accepted for up to a minute more, so an apply that ends one waits for the proof.
resource "nhi_credential" "checkout" {
  integration   = nhi_integration.checkout
  unleash_token = { environment = "production", projects = ["default"] }
  schedule      = nhi_rotation_schedule.monthly
  deliver_to    = { app = { connection = "bao", path = "secret/apps/checkout" } }
}
