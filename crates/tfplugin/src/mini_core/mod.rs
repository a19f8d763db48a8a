//! A small core that launches a provider as Terraform does, for tests.
