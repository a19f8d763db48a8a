# An IAM user for a program, whose access key the program finds in AWS Secrets Manager.

terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

provider "nhi" {}

resource "nhi_owner" "finance" {
  name  = "finance-operations"
  email = "finance-ops@acme.example"
}

resource "nhi_integration" "invoice_sync" {
  connection_name = "aws"
  name            = "invoice-sync"
  purpose         = "Copies paid invoices from the bucket to the general ledger every night"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.finance
  aws_iam_user    = { path = "/services/" }
}

resource "nhi_scope" "invoice_sync" {
  integration   = nhi_integration.invoice_sync
  scopes        = ["s3:ListAllMyBuckets@*", "s3:GetObject@arn:aws:s3:::invoices/*"]
  justification = "Finds the bucket and reads tonight's invoices"
}

resource "nhi_credential" "invoice_sync" {
  integration = nhi_integration.invoice_sync
  schedule    = { name = "monthly", every = "30d", overlap = "24h" }

  # The secret's name in Secrets Manager. Its current version (AWSCURRENT) is the new key, the one before
  # (AWSPREVIOUS) the earlier; after the overlap that one opens nothing, and can still be read.
  deliver_to = {
    app = {
      connection = "aws"
      path       = "apps/invoice-sync"
      fields     = { AWS_ACCESS_KEY_ID = "key_id", AWS_SECRET_ACCESS_KEY = "secret" }
    }
  }
}
