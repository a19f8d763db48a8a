//! Serving a provider: handshake, transport and life-cycle.
