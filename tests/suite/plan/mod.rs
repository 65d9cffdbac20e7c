//! The planner, its executor and the whole reconciliation on a host in memory: laws by property tests, stories by scenarios.

mod imagined;
mod law;
mod lowering;
mod reconciling;
mod scenario;
