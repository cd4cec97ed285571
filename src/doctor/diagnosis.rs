//! Why there is no GPU, and what to do: a function of the facts alone.

use std::path::Path;

use serde::Serialize;

use super::drivers::Maker;
use super::facts::{Access, Facts, Loader, Os};
use super::remedies::{Command, Package, install, type_this};
use crate::backend::{Adapter, AdapterKind};

/// Why there is no hardware GPU to train on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// This program has no GPU backend.
    BuiltWithout,
    /// This program is static, and can't load a driver.
    Static,
    /// Vulkan's loader is not installed.
    NoLoader,
    /// Vulkan's loader can't be loaded.
    BrokenLoader,
    /// A variable names drivers that are none.
    BadOverride,
    /// A variable leaves only software to be found.
    OverriddenBySoftware,
    /// A container has NVIDIA's device without its Vulkan driver.
    ContainerWithoutVulkan,
    /// NVIDIA's kernel driver runs, its Vulkan driver is missing.
    NvidiaWithoutVulkan,
    /// The user may not use the device.
    NoPermission,
    /// Linux under Windows.
    Wsl,
    /// A container was given no device.
    NotPassedIn,
    /// A GPU is there and has no driver.
    NoDriver,
    /// A driver is there, its library is not.
    BrokenDriver,
    /// All seems to be in place, and the driver finds nothing.
    DriverFindsNothing,
    /// There is no GPU to be seen, only a software adapter.
    SoftwareOnly,
    /// There is no GPU to be seen.
    NoGpu,
}

/// A cause with its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Why, for programs.
    pub cause: Cause,
    /// Why, in a sentence without its stop.
    pub what: String,
    /// What to do, in a sentence without its stop.
    pub remedy: String,
    /// What to type.
    pub commands: Vec<Command>,
}

/// Why none of the adapters is a hardware GPU, and what to do; `None` where one is.
pub fn diagnose(facts: &Facts, adapters: &[Adapter]) -> Option<Diagnosis> {
    if adapters.iter().any(|adapter| adapter.kind != AdapterKind::Software) {
        return None;
    }
    if !facts.gpu_build {
        return Some(Diagnosis {
            cause: Cause::BuiltWithout,
            what: "this deltav was built without GPU support".to_owned(),
            remedy: "build it with its default features".to_owned(),
            commands: vec![type_this("in deltav's folder", "cargo install --path .")],
        });
    }
    Some(match facts.os {
        Os::Linux | Os::Other => linux(facts, adapters),
        Os::Macos => elsewhere(
            "macOS offers no GPU through Metal",
            "deltav needs macOS 10.14 or newer; virtual machines often have no Metal: run it outside of them",
        ),
        Os::Windows => elsewhere(
            "Windows offers no GPU through DX12 or Vulkan",
            "install the driver of the GPU's maker (nvidia.com/drivers, amd.com/support, \
             intel.com/download-center), and restart",
        ),
    })
}

fn elsewhere(what: &str, remedy: &str) -> Diagnosis {
    Diagnosis { cause: Cause::NoGpu, what: what.to_owned(), remedy: remedy.to_owned(), commands: Vec::new() }
}

fn linux(facts: &Facts, adapters: &[Adapter]) -> Diagnosis {
    let found = [of_program, of_override, of_wsl, of_nvidia, of_permission, of_bus];
    found.iter().find_map(|look| look(facts)).unwrap_or_else(|| of_nothing(facts, adapters))
}

/// The program and the loader.
fn of_program(facts: &Facts) -> Option<Diagnosis> {
    let (cause, what, remedy, commands) = match &facts.loader {
        Loader::Static => (
            Cause::Static,
            "this deltav is a static program (musl), which can't load a GPU's driver".to_owned(),
            "take the build for glibc (…-linux-gnu), or build it here",
            vec![type_this("in deltav's folder", "cargo install --path .")],
        ),
        Loader::Missing(_) => (
            Cause::NoLoader,
            "Vulkan's loader, libvulkan.so.1, is not installed".to_owned(),
            "install it, and with it the GPU's driver",
            install(facts, package(facts)),
        ),
        Loader::Broken(why) => (
            Cause::BrokenLoader,
            format!("Vulkan's loader can't be loaded: {why}"),
            "look for another libvulkan.so.1 in LD_LIBRARY_PATH, or install it anew",
            install(facts, Package::Loader),
        ),
        _ => return None,
    };
    Some(Diagnosis { cause, what, remedy: remedy.to_owned(), commands })
}

/// The package that brings a loader and the driver for what is on the bus.
fn package(facts: &Facts) -> Package {
    if facts.pci.contains(&Maker::Nvidia) || !facts.nvidia.is_empty() {
        Package::Nvidia
    } else {
        Package::Mesa
    }
}

/// `VK_DRIVER_FILES` and its older name.
fn of_override(facts: &Facts) -> Option<Diagnosis> {
    let set = facts.overridden.as_ref()?;
    let variable = set.variable;
    let faulty = facts.drivers.iter().find_map(|driver| Some((driver, driver.fault.as_ref()?)));
    let software = facts.drivers.iter().all(|driver| driver.maker == Maker::Software);
    let (cause, what) = match faulty {
        Some((driver, fault)) => (
            Cause::BadOverride,
            format!("{variable} names {}, which {}", driver.manifest.display(), fault.text()),
        ),
        None if facts.drivers.is_empty() => {
            (Cause::BadOverride, format!("{variable} is set to `{}`, which names no driver", set.value))
        }
        None if software && sees_gpu(facts) => (
            Cause::OverriddenBySoftware,
            format!("{variable} is set to {}, and leaves only a software driver to find", set.value),
        ),
        None => return None,
    };
    let remedy = "unset it, or correct it to the full path of a driver's .json file";
    let commands = vec![
        type_this("bash, zsh", format!("unset {variable}")),
        type_this("fish", format!("set -e {variable}")),
    ];
    Some(Diagnosis { cause, what, remedy: remedy.to_owned(), commands })
}

/// Whether the system shows a GPU that may compute.
fn sees_gpu(facts: &Facts) -> bool {
    facts.pci.iter().any(|maker| *maker != Maker::Other)
        || !facts.nvidia.is_empty()
        || !facts.render.is_empty()
        || facts.dxg
}

fn of_wsl(facts: &Facts) -> Option<Diagnosis> {
    if !facts.wsl {
        return None;
    }
    let (what, remedy) = if facts.dxg {
        (
            "this is Linux under Windows (WSL), whose GPU has no Vulkan driver that keeps to the standard",
            "run deltav for Windows, in PowerShell: it uses the GPU through DX12",
        )
    } else {
        (
            "this is Linux under Windows (WSL), which was handed no GPU (/dev/dxg)",
            "run deltav for Windows, in PowerShell: it uses the GPU through DX12",
        )
    };
    let commands = vec![type_this("PowerShell", "deltav.exe doctor")];
    Some(Diagnosis { cause: Cause::Wsl, what: what.to_owned(), remedy: remedy.to_owned(), commands })
}

fn of_nvidia(facts: &Facts) -> Option<Diagnosis> {
    if facts.nvidia.is_empty() || denied(facts).is_some() {
        return None;
    }
    let mut drivers = facts.drivers.iter().filter(|driver| driver.maker == Maker::Nvidia);
    if drivers.any(|driver| driver.fault.is_none()) {
        return None;
    }
    Some(match facts.container {
        Some(_) => {
            let has = facts.nvidia_capabilities.as_deref().filter(|has| !has.is_empty()).unwrap_or("not set");
            Diagnosis {
                cause: Cause::ContainerWithoutVulkan,
                what: format!(
                    "the container has an NVIDIA GPU, but not its Vulkan driver (NVIDIA_DRIVER_CAPABILITIES: {has})"
                ),
                remedy: "start the container with the capability `graphics`, which `all` has".to_owned(),
                commands: vec![
                    type_this("Docker, Podman", "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all …"),
                    type_this("Dockerfile", "ENV NVIDIA_DRIVER_CAPABILITIES=all"),
                ],
            }
        }
        None => Diagnosis {
            cause: Cause::NvidiaWithoutVulkan,
            what: "NVIDIA's kernel driver runs, but its Vulkan driver is not installed".to_owned(),
            remedy: "install the driver's graphics libraries, of the same version".to_owned(),
            commands: install(facts, Package::Nvidia),
        },
    })
}

/// A device that the user may not open, where there is none that opens.
fn denied(facts: &Facts) -> Option<&Path> {
    let mut nodes = facts.nvidia.iter().chain(&facts.render);
    let any = nodes.clone().any(|node| node.access == Access::Open);
    let first = nodes.find(|node| node.access == Access::Denied)?;
    (!any).then_some(&first.path)
}

fn of_permission(facts: &Facts) -> Option<Diagnosis> {
    let path = denied(facts)?.display();
    let commands = match facts.container {
        Some(_) => vec![type_this(
            "Docker, Podman",
            format!("docker run --device /dev/dri --group-add $(stat -c %g {path}) …"),
        )],
        None => vec![type_this("Linux", "sudo usermod -aG render,video \"$USER\"")],
    };
    let remedy = match facts.container {
        Some(_) => "give the container's user the device's group",
        None => "join the groups that may, then log out and in again",
    };
    Some(Diagnosis {
        cause: Cause::NoPermission,
        what: format!("this user may not use the GPU's device {path}"),
        remedy: remedy.to_owned(),
        commands,
    })
}

/// A GPU on the bus, or a device's file, and no driver for it.
fn of_bus(facts: &Facts) -> Option<Diagnosis> {
    if !sees_gpu(facts) {
        return None;
    }
    let makers = [(Maker::Nvidia, "an NVIDIA"), (Maker::Amd, "an AMD"), (Maker::Intel, "an Intel")];
    let maker = makers.iter().find(|(maker, _)| facts.pci.contains(maker));
    let gpu = maker.map_or_else(|| "a GPU".to_owned(), |(_, name)| format!("{name} GPU"));
    let nodes = !facts.nvidia.is_empty() || !facts.render.is_empty();
    if facts.container.is_some() && !nodes {
        return Some(Diagnosis {
            cause: Cause::NotPassedIn,
            what: format!("the host has {gpu}, but the container was given none"),
            remedy: "start the container with the GPU".to_owned(),
            commands: vec![
                type_this("NVIDIA", "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all …"),
                type_this("AMD, Intel", "docker run --device /dev/dri …"),
            ],
        });
    }
    let hardware = || facts.drivers.iter().filter(|driver| driver.maker != Maker::Software);
    if let Some((driver, fault)) = hardware().find_map(|driver| Some((driver, driver.fault.as_ref()?))) {
        return Some(Diagnosis {
            cause: Cause::BrokenDriver,
            what: format!("the driver's {} {}", driver.manifest.display(), fault.text()),
            remedy: "install the driver anew".to_owned(),
            commands: install(facts, package(facts)),
        });
    }
    let served = match maker {
        Some((maker, _)) => hardware().any(|driver| driver.maker == *maker),
        None => hardware().next().is_some(),
    };
    if !served || !nodes {
        return Some(Diagnosis {
            cause: Cause::NoDriver,
            what: format!("the computer has {gpu}, and no working driver for it"),
            remedy: "install its driver, and restart the computer".to_owned(),
            commands: install(facts, package(facts)),
        });
    }
    Some(Diagnosis {
        cause: Cause::DriverFindsNothing,
        what: format!("the computer has {gpu} and its Vulkan driver, which finds nothing{}", said(facts)),
        remedy: "restart the computer: after an update, kernel and driver differ until then".to_owned(),
        commands: vec![type_this("to see more", "vulkaninfo --summary")],
    })
}

/// What else Vulkan said.
fn said(facts: &Facts) -> String {
    match &facts.loader {
        Loader::Failed(why) => format!(" ({why})"),
        _ => String::new(),
    }
}

/// No sign of a GPU.
fn of_nothing(facts: &Facts, adapters: &[Adapter]) -> Diagnosis {
    let passed = facts.container.map_or("", |_| ", or the container was given none");
    let (cause, what) = match adapters.first() {
        Some(adapter) => (
            Cause::SoftwareOnly,
            format!(
                "no GPU is to be seen{passed}, only the software adapter {}, which is slower than the CPU",
                adapter.name
            ),
        ),
        None if facts.loader == Loader::NoDriver || facts.drivers.is_empty() => {
            (Cause::NoDriver, "Vulkan's loader is there, but no driver, and no GPU is to be seen".to_owned())
        }
        None => (Cause::NoGpu, format!("no GPU is to be seen{passed}{}", said(facts))),
    };
    let mut commands = Vec::new();
    if cause == Cause::NoDriver {
        commands = install(facts, Package::Mesa);
    } else if facts.container.is_some() {
        commands.push(type_this("NVIDIA", "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all …"));
        commands.push(type_this("AMD, Intel", "docker run --device /dev/dri …"));
    }
    let remedy = match (cause, facts.container) {
        (Cause::NoDriver, _) => "if there is a GPU, install its driver (for NVIDIA: its maker's own)",
        (_, Some(_)) => "if the host has one, start the container with it",
        (_, None) => {
            "nothing is to be done, if there is none; a virtual machine must be given one by its host"
        }
    };
    Diagnosis { cause, what, remedy: remedy.to_owned(), commands }
}
