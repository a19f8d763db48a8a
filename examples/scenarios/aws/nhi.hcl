# An AWS account, and an OpenBao that the keys are delivered to.

connections = {
  aws = {
    aws_iam = {
      # A session's third part is session_token = { env = "AWS_SESSION_TOKEN" }.
      credential = { access_key = { id = { env = "AWS_ACCESS_KEY_ID" }, secret = { env = "AWS_SECRET_ACCESS_KEY" } } }
      tenant     = "123456789012"
    }
  }
  bao = {
    openbao = {
      address    = "https://bao.acme.example:8200"
      credential = { env = "BAO_TOKEN" }
    }
  }
}

custody = { connection = "bao", path = "secret/nhi" }
realm   = { id = "k3x9q2", key = { env = "NHI_REALM_KEY" } }
ledger  = { sqlite = { path = "nhi.db" } }
