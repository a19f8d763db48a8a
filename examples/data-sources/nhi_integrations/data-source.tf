data "nhi_integrations" "all" {}

check "nobody_is_ownerless" {
  assert {
    condition = alltrue([
      for one in data.nhi_integrations.all.integrations : one.technical_owner != null || one.builtin
    ])
    error_message = "There are integrations that nobody owns."
  }
}
