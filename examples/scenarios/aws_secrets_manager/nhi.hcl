# An AWS account whose keys are delivered into its own Secrets Manager, and an OpenBao for custody: what is
# on its way must be gone once it was delivered, and Secrets Manager cannot destroy one version.

connections = {
  aws = {
    aws_iam = {
      credential     = { access_key = { id = { env = "AWS_ACCESS_KEY_ID" }, secret = { env = "AWS_SECRET_ACCESS_KEY" } } }
      secrets_region = "eu-central-1"
      tenant         = "123456789012"
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
