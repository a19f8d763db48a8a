terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody and ledger: nhi.hcl beside this file.
provider "nhi" {}

resource "nhi_owner" "teaching" {
  name  = "teaching"
  email = "teaching@acme.example"
}

# A user of the hub that no person is behind. It is born in no group.
resource "nhi_integration" "class_report" {
  connection_name = "hub"
  name            = "class-report"
  purpose         = "Counts every Monday who is in which class"
  environment     = "production"
  business_owner  = nhi_owner.teaching
  technical_owner = nhi_owner.teaching
  execution_mode  = "batch"
  expires_on      = "2099-06-30"
  ceiling         = { highest_action = "read" }
  jupyterhub_user = {}
}

# What it may do: the hub's configuration gives the members of this group the role that lists users.
resource "nhi_scope" "class_report" {
  integration   = nhi_integration.class_report
  scopes        = ["group/readers"]
  classify      = { "group/readers" = "read" }
  justification = "Lists users and their groups, and nothing else"
}

resource "nhi_rotation_schedule" "monthly" {
  name    = "monthly"
  every   = "30d"
  overlap = "24h"
}

# A token that may do a part of it: names and groups, not when anybody was last there.
resource "nhi_credential" "class_report" {
  integration      = nhi_integration.class_report
  jupyterhub_token = { scopes = ["list:users", "read:users:groups"] }
  schedule         = nhi_rotation_schedule.monthly
  deliver_to       = { app = { connection = "bao", path = "secret/apps/class-report" } }

  # A token may do no more than its user, so the user is let in before it is issued.
  depends_on = [nhi_scope.class_report]
}
