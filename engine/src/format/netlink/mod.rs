//! ctnetlink messages (scaffolding).
mod encode;
mod entry;
mod names;
mod present;
mod read;
mod scaffold;
mod tuple;
mod write;
pub use encode::{group_of, put_entry, put_event};
pub use entry::Entry;
pub use names::{control, flag, group, kind};
pub use present::Present;
pub use read::{Attribute, Attributes, Malformed, Message, Messages};
pub use scaffold::*;
pub use write::Origin;
pub use names::entry as attribute;
