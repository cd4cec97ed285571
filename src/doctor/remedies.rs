//! What to type: the packages of each distribution, the flags of containers.

use serde::Serialize;

use super::facts::{Distribution, Facts};

/// A line to type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Where, or for what.
    pub on: &'static str,
    /// The line.
    pub line: String,
}

/// What a package manager can bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Package {
    /// Vulkan's loader.
    Loader,
    /// Mesa's drivers, of AMD's and Intel's GPUs.
    Mesa,
    /// NVIDIA's driver with its Vulkan part.
    Nvidia,
}

/// The families with their names and how each installs a package.
const FAMILIES: [(Distribution, &str); 4] = [
    (Distribution::Debian, "Debian"),
    (Distribution::Ubuntu, "Ubuntu"),
    (Distribution::Fedora, "Fedora"),
    (Distribution::Arch, "Arch"),
];

fn line(on: Distribution, package: Package) -> &'static str {
    use Distribution::{Arch, Debian, Fedora, Other, Ubuntu};
    match (package, on) {
        (Package::Loader, Debian | Ubuntu) => "apt-get install libvulkan1",
        (Package::Loader, Fedora) => "dnf install vulkan-loader",
        (Package::Loader, Arch) => "pacman -S vulkan-icd-loader",
        (Package::Mesa, Debian | Ubuntu) => "apt-get install mesa-vulkan-drivers libvulkan1",
        (Package::Mesa, Fedora) => "dnf install mesa-vulkan-drivers vulkan-loader",
        (Package::Mesa, Arch) => "pacman -S vulkan-icd-loader vulkan-radeon vulkan-intel",
        // Of Debian's part non-free, and of RPM Fusion.
        (Package::Nvidia, Debian) => "apt-get install nvidia-driver nvidia-vulkan-icd",
        (Package::Nvidia, Ubuntu) => "ubuntu-drivers install",
        (Package::Nvidia, Fedora) => "dnf install akmod-nvidia xorg-x11-drv-nvidia-libs",
        (Package::Nvidia, Arch) => "pacman -S nvidia nvidia-utils",
        (_, Other) => "",
    }
}

/// How a package is installed here; on a system that is not known, how it is elsewhere.
pub(super) fn install(facts: &Facts, package: Package) -> Vec<Command> {
    // In a container one mostly is root, and has no sudo.
    let sudo = if facts.container.is_some() { "" } else { "sudo " };
    let known = FAMILIES.iter().any(|(family, _)| *family == facts.distribution);
    let here = FAMILIES.iter().filter(|(family, _)| !known || *family == facts.distribution);
    here.map(|&(family, on)| Command { on, line: format!("{sudo}{}", line(family, package)) }).collect()
}

/// One line for one place.
pub(super) fn type_this(on: &'static str, line: impl Into<String>) -> Command {
    Command { on, line: line.into() }
}
