# An organisation on GitHub, whose deploy keys and webhook secrets are delivered to an OpenBao. Our own
# credential is a token of a GitHub App's installation; with app_id it is the App's private key, from a file.
demo = true

connections = {
  github = {
    github = {
      organization = "acme"
      enterprise   = "acme-inc"
      address      = "https://api.github.com"
      credential   = { env = "GITHUB_TOKEN" }
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
