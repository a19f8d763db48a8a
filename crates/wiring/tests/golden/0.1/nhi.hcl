connections = {
  bao = {
    openbao = {
      address       = "https://bao.acme.example"
      namespace     = "teams/payments"
      ca_file       = "/etc/ssl/acme.pem"
      sign_in_mount = "machines"
      credential    = { env = "BAO_TOKEN" }
      budget        = 50
    }
  }
  second = { openbao = { address = "https://two.acme.example", credential = { file = "token" }, tenant = "0b2c" } }
  as     = { oauth = { address = "https://id.acme.example", credential = { path = "bao:secret/as#token" } } }
  people = { scim = { address = "https://id.acme.example/scim/v2", credential = { env = "SCIM_TOKEN" } } }
  disk   = { file = { folder = "secrets" } }
}
realm   = { id = "k3x9q2", key = { env = "NHI_REALM_KEY" } }
custody = { connection = "bao", path = "secret/nhi" }
ledger  = { sqlite = { path = "nhi.db" } }
policy  = { file = "policy.hcl" }
run     = { ticket = "OPS-1", url = "https://ci.acme.example/1", requester = "ada" }

read_only = true
