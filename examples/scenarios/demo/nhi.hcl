# What the demonstration connects to: an OpenBao on this machine.
# The address is filled in when the server has chosen its port.
demo = true

connections = {
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
