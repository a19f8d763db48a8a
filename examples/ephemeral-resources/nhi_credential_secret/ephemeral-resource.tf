ephemeral "nhi_credential_secret" "invoice_sync" {
  credential = nhi_credential.invoice_sync
  sink       = "app"
}

# Into another provider's write-only attribute: in no plan and no state.
resource "aws_secretsmanager_secret_version" "invoice_sync" {
  secret_id                = aws_secretsmanager_secret.invoice_sync.id
  secret_string_wo         = jsonencode(ephemeral.nhi_credential_secret.invoice_sync.fields)
  secret_string_wo_version = nhi_credential.invoice_sync.generation
}
