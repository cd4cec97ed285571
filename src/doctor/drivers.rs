//! Vulkan's drivers as the loader finds them: JSON manifests that each name a library.
//!
//! Source: "Architecture of the Vulkan Loader Interfaces", *Driver Discovery*, of the Khronos
//! Vulkan-Loader.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::facts::Surroundings;

/// The largest manifest that is read, in bytes: real ones have some hundred.
const MOST: u64 = 1 << 16;

/// Manifests of one folder that are looked at.
const MOST_FILES: usize = 64;

/// Whose driver it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// The CPU's: Mesa's llvmpipe or SwiftShader.
    Software,
    /// NVIDIA's own.
    Nvidia,
    /// AMD's, Mesa's or its own.
    Amd,
    /// Intel's, of Mesa.
    Intel,
    /// Microsoft's layer over DX12, of Mesa.
    Dzn,
    /// Another's.
    Other,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverFault {
    /// No such file or folder.
    Missing,
    /// A folder without manifests.
    EmptyFolder,
    /// A file that can't be read: why.
    Unreadable(String),
    /// A path that is not absolute, and not there: seen from this folder.
    Relative,
    /// No JSON: why.
    NotJson(String),
    /// JSON without `ICD.library_path`.
    NoLibraryPath,
    /// The library that it names is not there.
    NoLibrary(String),
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// The manifest, or what was named in its stead.
    pub manifest: PathBuf,
    /// Whose driver it is, by its name.
    pub maker: Maker,
    /// What is wrong with it, if anything is.
    pub fault: Option<DriverFault>,
}

impl DriverFault {
    /// What is wrong, to follow the manifest's name.
    pub fn text(&self) -> String {
        match self {
            DriverFault::Missing => "does not exist".to_owned(),
            DriverFault::EmptyFolder => "is a folder without a driver's .json file".to_owned(),
            DriverFault::Unreadable(why) => format!("can't be read ({why})"),
            DriverFault::Relative => "is a relative path that leads nowhere from this folder".to_owned(),
            DriverFault::NotJson(why) => format!("is not JSON ({why})"),
            DriverFault::NoLibraryPath => "names no driver library (ICD.library_path)".to_owned(),
            DriverFault::NoLibrary(library) => format!("names a library that is not there, {library}"),
        }
    }
}

impl Maker {
    /// By the manifest's or the library's name.
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        match () {
            () if has(&["lvp", "lavapipe", "llvmpipe", "swiftshader", "vk_swiftshader"]) => Maker::Software,
            () if has(&["nvidia"]) => Maker::Nvidia,
            () if has(&["radeon", "amd"]) => Maker::Amd,
            () if has(&["intel"]) => Maker::Intel,
            () if has(&["dzn"]) => Maker::Dzn,
            () => Maker::Other,
        }
    }
}

impl Surroundings {
    /// The manifests that variables name: files, and folders of them.
    pub(super) fn named_drivers(&self, paths: &str) -> Vec<Driver> {
        let separator = if cfg!(windows) { ';' } else { ':' };
        let named = paths.split(separator).filter(|path| !path.is_empty()).take(MOST_FILES);
        named.flat_map(|path| self.named(Path::new(path))).collect()
    }

    fn named(&self, path: &Path) -> Vec<Driver> {
        let driver = |fault| Driver { manifest: path.to_owned(), maker: Maker::of(path), fault: Some(fault) };
        let place = self.place(path);
        match std::fs::metadata(&place) {
            Ok(found) if found.is_dir() => match self.folder(path) {
                drivers if drivers.is_empty() => vec![driver(DriverFault::EmptyFolder)],
                drivers => drivers,
            },
            Ok(_) => vec![self.driver(path)],
            Err(_) if path.is_relative() => vec![driver(DriverFault::Relative)],
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![driver(DriverFault::Missing)],
            Err(error) => vec![driver(DriverFault::Unreadable(error.kind().to_string()))],
        }
    }

    /// The manifests in the system's folders.
    pub(super) fn installed_drivers(&self) -> Vec<Driver> {
        let variable = |name: &str, otherwise: &str| {
            self.variable(name).filter(|value| !value.is_empty()).unwrap_or(otherwise).to_owned()
        };
        let home = self.variable("HOME").unwrap_or("/nonexistent").to_owned();
        let bases = [
            variable("XDG_CONFIG_HOME", &format!("{home}/.config")),
            variable("XDG_CONFIG_DIRS", "/etc/xdg"),
            "/etc".to_owned(),
            variable("XDG_DATA_HOME", &format!("{home}/.local/share")),
            variable("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
        ];
        let mut folders: Vec<PathBuf> = Vec::new();
        for base in bases.iter().flat_map(|bases| bases.split(':')).filter(|base| !base.is_empty()) {
            let folder = Path::new(base).join("vulkan/icd.d");
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders.iter().flat_map(|folder| self.folder(folder)).collect()
    }

    fn folder(&self, folder: &Path) -> Vec<Driver> {
        let Ok(entries) = std::fs::read_dir(self.place(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "json"));
        names.sort();
        names.truncate(MOST_FILES);
        names.iter().map(|name| self.driver(&folder.join(name))).collect()
    }

    fn driver(&self, manifest: &Path) -> Driver {
        let library = self.library(manifest);
        let by_file = Maker::of(manifest);
        let maker = match &library {
            Ok(library) if by_file == Maker::Other => Maker::of(Path::new(library)),
            _ => by_file,
        };
        let fault = match library {
            Ok(library) if self.has_library(manifest, &library) => None,
            Ok(library) => Some(DriverFault::NoLibrary(library)),
            Err(fault) => Some(fault),
        };
        Driver { manifest: manifest.to_owned(), maker, fault }
    }

    /// The library that a manifest names.
    fn library(&self, manifest: &Path) -> Result<String, DriverFault> {
        let text =
            self.text(manifest, MOST).map_err(|error| DriverFault::Unreadable(error.kind().to_string()))?;
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| DriverFault::NotJson(error.to_string()))?;
        let library = json.get("ICD").and_then(|icd| icd.get("library_path")?.as_str());
        library.map(str::to_owned).ok_or(DriverFault::NoLibraryPath)
    }

    /// Whether a library is where its manifest says, or where the system looks for bare names.
    fn has_library(&self, manifest: &Path, library: &str) -> bool {
        let path = Path::new(library);
        if path.is_absolute() {
            return self.place(path).exists();
        }
        if library.contains('/') {
            return self.place(&manifest.with_file_name("").join(path)).exists();
        }
        let own = self.variable("LD_LIBRARY_PATH").unwrap_or_default().to_owned();
        let known = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];
        let mut folders = own.split(':').filter(|folder| !folder.is_empty()).chain(known);
        folders.any(|folder| self.place(Path::new(folder)).join(library).exists()) || self.cached(library)
    }

    /// Whether the dynamic linker's cache knows a library: names stand in it, each behind a `/` as
    /// the end of its path, and end with a 0.
    fn cached(&self, library: &str) -> bool {
        const LARGEST: u64 = 16 << 20;
        let Ok(cache) = self.bytes(Path::new("/etc/ld.so.cache"), LARGEST) else { return false };
        let wanted = format!("/{library}\0");
        memchr::memmem::find(&cache, wanted.as_bytes()).is_some()
    }
}
