# A Strapi project, whose API tokens are delivered to an OpenBao. Our own token is an admin token, made in
# Strapi under Settings, Admin Tokens.
demo = true

connections = {
  cms = {
    strapi = {
      address    = "http://127.0.0.1:1337"
      credential = { env = "STRAPI_ADMIN_TOKEN" }
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
