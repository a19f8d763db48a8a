data "nhi_findings" "serious" {
  severity_at_least = "high"
}

check "nothing_serious_is_open" {
  assert {
    condition = length(data.nhi_findings.serious.findings) == 0
    error_message = join("\n", [
      for one in data.nhi_findings.serious.findings : "${one.rule}: ${one.subject}: ${coalesce(one.why, one.facet)}"
    ])
  }
}
