output "next_rotation" {
  description = "Put it into the team's calendar."
  value       = provider::nhi::next_rotation(nhi_credential.invoice_sync)
}

# Before anything exists: would an object of this id rotate on a working day?
output "planned" {
  value = provider::nhi::next_rotation({
    id         = "bao/openbao_approle/invoice-sync/credential/default"
    schedule   = nhi_rotation_schedule.monthly
    issued_at  = "2026-01-31T09:00:00Z"
    expires_at = null
  })
}
