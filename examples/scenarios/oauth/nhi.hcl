# An authorization server, a folder that this host's programs read, and a directory of people.

connections = {
  login = {
    oauth = {
      address    = "https://login.acme.example"
      credential = { env = "LOGIN_TOKEN" } # the initial access token
    }
  }
  files = {
    file = { folder = "secrets" }
  }
  people = {
    scim = {
      address    = "https://people.acme.example/scim/v2"
      credential = { env = "PEOPLE_TOKEN" }
    }
  }
}

# The tokens that manage the clients are kept here.
custody = { connection = "files", path = "nhi" }
realm   = { id = "k3x9q2", key = { env = "NHI_REALM_KEY" } }
ledger  = { sqlite = { path = "nhi.db" } }
