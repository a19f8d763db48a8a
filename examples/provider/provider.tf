terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

# Connections, realm, custody, policy and ledger stand in nhi.hcl beside this file; `nhi init`
# writes a first one.
provider "nhi" {}
