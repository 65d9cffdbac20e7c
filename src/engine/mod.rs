//! In: a project and an intent. Out: effects on the runtime, by one loop: lower, observe, plan, execute.
//! **Invariant:** decisions are taken in `plan`; here they are prepared and carried out.

mod execute;
mod inputs;
pub mod lower;
mod observe;
mod prepare;
mod reconcile;
mod step;
mod tell;

pub use execute::{Executor, Failure, Outcome};
pub use inputs::read_inputs;
pub use observe::observe;
pub use prepare::{Prepared, prepare, remembered};
pub use reconcile::{Engine, EngineError, PARALLEL, Preview};
pub use step::{ImageError, ImageSource, StepError};
