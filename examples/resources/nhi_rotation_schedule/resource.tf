resource "nhi_rotation_schedule" "monthly" {
  name     = "monthly"
  every    = "30d"
  spread   = "3d"
  overlap  = "24h"
  windows  = [{ days = ["sat", "sun"], start = "02:00", length = "4h" }]
  timezone = "Europe/Zurich"
}
