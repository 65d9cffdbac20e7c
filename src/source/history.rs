//! What happened to a value on its way from its file to the merged tree: steps come in, oldest first they are kept with the node.
//! **Invariant:** a node that nothing happened to pays for no history; one remembers the first [`MOST_STEPS`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::sync::Arc;

use super::node::{Node, Value};
use super::span::Span;

/// Where an interpolated variable's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableOrigin {
    /// The process environment.
    Os,
    /// An environment file; the span is the value's.
    File(Span),
    /// rcompose itself, e.g. `COMPOSE_PROJECT_NAME`.
    Builtin,
    /// Nowhere: the variable is not set.
    Unset,
}

/// One thing that happened to a node on its way from its file to the merged tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It replaced the value written at this place.
    Overrode(Span),
    /// It was inherited through the `extends` written at this place.
    Extended(Span),
    /// It was imported through the `include` written at this place.
    Included(Span),
    /// The alias written at this place stands for it.
    Aliased(Span),
    /// It was merged in by the `<<` written at this place.
    MergedIn(Span),
    /// A variable was put into it; the span is the variable's place in the scalar.
    Interpolated {
        /// The variable.
        name: String,
        /// Where its value came from.
        origin: VariableOrigin,
        /// Where in the scalar it stands.
        span: Span,
    },
}

/// How many steps a node remembers.
const MOST_STEPS: usize = 64;

/// How a node was written, where its value does not tell, and what happened to it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The text of a plain scalar that prints differently, e.g. `0755` or `1e3`.
    raw: Option<Box<str>>,
    /// Oldest first.
    steps: Vec<Step>,
}

impl History {
    /// The text of a plain scalar that prints differently.
    pub(super) fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }
}

impl Node {
    /// Remembers what happens to every value below that has no values below it.
    pub fn record_below(&mut self, step: &Step) {
        match &mut self.value {
            Value::Seq(items) if !items.is_empty() => {
                for item in items {
                    item.record_below(step);
                }
            }
            Value::Map(mapping) if !mapping.is_empty() => {
                for node in mapping.values_mut() {
                    node.record_below(step);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::Seq(_)
            | Value::Map(_) => self.push_step(step.clone()),
        }
    }

    /// Remembers that it takes the place of another value, and of those that took its place before.
    pub fn record_replaced(&mut self, replaced: &Self) {
        let earlier = replaced.steps().iter();
        // Those of one value differ from each other.
        let own = self.steps().len();
        for step in earlier.filter(|step| matches!(step, Step::Overrode(_))) {
            if !self.steps()[..own].contains(step) {
                self.push_step(step.clone());
            }
        }
        if !replaced.is_null() && replaced.span != self.span {
            self.push_step(Step::Overrode(replaced.span));
        }
    }

    /// Whether a variable was put into it.
    pub fn is_interpolated(&self) -> bool {
        self.steps()
            .iter()
            .any(|step| matches!(step, Step::Interpolated { .. }))
    }

    /// What happened to it since it was read, oldest first.
    pub fn steps(&self) -> &[Step] {
        self.history.as_ref().map_or(&[], |history| &history.steps)
    }

    /// Remembers what happened to it.
    /// Of more than anybody follows the first are kept.
    pub fn push_step(&mut self, step: Step) {
        if self.steps().len() >= MOST_STEPS {
            return;
        }
        let steps = &mut Arc::make_mut(self.history.get_or_insert_default()).steps;
        if steps.is_empty() {
            steps.reserve_exact(1);
        }
        steps.push(step);
    }

    /// This node after what happened to another one.
    #[must_use]
    pub fn with_steps_of(mut self, other: &Self) -> Self {
        if !other.steps().is_empty() {
            Arc::make_mut(self.history.get_or_insert_default()).steps = other.steps().to_vec();
        }
        self
    }

    /// This node, which was written as `raw`, e.g. `0755`; only a number, boolean or nothing keeps that.
    #[must_use]
    pub fn with_raw(mut self, raw: &str) -> Self {
        if self.as_str().is_none() && self.scalar_text().as_deref() != Some(raw) {
            Arc::make_mut(self.history.get_or_insert_default()).raw = Some(raw.into());
        }
        self
    }

    /// From now on it is printed as its value, not as it was written.
    pub fn forget_spelling(&mut self) {
        if let Some(history) = self.history.as_mut().filter(|history| history.raw.is_some()) {
            Arc::make_mut(history).raw = None;
        }
    }
}
