# What a small team can live with on its first day: three people who may sign, one of them for each
# change that gives power, two for what gives much, and nobody for what takes it away.
#
#   nhi policy check                 is it right, and can everybody do what it asks?
#   nhi policy explain               what it asks, in sentences
#
# nhi.hcl names this file: policy = { file = "policy.hcl" }

review = {
  # Counts up with each change of this file, or of the one that says who may sign. A new version counts
  # when two of those have signed it whom this one names: nhi policy sign
  version = 1

  # What is signed for another organization counts for nothing here.
  domain = "acme.example"

  # Beside this file: who may sign, and the folder of what was signed.
  signers   = "allowed_signers"
  approvals = "approvals"

  roles = { platform = ["ann@acme.example", "pat@acme.example", "sam@acme.example"] }

  # What is not said is as usual: nobody for low impact, one person for medium, two for high and critical.
  # Who asks for a change is none of them. Where nobody has shown who asks, one more must sign: with three
  # people that is all of them. requesters in ../strict says how a pipeline shows it.
}
