resource "nhi_owner" "payments" {
  name  = "payments-platform"
  email = "payments@acme.example"
}
