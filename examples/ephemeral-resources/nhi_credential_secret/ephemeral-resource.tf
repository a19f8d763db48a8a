ephemeral "nhi_credential_secret" "invoice_sync" {
  credential = nhi_credential.invoice_sync
  sink       = "app"
}

# Hands it to a program: in no plan and no state. Another provider's write-only attribute takes it so:
#   secret_string_wo         = jsonencode(ephemeral.nhi_credential_secret.invoice_sync.fields)
#   secret_string_wo_version = nhi_credential.invoice_sync.generation
resource "terraform_data" "hand_on" {
  triggers_replace = nhi_credential.invoice_sync.generation
  provisioner "local-exec" {
    command     = "./tell-the-application.sh"
    environment = { SECRET_ID = ephemeral.nhi_credential_secret.invoice_sync.fields["secret_id"] }
  }
}
