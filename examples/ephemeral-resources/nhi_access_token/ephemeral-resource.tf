ephemeral "nhi_access_token" "invoice_sync" {
  integration = nhi_integration.invoice_sync
  expires_in  = "10m"
}

# Signs another provider in for this run alone:
#   provider "vault" {
#     token            = ephemeral.nhi_access_token.invoice_sync.token
#     skip_child_token = true
#   }
# or a program:
resource "terraform_data" "import_invoices" {
  provisioner "local-exec" {
    command     = "./import-invoices.sh"
    environment = { BAO_TOKEN = ephemeral.nhi_access_token.invoice_sync.token }
  }
}
