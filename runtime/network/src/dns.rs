//! Names of containers: the wire format, the zone of a network, and what to do with a query.
//!
//! **Invariant:** nothing here does I/O; a resolver gives bytes and gets bytes.

pub mod decision;
pub mod message;
pub mod zone;
