//! What can train here, and what happens where nothing but the CPU can.

use super::{Folder, Outcome};
use serde_json::Value;

#[test]
fn every_adapter_is_listed_and_auto_explained() {
    let folder = Folder::new();
    let objects = folder.json(&["devices", "--json"]);
    let (auto, adapters) = objects.split_last().unwrap();
    assert_eq!(adapters.len(), deltav::backend::adapters().len());
    for (number, adapter) in adapters.iter().enumerate() {
        assert_eq!((&adapter["schema"], &adapter["adapter"]), (&1.into(), &number.into()));
        assert!(
            adapter["name"].is_string() && adapter["kind"].is_string() && adapter["software"].is_boolean()
        );
        assert!(adapter["max_buffer_bytes"].as_u64().unwrap() > 0);
    }
    let device = auto["auto"]["device"].as_str().unwrap();
    assert!(auto["schema"] == 1 && auto["auto"]["why"].is_string(), "{auto}");
    let chosen = device.strip_prefix("gpu:").map(|number| &adapters[number.parse::<usize>().unwrap()]);
    assert!(chosen.is_none_or(|adapter| adapter["software"] == false), "{auto}");

    let text = folder.succeed(&["devices"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("gpu:")).count(), adapters.len(), "{text}");
    assert!(text.contains("threads") && text.contains(&format!("picks {device}")), "{text}");
}

#[test]
fn auto_says_when_it_falls_back_to_the_cpu() {
    let folder = Folder::planted();
    let picked = folder.json(&["devices", "--json"]).pop().unwrap()["auto"]["device"].clone();
    let outcome = folder.run(&["train", "ratings.csv", "--epochs", "1"]);
    assert_eq!(outcome.code, Some(0));
    let told =
        outcome.stderr.lines().any(|line| line.starts_with("note: ") && line.contains("on the CPU with"));
    assert_eq!(told, picked == "cpu", "{}", outcome.stderr);
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let folder = Folder::planted();
    let line = folder.fail(&["train", "ratings.csv", "--device", "gpu:99"], 69);
    assert!(line.contains("99") && line.contains("deltav devices"), "{line}");
}

/// A machine without any Vulkan driver.
#[cfg(target_os = "linux")]
fn without_drivers(folder: &Folder, arguments: &[&str]) -> Outcome {
    let nothing = "/nonexistent/icd.json";
    Outcome::of(folder.command(arguments).env("VK_DRIVER_FILES", nothing).env("VK_ICD_FILENAMES", nothing))
}

#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_the_gpu_is_refused_and_auto_trains_on_the_cpu() {
    let folder = Folder::planted();
    for device in ["gpu", "gpu:0", "software"] {
        let outcome = without_drivers(&folder, &["train", "ratings.csv", "--device", device]);
        assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(69), 1), "{}", outcome.stderr);
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
        assert_eq!(folder.files(), ["ratings.csv", "test.csv"]);
    }
    let refused = without_drivers(&folder, &["train", "ratings.csv", "--device", "gpu"]).stderr;
    assert!(refused.contains("apt-get install mesa-vulkan-drivers libvulkan1"), "{refused}");
    let outcome = without_drivers(&folder, &["train", "ratings.csv", "--epochs", "1"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.starts_with("note: no GPU found: training on the CPU with"), "{}", outcome.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_devices_tells_what_to_install() {
    let folder = Folder::new();
    let text = without_drivers(&folder, &["devices"]).stdout;
    assert!(text.contains("apt-get install mesa-vulkan-drivers libvulkan1"), "{text}");
    assert!(text.contains("picks cpu: no GPU found") && text.contains(" threads"), "{text}");
    let json = without_drivers(&folder, &["devices", "--json"]).stdout;
    assert!(!json.contains("\"adapter\""), "scripts count lines with that key: {json}");
    let auto: Value = serde_json::from_str(json.trim_end()).unwrap();
    assert_eq!(auto["auto"]["device"], "cpu");
}

#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_a_desktop_hears_nothing_of_it() {
    let folder = Folder::new();
    let mut command = folder.command(&["devices"]);
    let outcome = Outcome::of(command.env_remove("XDG_RUNTIME_DIR").env_remove("NODEVICE_SELECT"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}
