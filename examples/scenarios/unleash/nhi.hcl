# An Unleash server, whose API tokens are delivered to an OpenBao.
demo = true

connections = {
  flags = {
    unleash = {
      address    = "http://127.0.0.1:4242"
      credential = { env = "UNLEASH_ADMIN_TOKEN" }
    }
  }
  bao = {
    openbao = {
      address    = "http://127.0.0.1:8200"
      credential = { env = "BAO_TOKEN" }
    }
  }
}

custody = { connection = "bao", path = "secret/nhi" }
realm   = { id = "k3x9q2", key = { env = "NHI_REALM_KEY" } }
ledger  = { sqlite = { path = "nhi.db" } }
