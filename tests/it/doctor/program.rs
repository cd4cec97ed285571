//! The program in prepared situations.

use std::path::{Path, PathBuf};
use std::process::Command;

use deltav::kernel::KERNELS;
use serde_json::Value;

use crate::cli::{Folder, Outcome};

/// A call of the doctor without variables that name drivers, but for these.
fn doctor(folder: &Folder, arguments: &[&str], variables: &[(&str, &Path)]) -> Outcome {
    let mut command = folder.command(&["doctor"]);
    command.args(arguments);
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"] {
        command.env_remove(name);
    }
    Outcome::of(command.envs(variables.iter().copied()))
}

/// The objects of a call with `--json`, and its verdict.
fn verdict(folder: &Folder, variables: &[(&str, &Path)]) -> (Vec<Value>, Value) {
    let outcome = doctor(folder, &["--json"], variables);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let lines = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut objects: Vec<Value> = lines.collect();
    let verdict = objects.pop().unwrap()["verdict"].clone();
    (objects, verdict)
}

/// What must be told of a situation: the cause, and words of why and of what to type.
fn told(folder: &Folder, variables: &[(&str, &Path)], cause: &str, words: &[&str]) {
    let (_, verdict) = verdict(folder, variables);
    assert_eq!((&verdict["ready"], &verdict["device"]), (&true.into(), &"cpu".into()), "{verdict}");
    assert_eq!(verdict["no_gpu"]["cause"], cause, "{verdict}");
    for word in words {
        assert!(verdict["no_gpu"].to_string().contains(word), "{word}: {verdict}");
    }
    let page = doctor(folder, &[], variables);
    assert_eq!(page.code, Some(0), "{}", page.stderr);
    let sentence = verdict["no_gpu"]["what"].as_str().unwrap();
    let flowing = page.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowing.contains("ready: trains on the CPU") && flowing.contains(sentence), "{flowing}");
    let long = page.stdout.lines().filter(|line| line.chars().count() > 80).collect::<Vec<_>>();
    assert!(long.iter().all(|line| line.contains('/')), "only paths may be longer: {long:?}");
    // Whoever insists on a GPU hears it in one line.
    let outcome = doctor(folder, &["--device", "gpu"], variables);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(69), 1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(sentence), "{}", outcome.stderr);
}

/// A manifest of this library.
fn manifest(folder: &Folder, name: &str, library: &str) -> PathBuf {
    folder.write(
        name,
        format!(
            r#"{{"file_format_version":"1.0.0","ICD":{{"library_path":"{library}","api_version":"1.3.0"}}}}"#
        ),
    );
    folder.path().join(name)
}

#[test]
fn no_loader() {
    let folder = Folder::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/doctor/no_loader.c");
    let shim = folder.path().join("no_loader.so");
    let cc = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(source).arg("-ldl").output();
    let cc = cc.expect("cc, which Rust links with");
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    told(&folder, &[("LD_PRELOAD", &shim)], "no-loader", &["libvulkan", "install"]);
}

#[test]
fn a_loader_that_is_no_library() {
    let folder = Folder::new();
    folder.write("libvulkan.so.1", "no library");
    folder.write("libvulkan.so", "no library");
    told(
        &folder,
        &[("LD_LIBRARY_PATH", folder.path())],
        "broken-loader",
        &["libvulkan.so", "LD_LIBRARY_PATH"],
    );
}

#[test]
fn a_loader_without_a_driver() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("none")).unwrap();
    let none = folder.path().join("none");
    told(&folder, &[("VK_DRIVER_FILES", &none)], "bad-override", &["without a driver's .json file", "unset"]);
    // Nothing in the system's folders: data and settings are looked for elsewhere. /etc stays.
    if !Path::new("/etc/vulkan/icd.d").read_dir().is_ok_and(|mut files| files.next().is_some()) {
        let elsewhere = ["XDG_DATA_DIRS", "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"]
            .map(|name| (name, none.as_path()));
        let (objects, verdict) = verdict(&folder, &elsewhere);
        assert_eq!(objects[0]["facts"]["loader"], "no-driver", "{objects:?}");
        assert_eq!(objects[0]["facts"]["drivers"], serde_json::json!([]));
        assert!(
            ["no-driver", "not-passed-in", "nvidia-without-vulkan", "container-without-vulkan", "wsl"]
                .contains(&verdict["no_gpu"]["cause"].as_str().unwrap()),
            "{verdict}"
        );
    }
}

#[test]
fn a_variable_that_names_no_driver() {
    let folder = Folder::new();
    folder.write("text.json", "no JSON");
    folder.write("empty.json", "{}");
    let text = folder.path().join("text.json");
    let empty = folder.path().join("empty.json");
    let missing = folder.path().join("missing.json");
    let bare = manifest(&folder, "bare.json", "libno_such_driver.so");
    let full = manifest(&folder, "full.json", "/nonexistent/driver.so");
    for (path, why) in [
        (text.as_path(), "is not JSON"),
        (&empty, "names no driver library"),
        (&missing, "does not exist"),
        (&bare, "a library that is not there, libno_such_driver.so"),
        (&full, "a library that is not there, /nonexistent/driver.so"),
        (Path::new("relative.json"), "is a relative path"),
    ] {
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            let name = path.display().to_string();
            let unset = format!("unset {variable}");
            told(&folder, &[(variable, path)], "bad-override", &[why, &name, &unset]);
        }
    }
}

#[test]
fn a_software_adapter_is_tried_and_is_no_gpu() {
    let folder = Folder::new();
    let manifests = std::fs::read_dir("/usr/share/vulkan/icd.d").unwrap();
    let software =
        manifests.map(|entry| entry.unwrap().path()).find(|path| path.to_string_lossy().contains("lvp"));
    let software = software.expect("Mesa's software driver: run scripts/test, which installs it");
    let (objects, verdict) = verdict(&folder, &[("VK_DRIVER_FILES", &software)]);
    let cause = verdict["no_gpu"]["cause"].as_str().unwrap();
    assert!(["software-only", "overridden-by-software", "not-passed-in"].contains(&cause), "{verdict}");
    assert_eq!(objects[0]["facts"]["loader"], "works");
    let kernels: Vec<&Value> = objects.iter().filter(|object| object["kernel"].is_string()).collect();
    assert!(kernels.len() >= KERNELS.len() - 1, "{objects:?}");
    assert!(kernels.iter().all(|kernel| kernel["agrees"] == true), "{kernels:?}");
    let devices: Vec<&Value> =
        objects.iter().filter(|object| object["ratings_per_second"].is_f64()).collect();
    assert_eq!(devices.len(), 2);
    assert_eq!([&devices[0]["device"], &devices[1]["software"]], [&Value::from("cpu"), &true.into()]);

    // Who asks for it gets it.
    let outcome = doctor(&folder, &["--device", "software"], &[("VK_DRIVER_FILES", &software)]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("\nready: trains on llvmpipe"), "{}", outcome.stdout);
    let outcome = doctor(&folder, &["--device", "cpu"], &[("VK_DRIVER_FILES", &software)]);
    assert!(
        outcome.stdout.ends_with("threads\n") || outcome.stdout.ends_with("thread\n"),
        "{}",
        outcome.stdout
    );
}
