//! The Adversary Emulation Library: below each group's `Emulation_Plan` lie YAML files with Caldera's abilities, step by step.

use super::files::is_below;
use super::stockpile::read_abilities;
use super::{Import, Origin};
use std::path::Path;

pub(super) fn read(path: &Path, origin: &Origin, import: &mut Import) {
    read_abilities(path, "plans (…/Emulation_Plan/…/….yaml)", |path| is_below(path, "Emulation_Plan"), "", origin, import);
}
