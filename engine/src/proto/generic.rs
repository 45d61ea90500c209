//! Protocols without a tracker of their own: one timeout, renewed by every packet, never ASSURED.

use super::{Scene, Step};
use crate::config::Knob;

pub(super) fn track(scene: &Scene<'_>) -> Step {
    Step::Refresh(scene.config.secs(Knob::GenericTimeout))
}
