//! `deltav devices`: what could train here, and what `auto` picks.

use clap::Args;
use serde::Serialize;

use super::events::SCHEMA;
use super::streams::Streams;
use super::table::bytes;
use crate::backend::cpu::CpuBackend;
use crate::backend::{Adapter, AdapterKind, DeviceChoice, adapters, pick};
use crate::error::Result;

/// What to do where there is no GPU.
const INSTALL: &str = "\
To train on a GPU, install its Vulkan driver:
  AMD, Intel  apt-get install mesa-vulkan-drivers libvulkan1  (Debian and Ubuntu)
  NVIDIA      the vendor's driver
`deltav doctor` says what is missing.";

/// List the devices that can train, and which one `--device auto` picks
#[derive(Debug, Args)]
pub(super) struct Devices {
    /// JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// An adapter as JSON.
#[derive(Serialize)]
struct Row<'a> {
    schema: u32,
    adapter: usize,
    name: &'a str,
    kind: &'static str,
    software: bool,
    vendor: &'a str,
    backend: &'a str,
    driver: &'a str,
    max_buffer_bytes: u64,
    max_binding_bytes: u64,
}

/// The last line: what `auto` picks.
#[derive(Serialize)]
struct Auto {
    schema: u32,
    auto: Picked,
}

#[derive(Debug, PartialEq, Serialize)]
struct Picked {
    device: String,
    why: String,
}

impl Devices {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let adapters = adapters();
        let threads = CpuBackend::new(None)?.threads();
        let picked = picked(&adapters)?;
        if self.json {
            for (number, adapter) in adapters.iter().enumerate() {
                streams.json(&row(number, adapter))?;
            }
            return streams.json(&Auto { schema: SCHEMA, auto: picked });
        }
        for (number, adapter) in adapters.iter().enumerate() {
            for line in describe(number, adapter) {
                streams.line(line)?;
            }
        }
        streams.line(format!("cpu    {threads} threads"))?;
        streams.line(format!("auto   picks {}: {}", picked.device, picked.why))?;
        if picked.device == "cpu" {
            streams.line("")?;
            for line in INSTALL.lines() {
                streams.line(line)?;
            }
        }
        Ok(())
    }
}

fn row(number: usize, adapter: &Adapter) -> Row<'_> {
    Row {
        schema: SCHEMA,
        adapter: number,
        name: &adapter.name,
        kind: adapter.kind.name(),
        software: adapter.kind == AdapterKind::Software,
        vendor: &adapter.vendor,
        backend: &adapter.backend,
        driver: &adapter.driver,
        max_buffer_bytes: adapter.max_buffer_bytes,
        max_binding_bytes: adapter.max_binding_bytes,
    }
}

fn describe(number: usize, adapter: &Adapter) -> [String; 4] {
    let kind = match adapter.kind {
        AdapterKind::Software => {
            "software, no GPU: the CPU runs the GPU's kernels (--device software)".to_owned()
        }
        kind => format!("{} GPU", kind.name()),
    };
    let (buffer, binding) = (bytes(adapter.max_buffer_bytes), bytes(adapter.max_binding_bytes));
    [
        format!("gpu:{number}  {}", adapter.name),
        format!("       {kind}"),
        format!("       {}, {}, driver {}", adapter.vendor, adapter.backend, adapter.driver),
        format!("       buffers up to {buffer}, bound by a kernel up to {binding}"),
    ]
}

/// What `auto` picks of these adapters, and why.
fn picked(adapters: &[Adapter]) -> Result<Picked> {
    let hardware = adapters.iter().filter(|adapter| adapter.kind != AdapterKind::Software).count();
    let (device, why) = match pick(DeviceChoice::Auto, adapters, 0)? {
        Some(number) if hardware == 1 => (format!("gpu:{number}"), "the only hardware GPU".to_owned()),
        Some(number) => {
            let kind = adapters.get(number).map_or("", |adapter| adapter.kind.name());
            (format!("gpu:{number}"), format!("the first {kind} GPU of {hardware}"))
        }
        None if !cfg!(feature = "gpu") => ("cpu".to_owned(), "built without GPU support".to_owned()),
        None if adapters.is_empty() => ("cpu".to_owned(), "no GPU found".to_owned()),
        None => {
            ("cpu".to_owned(), "no hardware GPU found, and a software one is slower than the CPU".to_owned())
        }
    };
    Ok(Picked { device, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(kind: AdapterKind) -> Adapter {
        Adapter {
            name: "N".to_owned(),
            vendor: "V".to_owned(),
            backend: "Vulkan".to_owned(),
            driver: "D 1".to_owned(),
            kind,
            max_buffer_bytes: 1 << 30,
            max_binding_bytes: 128 << 20,
        }
    }

    #[test]
    fn auto_is_explained() {
        let device = |kinds: &[AdapterKind]| {
            let adapters: Vec<Adapter> = kinds.iter().copied().map(adapter).collect();
            let Picked { device, why } = picked(&adapters).unwrap();
            format!("{device}: {why}")
        };
        assert!(device(&[]).starts_with("cpu: "));
        assert!(device(&[AdapterKind::Software]).starts_with("cpu: "));
        assert_eq!(device(&[AdapterKind::Software, AdapterKind::Discrete]), "gpu:1: the only hardware GPU");
        assert_eq!(
            device(&[AdapterKind::Integrated, AdapterKind::Discrete]),
            "gpu:1: the first discrete GPU of 2"
        );
    }

    #[test]
    fn an_adapter_s_line_has_its_fields_and_the_last_line_none_of_them() {
        let json = serde_json::to_string(&row(0, &adapter(AdapterKind::Software))).unwrap();
        assert!(
            json.starts_with(r#"{"schema":1,"adapter":0,"name":"N","kind":"software","software":true,"#),
            "{json}"
        );
        let auto = Auto { schema: SCHEMA, auto: picked(&[]).unwrap() };
        let json = serde_json::to_string(&auto).unwrap();
        assert!(json.starts_with(r#"{"schema":1,"auto":{"device":"cpu","why":""#), "{json}");
        assert!(!json.contains("\"adapter\""));
    }

    #[test]
    fn sizes_are_in_human_units() {
        let text = describe(0, &adapter(AdapterKind::Discrete)).join("\n");
        assert!(
            text.contains("1.00 GiB") && text.contains("128.00 MiB") && text.contains("discrete GPU"),
            "{text}"
        );
    }
}
