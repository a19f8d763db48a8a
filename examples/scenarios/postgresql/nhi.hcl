# A cluster of PostgreSQL databases, whose passwords are delivered to an OpenBao.
demo = true

connections = {
  db = {
    postgresql = {
      address    = "postgresql://127.0.0.1:5432/postgres"
      user       = "postgres"
      credential = { env = "NHI_PGPASSWORD" }
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
