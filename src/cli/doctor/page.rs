//! The doctor's findings for people, in 80 columns.

use super::{Tried, Verdict};
use crate::backend::{Adapter, AdapterKind};
use crate::cli::streams::Streams;
use crate::cli::table::{pairs, short, table};
use crate::doctor::{Access, DeviceCheck, Facts, KernelCheck, Loader};
use crate::error::Result;
use crate::kernel::KERNELS;

/// Columns of a line.
const WIDTH: usize = 80;

/// What a heading's text is indented by.
const INDENT: usize = 10;

pub(super) struct Page<'a>(pub(super) &'a mut Streams);

impl Page<'_> {
    /// A heading with lines beside it.
    fn part(&mut self, heading: &str, lines: &[String]) -> Result<()> {
        let wrapped = lines.iter().flat_map(|line| wrap(line, WIDTH - INDENT));
        for (i, line) in wrapped.enumerate() {
            let heading = if i == 0 { heading } else { "" };
            self.0.line(format!("{heading:<INDENT$}{line}").trim_end())?;
        }
        Ok(())
    }

    pub(super) fn facts(&mut self, facts: &Facts, adapters: &[Adapter]) -> Result<()> {
        let mut system = facts.name.clone().unwrap_or_else(|| std::env::consts::OS.to_owned());
        if facts.wsl {
            system.push_str(", under Windows (WSL)");
        }
        if let Some(container) = facts.container {
            system.push_str(&format!(", in a {container}"));
        }
        self.part("System", &[system])?;
        let mut vulkan = vec![loader(&facts.loader)];
        if let Some(set) = &facts.overridden {
            vulkan.push(format!("{}={} replaces the search for drivers", set.variable, set.value));
        }
        for driver in &facts.drivers {
            let fault = driver.fault.as_ref().map_or_else(String::new, |fault| format!(": {}", fault.text()));
            vulkan.push(format!("{}{fault}", driver.manifest.display()));
        }
        if facts.loader != Loader::Unknown {
            self.part("Vulkan", &vulkan)?;
        }
        let nodes = facts.nvidia.iter().chain(&facts.render).map(|node| match node.access {
            Access::Open => node.path.display().to_string(),
            Access::Denied => format!("{}: no permission", node.path.display()),
            Access::Failed => format!("{}: does not open", node.path.display()),
        });
        let nodes: Vec<String> = nodes.collect();
        if !nodes.is_empty() {
            self.part("Files", &nodes)?;
        }
        let kind = |adapter: &Adapter| match adapter.kind {
            AdapterKind::Software => "software, no GPU".to_owned(),
            kind => format!("{} GPU", kind.name()),
        };
        let found = adapters.iter().enumerate().map(|(number, adapter)| {
            format!(
                "gpu:{number}  {}: {}, {}, {}",
                adapter.name,
                kind(adapter),
                adapter.backend,
                adapter.driver
            )
        });
        let mut found: Vec<String> = found.collect();
        if found.is_empty() {
            found.push("none found".to_owned());
        }
        self.part("GPUs", &found)
    }

    pub(super) fn kernels(&mut self, cpu: &Tried, gpus: &[Tried]) -> Result<()> {
        let checked: Vec<(&Tried, &DeviceCheck)> =
            gpus.iter().filter_map(|tried| Some((tried, tried.check.as_ref()?.as_ref().ok()?))).collect();
        if !checked.is_empty() {
            self.0.line("")?;
            for line in table(&rows(&checked)) {
                self.0.line(line)?;
            }
            self.0.line("")?;
        }
        for (tried, check) in checked {
            let text = summary(check);
            self.part(&tried.name, &[text])?;
        }
        let speeds = std::iter::once(cpu).chain(gpus).map(|tried| match &tried.speed {
            Ok(speed) => format!("{} ratings/s on {}", short(*speed), tried.device),
            Err(error) => format!("none on {}: {error}", tried.device),
        });
        let speeds: Vec<String> = speeds.collect();
        self.part("Training", &speeds)
    }

    pub(super) fn verdict(&mut self, verdict: &Verdict) -> Result<()> {
        self.0.line("")?;
        let head = if verdict.ready { "ready: " } else { "not ready: " };
        for line in wrap(&format!("{head}{}", verdict.what), WIDTH) {
            self.0.line(line)?;
        }
        let Some(no_gpu) = &verdict.no_gpu else { return Ok(()) };
        if verdict.ready {
            for line in wrap(&format!("Why no GPU: {}.", no_gpu.what), WIDTH) {
                self.0.line(line)?;
            }
        }
        let colon = if no_gpu.commands.is_empty() { "." } else { ":" };
        for line in wrap(&format!("To train on a GPU: {}{colon}", no_gpu.remedy), WIDTH) {
            self.0.line(line)?;
        }
        let commands: Vec<_> =
            no_gpu.commands.iter().map(|command| (command.on.to_owned(), command.line.clone())).collect();
        for line in pairs(&commands) {
            self.0.line(format!("  {line}"))?;
        }
        Ok(())
    }
}

fn loader(loader: &Loader) -> String {
    match loader {
        Loader::Works => "the loader works and has a driver".to_owned(),
        Loader::Missing(why) => format!("no loader: {why}"),
        Loader::Broken(why) => format!("the loader can't be loaded: {why}"),
        Loader::Static => "this program is static and can't load it".to_owned(),
        Loader::NoDriver => "the loader is there, and has no driver that works".to_owned(),
        Loader::Failed(why) => format!("it does not start: {why}"),
        Loader::Unknown => "not asked".to_owned(),
    }
}

/// A line a kernel: its time on the CPU, and its time and difference on each device.
fn rows(checked: &[(&Tried, &DeviceCheck)]) -> Vec<Vec<String>> {
    let mut head = vec!["kernel".to_owned(), "cpu".to_owned()];
    head.extend(checked.iter().flat_map(|(tried, _)| [tried.name.clone(), "apart by".to_owned()]));
    let mut rows = vec![head];
    for kernel in KERNELS {
        let of: Vec<Option<&KernelCheck>> = checked
            .iter()
            .map(|(_, check)| check.kernels.iter().find(|check| check.kernel == kernel.name))
            .collect();
        let Some(first) = of.iter().flatten().next() else { continue };
        let mut row = vec![kernel.name.to_owned(), micros(first.cpu_seconds)];
        row.extend(of.iter().flat_map(|check| match check {
            Some(check) => [micros(check.device_seconds), apart(check)],
            None => ["–".to_owned(), "–".to_owned()],
        }));
        rows.push(row);
    }
    rows
}

fn micros(seconds: f64) -> String {
    format!("{:.1} µs", seconds * 1e6)
}

fn apart(check: &KernelCheck) -> String {
    match check.difference {
        0.0 => "0".to_owned(),
        apart if !apart.is_finite() => "WRONG".to_owned(),
        apart if check.agrees() => format!("{apart:.0e}"),
        apart => format!("{apart:.0e} WRONG"),
    }
}

fn summary(check: &DeviceCheck) -> String {
    let count = check.kernels.len();
    let wrong: Vec<&str> = check.kernels.iter().filter(|c| !c.agrees()).map(|c| c.kernel).collect();
    let unused = match check.unused.as_slice() {
        [] => String::new(),
        unused => format!("; not used here: {}", unused.join(", ")),
    };
    match (check.worst(), wrong.as_slice()) {
        (Some(worst), []) => {
            format!(
                "{count} kernels agree with the CPU, to {:.0e} at worst ({}){unused}",
                worst.difference, worst.kernel
            )
        }
        (_, wrong) => {
            format!(
                "{} of {count} kernels don't agree with the CPU: {}{unused}",
                wrong.len(),
                wrong.join(", ")
            )
        }
    }
}

/// Lines of at most so many columns, broken between words; a longer word stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("longer-than-that x", 4), ["longer-than-that", "x"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
