//! In: the calls of an executor. Out: their effects on a model of a host in memory, for tests of the engine.
//! Effects are counted one by one, so a test can cut the power after any of them, and fail chosen calls.
//! **Invariant:** it refuses what the kernel would refuse (order of calls, names in use), so a wrong plan fails here too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fake::world::World;
use crate::request::ContainerRequest;

mod calls;
mod create;
#[cfg(test)]
mod tests;
mod world;

/// What the first process of a service does once it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Becomes healthy when that is waited for, ends with 0 when that is waited for.
    #[default]
    Obliging,
    /// Its probe fails with this output.
    Unhealthy(String),
    /// Ends at once with this code.
    Exits(i32),
}

/// A host in memory.
#[derive(Debug, Default)]
pub struct FakeRuntime {
    world: Mutex<World>,
}

impl Clone for FakeRuntime {
    /// A second host in the same state; the two go separate ways.
    fn clone(&self) -> Self {
        Self {
            world: Mutex::new(self.world().clone()),
        }
    }
}

impl FakeRuntime {
    /// A host with these local images: reference and id.
    pub fn new<'a>(images: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let fake = Self::default();
        for (reference, id) in images {
            fake.set_image(reference, id);
        }
        fake
    }

    /// Puts an image into the store, or another one behind its name.
    pub fn set_image(&self, reference: &str, id: &str) {
        self.world().images.insert(reference.to_owned(), id.to_owned());
    }

    /// What containers of a service do from their next start on.
    pub fn set_behaviour(&self, service: &str, behaviour: Behaviour) {
        self.world().behaviours.insert(service.to_owned(), behaviour);
    }

    /// Makes a call of [`crate::Runtime`] fail, by the method's and the object's name, until [`Self::heal`].
    pub fn fail(&self, method: &str, name: &str, message: &str) {
        self.world()
            .failures
            .insert((method.to_owned(), name.to_owned()), message.to_owned());
    }

    /// Takes all failures and the cut back.
    pub fn heal(&self) {
        let mut world = self.world();
        world.failures.clear();
        world.budget = None;
    }

    /// After this many further effects every call that changes something is [`crate::RuntimeError::Cancelled`].
    pub fn cut_after(&self, effects: usize) {
        self.world().budget = Some(effects);
    }

    /// Effects so far, in order: `method name`.
    pub fn effects(&self) -> Vec<String> {
        self.world().log.clone()
    }

    /// The first process of a container ends by itself, and no policy restarts it.
    pub fn crash(&self, name: &str, code: i32) {
        if let Some(container) = self
            .world()
            .containers
            .values_mut()
            .find(|c| c.state.name == name)
        {
            container.end(code, false);
        }
    }

    /// The machine is started again: nothing runs and nothing is wired any more.
    pub fn reboot(&self) {
        for container in self.world().containers.values_mut() {
            if container.is_up() {
                container.end(137, false);
            }
            container.unwire();
        }
    }

    /// The request a container was made from, by name.
    pub fn request(&self, name: &str) -> Option<ContainerRequest> {
        self.world()
            .containers
            .values()
            .find(|c| c.state.name == name)
            .map(|c| c.request.clone())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
