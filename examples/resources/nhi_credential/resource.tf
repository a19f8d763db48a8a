resource "nhi_credential" "invoice_sync" {
  integration = nhi_integration.invoice_sync # the whole object, not its id
  schedule    = nhi_rotation_schedule.monthly
  deliver_to  = { app = { connection = "bao", path = "secret/apps/invoice-sync" } }
}

# Restarts whatever holds the secret: the generation is known at plan, 6 -> 7.
resource "terraform_data" "restart" {
  triggers_replace = nhi_credential.invoice_sync.generation
}
