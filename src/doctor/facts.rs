//! What can be seen of a machine without asking a device.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::drivers::{Driver, Maker};

/// The operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Os {
    /// Linux, and under Windows too.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
    /// Another.
    Other,
}

/// A family of Linux distributions: what installs packages there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Debian and its: apt.
    Debian,
    /// Ubuntu and its: apt, and a tool of its own for NVIDIA's driver.
    Ubuntu,
    /// Fedora, RHEL and theirs: dnf.
    Fedora,
    /// Arch and its: pacman.
    Arch,
    /// Another, or none.
    Other,
}

/// How far Vulkan's loader came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// It made an instance: there is a driver.
    Works,
    /// There is no library of it: what the system said.
    Missing(String),
    /// There is one that can't be loaded: what the system said.
    Broken(String),
    /// The program is static, and can load no library.
    Static,
    /// It is there and has no driver that works.
    NoDriver,
    /// It failed in another way.
    Failed(String),
    /// Nobody asked it.
    Unknown,
}

/// Whether this user may use a device's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Opened to read and write.
    Open,
    /// The user may not.
    Denied,
    /// It failed otherwise.
    Failed,
}

/// A device's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Such as `/dev/dri/renderD128`.
    pub path: PathBuf,
    /// What came of opening it.
    pub access: Access,
}

/// A variable that replaces the loader's search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Override {
    /// Its name.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
}

/// What is known of a machine, gathered by [`Surroundings::facts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The operating system.
    pub os: Os,
    /// How it calls itself, such as `Debian GNU/Linux 12 (bookworm)`.
    pub name: Option<String>,
    /// What installs packages on it.
    pub distribution: Distribution,
    /// What kind of container this is, if it is one.
    pub container: Option<&'static str>,
    /// Whether this is Linux under Windows (WSL).
    pub wsl: bool,
    /// Whether this program was built with GPU support.
    pub gpu_build: bool,
    /// How far Vulkan came.
    pub loader: Loader,
    /// The variable that names drivers, if one is set.
    pub overridden: Option<Override>,
    /// The drivers that the loader would find, and what is wrong with them.
    pub drivers: Vec<Driver>,
    /// Makers of the GPUs on the PCI bus: in a container, those of the host.
    pub pci: Vec<Maker>,
    /// NVIDIA's device files.
    pub nvidia: Vec<Node>,
    /// `NVIDIA_DRIVER_CAPABILITIES`, which tells NVIDIA's container runtime what to mount.
    pub nvidia_capabilities: Option<String>,
    /// The render nodes of Linux's graphics drivers.
    pub render: Vec<Node>,
    /// Whether WSL hands a GPU through (`/dev/dxg`).
    pub dxg: bool,
}

/// Where facts are looked up: the root of a file system, and variables.
#[derive(Debug, Clone)]
pub struct Surroundings {
    root: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// This machine, and this process's variables.
    pub fn here() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        };
        Self { root: PathBuf::from("/"), variables: std::env::vars_os().map(text).collect() }
    }

    /// A file system below a folder, with these variables: what a test prepares.
    pub fn at(root: impl Into<PathBuf>, variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { root: root.into(), variables: variables.iter().map(owned).collect() }
    }

    /// Gathers what can be seen of a machine. Reads small files and opens devices' files; asks no
    /// driver.
    ///
    /// `loader`: how far Vulkan came, which only the program's start of it can tell.
    pub fn facts(&self, loader: Loader) -> Facts {
        let release = self.text(Path::new("/etc/os-release"), 1 << 16).unwrap_or_default();
        let overridden = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].into_iter().find_map(|variable| {
            let value = self.variable(variable).filter(|value| !value.is_empty())?.to_owned();
            Some(Override { variable, value })
        });
        let mut drivers = match &overridden {
            Some(set) => self.named_drivers(&set.value),
            None => self.installed_drivers(),
        };
        if overridden.is_none()
            && let Some(added) = self.variable("VK_ADD_DRIVER_FILES")
        {
            drivers.extend(self.named_drivers(added));
        }
        let nvidia = ["/dev/nvidiactl", "/dev/nvidia0"].map(Path::new);
        let kernel = self.text(Path::new("/proc/sys/kernel/osrelease"), 1 << 12).unwrap_or_default();
        Facts {
            os: match std::env::consts::OS {
                "linux" => Os::Linux,
                "macos" => Os::Macos,
                "windows" => Os::Windows,
                _ => Os::Other,
            },
            name: field(&release, "PRETTY_NAME"),
            distribution: distribution(&release),
            container: self.container(),
            wsl: kernel.to_lowercase().contains("microsoft"),
            gpu_build: cfg!(feature = "gpu"),
            loader,
            overridden,
            drivers,
            pci: self.pci(),
            nvidia: nvidia.iter().filter_map(|path| self.node(path)).collect(),
            nvidia_capabilities: self.variable("NVIDIA_DRIVER_CAPABILITIES").map(str::to_owned),
            render: self.render_nodes(),
            dxg: self.place(Path::new("/dev/dxg")).exists(),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Where a path of that file system is on this one; a relative one is seen from this folder.
    pub(super) fn place(&self, path: &Path) -> PathBuf {
        path.strip_prefix("/").map_or_else(|_| path.to_owned(), |below| self.root.join(below))
    }

    /// A file's bytes, if they are no more than so many.
    pub(super) fn bytes(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.place(path))?.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    pub(super) fn text(&self, path: &Path, most: u64) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(path, most)?).into_owned())
    }

    fn names(&self, folder: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.place(Path::new(folder))) else { return Vec::new() };
        let mut paths: Vec<PathBuf> =
            entries.flatten().map(|entry| Path::new(folder).join(entry.file_name())).collect();
        paths.sort();
        paths
    }

    fn container(&self) -> Option<&'static str> {
        let there = |path: &str| self.place(Path::new(path)).exists();
        match () {
            () if there("/.dockerenv") => Some("Docker container"),
            () if there("/run/.containerenv") => Some("Podman container"),
            () if self.variable("KUBERNETES_SERVICE_HOST").is_some() => Some("Kubernetes container"),
            () if self.variable("container").is_some_and(|kind| !kind.is_empty()) => Some("container"),
            () => None,
        }
    }

    fn node(&self, path: &Path) -> Option<Node> {
        let opened = File::options().read(true).write(true).open(self.place(path));
        let access = match opened.map_err(|error| error.kind()) {
            Ok(_) => Access::Open,
            Err(io::ErrorKind::NotFound) => return None,
            Err(io::ErrorKind::PermissionDenied) => Access::Denied,
            Err(_) => Access::Failed,
        };
        Some(Node { path: path.to_owned(), access })
    }

    fn render_nodes(&self) -> Vec<Node> {
        let is_render = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("renderD"))
        };
        self.names("/dev/dri")
            .iter()
            .filter(|path| is_render(path))
            .filter_map(|path| self.node(path))
            .collect()
    }

    /// Display controllers on the bus are of class 03.
    fn pci(&self) -> Vec<Maker> {
        let mut makers = Vec::new();
        for device in self.names("/sys/bus/pci/devices") {
            let read = |name| self.text(&device.join(name), 64).unwrap_or_default().trim().to_owned();
            if !read("class").starts_with("0x03") {
                continue;
            }
            let maker = match read("vendor").as_str() {
                "0x10de" => Maker::Nvidia,
                "0x1002" => Maker::Amd,
                "0x8086" => Maker::Intel,
                // Those of virtual machines show pictures and compute nothing.
                _ => Maker::Other,
            };
            if !makers.contains(&maker) {
                makers.push(maker);
            }
        }
        makers
    }
}

/// A field of `os-release`.
fn field(release: &str, name: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

fn distribution(release: &str) -> Distribution {
    let own = field(release, "ID").unwrap_or_default();
    let like = field(release, "ID_LIKE").unwrap_or_default();
    for id in std::iter::once(own.as_str()).chain(like.split_whitespace()) {
        match id {
            "ubuntu" => return Distribution::Ubuntu,
            "debian" => return Distribution::Debian,
            "fedora" | "rhel" | "centos" => return Distribution::Fedora,
            "arch" => return Distribution::Arch,
            _ => {}
        }
    }
    Distribution::Other
}

impl Loader {
    /// What a failed start of Vulkan said of itself, as a fact.
    pub fn failed(said: &str) -> Self {
        let reason = said.split("desc: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or(said);
        let reason = || reason.trim().to_owned();
        let has = |part: &str| said.contains(part);
        match () {
            () if has("Dynamic loading not supported") => Loader::Static,
            () if has("ERROR_INCOMPATIBLE_DRIVER") => Loader::NoDriver,
            () if !has("missing Vulkan entry points") => Loader::Failed(reason()),
            () if has("No such file") || has("Error loading shared library") => Loader::Missing(reason()),
            () => Loader::Broken(reason()),
        }
    }
}
