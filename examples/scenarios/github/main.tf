terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody and ledger: nhi.hcl beside this file.
provider "nhi" {}

resource "nhi_owner" "delivery" {
  name  = "delivery"
  email = "delivery@acme.example"
}

# What fetches one repository by SSH: all deploy keys that bear its name. It is born without one.
resource "nhi_integration" "deployer" {
  connection_name   = "github"
  name              = "deployer"
  purpose           = "Fetches what was merged, to deploy it"
  environment       = "production"
  business_owner    = nhi_owner.delivery
  technical_owner   = nhi_owner.delivery
  execution_mode    = "batch"
  expires_on        = "2099-06-30"
  github_ssh_client = { repository = "api" }
}

# Where GitHub tells of pushes.
resource "nhi_integration" "ci" {
  connection_name = "github"
  name            = "ci"
  purpose         = "Tells the build server what was pushed"
  environment     = "production"
  business_owner  = nhi_owner.delivery
  technical_owner = nhi_owner.delivery
  execution_mode  = "batch"
  expires_on      = "2099-06-30"
  github_webhook  = { url = "https://ci.acme.example/github", events = ["push", "pull_request"] }
}

resource "nhi_rotation_schedule" "monthly" {
  name    = "monthly"
  every   = "30d"
  overlap = "24h"
}

# A webhook has one secret: the next takes its place at once.
resource "nhi_rotation_schedule" "at_once" {
  name    = "at-once"
  every   = "30d"
  overlap = "0"
}

# Two keys live at once while it rotates. GitHub never gets the private half.
resource "nhi_credential" "deployer" {
  integration       = nhi_integration.deployer
  github_deploy_key = { read_only = true }
  schedule          = nhi_rotation_schedule.monthly
  deliver_to        = { app = { connection = "bao", path = "secret/apps/deployer" } }
}

resource "nhi_credential" "ci" {
  integration           = nhi_integration.ci
  github_webhook_secret = {}
  schedule              = nhi_rotation_schedule.at_once
  deliver_to            = { app = { connection = "bao", path = "secret/apps/ci" } }
}
