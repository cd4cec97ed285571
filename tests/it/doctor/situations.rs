//! Situations prepared as files and variables, or, where no test can make them, as facts.

use std::path::Path;

use deltav::backend::{Adapter, AdapterKind};
use deltav::doctor::{
    Access, Cause, Diagnosis, Distribution, DriverFault, Facts, Loader, Maker, Node, Surroundings, diagnose,
};

/// A file system with these files, each with its text.
struct Machine {
    root: tempfile::TempDir,
    variables: Vec<(&'static str, &'static str)>,
    loader: Loader,
}

const DEBIAN: (&str, &str) =
    ("/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
const NVIDIA: [(&str, &str); 2] = [
    ("/sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n"),
    ("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
];
const AMD: [(&str, &str); 2] = [
    ("/sys/bus/pci/devices/0000:01:00.0/class", "0x038000\n"),
    ("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x1002\n"),
];
const RADEON: [(&str, &str); 2] = [
    (
        "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json",
        r#"{"ICD":{"library_path":"/usr/lib/libvulkan_radeon.so"}}"#,
    ),
    ("/usr/lib/libvulkan_radeon.so", ""),
];
const LAVAPIPE: [(&str, &str); 2] = [
    ("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json", r#"{"ICD":{"library_path":"libvulkan_lvp.so"}}"#),
    ("/usr/lib/libvulkan_lvp.so", ""),
];

impl Machine {
    fn new(files: &[&[(&str, &str)]]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files.iter().copied().flatten() {
            let place = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text).unwrap();
        }
        Self { root, variables: Vec::new(), loader: Loader::Works }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn loader(mut self, loader: Loader) -> Self {
        self.loader = loader;
        self
    }

    fn facts(&self) -> Facts {
        Surroundings::at(self.root.path(), &self.variables).facts(self.loader.clone())
    }

    fn told(&self) -> Diagnosis {
        diagnose(&self.facts(), &[]).unwrap()
    }
}

fn adapter(kind: AdapterKind) -> Adapter {
    Adapter {
        name: "an adapter".to_owned(),
        vendor: String::new(),
        backend: "vulkan".to_owned(),
        driver: String::new(),
        kind,
        max_buffer_bytes: 1 << 30,
        max_binding_bytes: 1 << 30,
    }
}

/// Fails unless the cause is this one, and its words and commands have these parts.
#[track_caller]
fn assert_told(told: &Diagnosis, cause: Cause, parts: &[&str]) {
    assert_eq!(told.cause, cause, "{told:?}");
    let commands: Vec<&str> = told.commands.iter().map(|command| command.line.as_str()).collect();
    let text = format!("{}; {}: {}", told.what, told.remedy, commands.join("\n"));
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!told.what.ends_with('.') && !told.remedy.ends_with('.'), "{text}");
}

#[test]
fn a_hardware_adapter_needs_no_remedy() {
    let facts = Machine::new(&[]).facts();
    assert_eq!(diagnose(&facts, &[adapter(AdapterKind::Software), adapter(AdapterKind::Integrated)]), None);
    assert!(diagnose(&facts, &[adapter(AdapterKind::Software)]).is_some());
}

#[test]
fn what_vulkan_says_is_understood() {
    let library = |text: &str| {
        Loader::failed(&format!(
            "InstanceError {{ message: \"missing Vulkan entry points\", source: Some(LibraryLoadFailure(DlOpen {{ desc: \"{text}\" }})) }}"
        ))
    };
    let missing = "libvulkan.so.1: cannot open shared object file: No such file or directory";
    assert_eq!(library(missing), Loader::Missing(missing.to_owned()));
    let broken = "/lib/libvulkan.so.1: invalid ELF header";
    assert_eq!(library(broken), Loader::Broken(broken.to_owned()));
    assert_eq!(library("Dynamic loading not supported"), Loader::Static);
    let create = "InstanceError { message: \"Entry::create_instance() failed\", source: Some(ERROR_INCOMPATIBLE_DRIVER) }";
    assert_eq!(Loader::failed(create), Loader::NoDriver);
    assert_eq!(Loader::failed("else"), Loader::Failed("else".to_owned()));
}

#[test]
fn no_loader_is_installed_with_the_driver_of_the_gpu() {
    let missing = || Loader::Missing("libvulkan.so.1: cannot open shared object file".to_owned());
    for (release, gpu, line) in [
        ("ID=debian", AMD, "sudo apt-get install mesa-vulkan-drivers libvulkan1"),
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", NVIDIA, "sudo ubuntu-drivers install"),
        ("ID=ubuntu\nID_LIKE=debian", AMD, "sudo apt-get install mesa-vulkan-drivers libvulkan1"),
        ("ID=fedora", AMD, "sudo dnf install mesa-vulkan-drivers vulkan-loader"),
        (
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"",
            NVIDIA,
            "sudo dnf install akmod-nvidia xorg-x11-drv-nvidia-libs",
        ),
        ("ID=arch", AMD, "sudo pacman -S vulkan-icd-loader vulkan-radeon vulkan-intel"),
        ("ID=manjaro\nID_LIKE=arch", NVIDIA, "sudo pacman -S nvidia nvidia-utils"),
    ] {
        let told = Machine::new(&[&[("/etc/os-release", release)], &gpu]).loader(missing()).told();
        assert_told(&told, Cause::NoLoader, &["libvulkan.so.1"]);
        assert_eq!(told.commands.iter().map(|c| c.line.as_str()).collect::<Vec<_>>(), [line], "{release}");
    }
    // Nobody knows how it is done there: all ways are told. In a container one has no sudo.
    let told =
        Machine::new(&[&[("/etc/os-release", "ID=other"), ("/.dockerenv", "")]]).loader(missing()).told();
    assert_eq!(told.commands.len(), 4);
    assert!(told.commands.iter().all(|command| !command.line.contains("sudo")), "{told:?}");
}

#[test]
fn a_loader_or_a_program_that_can_not_load() {
    let machine = Machine::new(&[&[DEBIAN], &AMD]);
    let broken = machine.loader(Loader::Broken("/x/libvulkan.so.1: invalid ELF header".to_owned()));
    assert_told(&broken.told(), Cause::BrokenLoader, &["invalid ELF header", "LD_LIBRARY_PATH", "apt-get"]);
    let fixed = broken.loader(Loader::Static);
    assert_told(&fixed.told(), Cause::Static, &["musl", "-linux-gnu"]);
    let facts = Facts { gpu_build: false, ..fixed.facts() };
    assert_told(&diagnose(&facts, &[]).unwrap(), Cause::BuiltWithout, &["cargo install"]);
}

#[test]
fn a_variable_hides_the_gpu() {
    let lavapipe = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
    let machine = || Machine::new(&[&[DEBIAN], &AMD, &RADEON, &LAVAPIPE]);
    let software = machine().with("VK_DRIVER_FILES", lavapipe);
    assert_told(&software.told(), Cause::OverriddenBySoftware, &[lavapipe, "unset VK_DRIVER_FILES"]);
    assert_eq!(software.facts().drivers.len(), 1);
    let older = machine().with("VK_ICD_FILENAMES", "/nonexistent.json");
    assert_told(
        &older.told(),
        Cause::BadOverride,
        &["/nonexistent.json, which does not exist", "unset VK_ICD_FILENAMES"],
    );
    // The newer name wins, and an empty value is none.
    let both = machine().with("VK_ICD_FILENAMES", "/nonexistent.json").with("VK_DRIVER_FILES", lavapipe);
    assert_told(&both.told(), Cause::OverriddenBySoftware, &[]);
    let empty = machine().with("VK_DRIVER_FILES", "").facts();
    assert_eq!((empty.overridden, empty.drivers.len()), (None, 2));
    let separators = machine().with("VK_DRIVER_FILES", ":");
    assert_told(&separators.told(), Cause::BadOverride, &["names no driver"]);
    // A folder stands for the manifests in it.
    let folder = machine().with("VK_DRIVER_FILES", "/usr/share/vulkan/icd.d").facts();
    assert!(folder.drivers.len() == 2 && folder.drivers.iter().all(|driver| driver.fault.is_none()));
}

#[test]
fn manifests_are_read_as_the_loader_reads_them() {
    let at = |name: &str, text: &'static str| (format!("/usr/share/vulkan/icd.d/{name}.json"), text);
    let files = [
        at("a_list", "[]"),
        at("b_text", "{"),
        at("c_relative", r#"{"ICD":{"library_path":"../lib/driver.so"}}"#),
        at("d_cached", r#"{"ICD":{"library_path":"libcached.so"}}"#),
        at("e_unknown", r#"{"ICD":{"library_path":"libcache.so"}}"#),
        at("f_nvidia", r#"{"ICD":{"library_path":7}}"#),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let cache =
        [("/etc/ld.so.cache", "x\0/usr/odd/libcached.so\0y"), ("/usr/share/vulkan/lib/driver.so", "")];
    let drivers = Machine::new(&[&files, &cache]).facts().drivers;
    let faults: Vec<Option<DriverFault>> = drivers.iter().map(|driver| driver.fault.clone()).collect();
    assert!(matches!(faults[1], Some(DriverFault::NotJson(_))));
    assert_eq!([&faults[0], &faults[5]], [&Some(DriverFault::NoLibraryPath); 2]);
    assert_eq!([&faults[2], &faults[3]], [&None; 2]);
    assert_eq!(faults[4], Some(DriverFault::NoLibrary("libcache.so".to_owned())));
    assert_eq!([drivers[5].maker, drivers[0].maker], [Maker::Nvidia, Maker::Other]);
}

#[test]
fn an_oversized_manifest_is_not_read() {
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 17));
    let machine = Machine::new(&[&[("/etc/vulkan/icd.d/long.json", &long)]]);
    assert!(matches!(machine.facts().drivers[0].fault, Some(DriverFault::Unreadable(_))));
}

#[test]
fn a_container_without_the_vulkan_capability() {
    let container = [("/.dockerenv", ""), ("/dev/nvidiactl", ""), ("/dev/nvidia0", "")];
    let machine = || Machine::new(&[&[DEBIAN], &container, &NVIDIA, &LAVAPIPE]);
    let told = machine().with("NVIDIA_DRIVER_CAPABILITIES", "compute,utility").told();
    let parts =
        ["NVIDIA_DRIVER_CAPABILITIES: compute,utility", "`graphics`", "-e NVIDIA_DRIVER_CAPABILITIES=all"];
    assert_told(&told, Cause::ContainerWithoutVulkan, &parts);
    assert_told(&machine().told(), Cause::ContainerWithoutVulkan, &["not set"]);
    // A manifest whose library was not mounted is no driver.
    let manifest =
        [("/etc/vulkan/icd.d/nvidia_icd.json", r#"{"ICD":{"library_path":"libGLX_nvidia.so.0"}}"#)];
    let half = Machine::new(&[&[DEBIAN], &container, &manifest]);
    assert_told(&half.told(), Cause::ContainerWithoutVulkan, &["graphics"]);
    // The same outside of a container.
    let host = Machine::new(&[&[DEBIAN], &container[1..], &NVIDIA, &LAVAPIPE]);
    assert_told(
        &host.told(),
        Cause::NvidiaWithoutVulkan,
        &["sudo apt-get install nvidia-driver nvidia-vulkan-icd"],
    );
}

#[test]
fn a_container_that_was_given_no_device() {
    let told = Machine::new(&[&[DEBIAN, ("/run/.containerenv", "")], &AMD, &LAVAPIPE]).told();
    assert_told(&told, Cause::NotPassedIn, &["an AMD GPU", "--device /dev/dri", "--gpus all"]);
}

#[test]
fn a_user_who_may_not_use_the_device() {
    // Whoever runs the tests may be root, from whom no file can be kept.
    let denied = |container| {
        let machine = Machine::new(&[&[DEBIAN], &AMD, &RADEON]);
        let node = Node { path: "/dev/dri/renderD128".into(), access: Access::Denied };
        Facts { render: vec![node], container, ..machine.facts() }
    };
    let told = |facts: &Facts| diagnose(facts, &[]).unwrap();
    let parts = ["/dev/dri/renderD128", "sudo usermod -aG render,video", "log out"];
    assert_told(&told(&denied(None)), Cause::NoPermission, &parts);
    let parts = ["--device /dev/dri", "--group-add $(stat -c %g /dev/dri/renderD128)"];
    assert_told(&told(&denied(Some("Docker container"))), Cause::NoPermission, &parts);
    // One that opens is enough.
    let mut facts = denied(None);
    facts.render.push(Node { path: "/dev/dri/renderD129".into(), access: Access::Open });
    assert_ne!(told(&facts).cause, Cause::NoPermission);
    let mut facts = denied(None);
    facts.nvidia = vec![Node { path: "/dev/nvidiactl".into(), access: Access::Denied }];
    assert_told(&told(&facts), Cause::NoPermission, &["/dev/nvidiactl"]);
}

#[cfg(unix)]
#[test]
fn a_device_s_file_is_opened_to_see() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new(&[&[("/dev/dri/renderD128", ""), ("/dev/dri/card0", "")]]);
    let place = machine.root.path().join("dev/dri/renderD128");
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o0)).unwrap();
    let may = std::fs::File::options().read(true).write(true).open(&place).is_ok();
    let expected = if may { Access::Open } else { Access::Denied };
    let node = Node { path: "/dev/dri/renderD128".into(), access: expected };
    assert_eq!(machine.facts().render, [node]);
}

#[test]
fn linux_under_windows() {
    let kernel = ("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n");
    let told = Machine::new(&[&[DEBIAN, kernel, ("/dev/dxg", "")], &LAVAPIPE]).told();
    assert_told(&told, Cause::Wsl, &["deltav for Windows", "deltav.exe doctor"]);
    let told = Machine::new(&[&[DEBIAN, kernel], &LAVAPIPE]).told();
    assert_told(&told, Cause::Wsl, &["/dev/dxg"]);
}

#[test]
fn a_gpu_without_a_driver() {
    let node = [("/dev/dri/renderD128", "")];
    let told = Machine::new(&[&[DEBIAN], &AMD, &node, &LAVAPIPE]).told();
    assert_told(&told, Cause::NoDriver, &["an AMD GPU", "apt-get install mesa-vulkan-drivers"]);
    // Not even the kernel has one, whatever is installed beside it.
    let told = Machine::new(&[&[DEBIAN], &NVIDIA, &LAVAPIPE, &RADEON]).told();
    assert_told(&told, Cause::NoDriver, &["an NVIDIA GPU", "nvidia-driver"]);
    let manifest = [("/etc/vulkan/icd.d/radeon.json", r#"{"ICD":{"library_path":"/gone.so"}}"#)];
    let told = Machine::new(&[&[DEBIAN], &AMD, &node, &manifest]).told();
    assert_told(&told, Cause::BrokenDriver, &["/gone.so", "apt-get install"]);
    let told =
        Machine::new(&[&[DEBIAN], &AMD, &node, &RADEON]).loader(Loader::Failed("why".to_owned())).told();
    assert_told(&told, Cause::DriverFindsNothing, &["restart", "(why)", "vulkaninfo"]);
}

#[test]
fn no_gpu_at_all() {
    // A virtual machine's display is no GPU that computes.
    let display = [
        ("/sys/bus/pci/devices/0000:00:02.0/class", "0x030000"),
        ("/sys/bus/pci/devices/0000:00:02.0/vendor", "0x1234"),
    ];
    let machine = Machine::new(&[&[DEBIAN], &display, &LAVAPIPE]);
    let told = diagnose(&machine.facts(), &[adapter(AdapterKind::Software)]).unwrap();
    assert_told(&told, Cause::SoftwareOnly, &["only the software adapter an adapter", "virtual machine"]);
    assert!(told.commands.is_empty());
    let bare = Machine::new(&[&[DEBIAN], &display]).loader(Loader::NoDriver);
    assert_told(
        &bare.told(),
        Cause::NoDriver,
        &["no driver", "apt-get install mesa-vulkan-drivers libvulkan1"],
    );
    let contained = Machine::new(&[&[DEBIAN, ("/.dockerenv", "")], &LAVAPIPE]);
    let told = diagnose(&contained.facts(), &[adapter(AdapterKind::Software)]).unwrap();
    assert_told(&told, Cause::SoftwareOnly, &["the container was given none", "--gpus all"]);
}

#[test]
fn facts_of_this_machine_can_be_gathered() {
    let facts = Surroundings::here().facts(Loader::Unknown);
    let told = facts.name.is_some() || !Path::new("/etc/os-release").exists();
    assert!(told && facts.gpu_build, "{facts:?}");
    assert_eq!(Machine::new(&[]).facts().distribution, Distribution::Other);
}
