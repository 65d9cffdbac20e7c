//! In: directories of containers with their `container.log` files. Out: records in time order, once or as they come.
//! **Invariant:** a follow survives rotation and never skips a line that is still on disk.

pub mod merge;
pub mod reader;
pub mod record;
pub mod window;
