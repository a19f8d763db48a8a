//! The connector against moto, an AWS account on this machine.

mod account;
mod conformance;
mod life;
mod sink;
