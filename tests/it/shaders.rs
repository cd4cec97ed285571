//! Shaders without a GPU: they parse, validate, translate to every platform's
//! language, and say the same as their Rust files.

use std::collections::BTreeSet;
use std::path::Path;

use deltav::kernel::template::{Mapping, Rows, Variant, is_template};
use deltav::kernel::{Access, Element, KERNELS, Kernel, WORKGROUP};
use naga::back::pipeline_constants::process_overrides;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, ArraySize, Module, Scalar, ScalarKind, StorageAccess, TypeInner};

/// A kernel's WGSL as a device compiles it.
struct Text {
    name: String,
    kernel: &'static Kernel,
    wgsl: String,
    workgroup: u32,
    subgroups: bool,
    halves: bool,
}

/// Every kernel's text; of a template every mapping and precision, at widths that fill groups and that don't.
fn texts() -> Vec<Text> {
    let mut texts = Vec::new();
    for &kernel in KERNELS {
        if !is_template(kernel) {
            let halves = kernel.name == "pack_halves";
            let (name, wgsl) = (kernel.name.to_owned(), kernel.wgsl.to_owned());
            texts.push(Text { name, kernel, wgsl, workgroup: WORKGROUP, subgroups: false, halves });
            continue;
        }
        // Those that take both say so in their parameters.
        let spreads = match kernel.params.iter().any(|field| field.name == "spread") {
            true => vec![false, true],
            false => vec![kernel.bindings.iter().any(|binding| binding.name == "variances")],
        };
        for (mapping, spread) in Mapping::ALL.into_iter().flat_map(|m| spreads.iter().map(move |&s| (m, s))) {
            for (lanes, half) in [
                (4, false),
                (20, false),
                (32, false),
                (128, false),
                (512, false),
                (8, true),
                (64, true),
                (104, true),
            ] {
                let rows = Rows { count: 1, long: 0, lanes, spread, half };
                let variant = Variant::new(mapping, Mapping::Lanes, 256, &rows);
                let name = format!("{}, {variant:?}", kernel.name);
                let (workgroup, subgroups) = (variant.workgroup(), variant.subgroups());
                texts.push(Text {
                    name,
                    kernel,
                    wgsl: variant.source(kernel),
                    workgroup,
                    subgroups,
                    halves: half,
                });
            }
        }
    }
    texts
}

fn parse(text: &Text) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(&text.wgsl)
        .unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(&text.wgsl, &text.name)));
    // No capability beyond core WebGPU, so that every adapter can run it, but where the backend asks.
    let mut capabilities = if text.subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
    capabilities.set(Capabilities::SHADER_FLOAT16_IN_FLOAT32, text.halves);
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}: {e:?}", text.name));
    (module, info)
}

fn element(inner: &TypeInner) -> Option<Element> {
    match inner {
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => match scalar {
            Scalar { kind: ScalarKind::Float, width: 4 } => Some(Element::F32),
            Scalar { kind: ScalarKind::Uint, width: 4 } => Some(Element::U32),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn every_shader_file_is_a_kernel_and_every_kernel_has_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let files: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "wgsl"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let kernels: BTreeSet<String> = KERNELS.iter().map(|k| k.name.to_owned()).collect();
    assert_eq!(files, kernels);
    assert_eq!(kernels.len(), KERNELS.len(), "a name stands for one kernel");
    for kernel in KERNELS {
        let text = std::fs::read_to_string(folder.join(format!("{}.wgsl", kernel.name))).unwrap();
        assert_eq!(text, kernel.wgsl, "{}", kernel.name);
        let twin = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/kernel/{}.rs", kernel.name));
        assert!(twin.exists(), "{}", twin.display());
    }
}

#[test]
fn bindings_agree_with_their_wgsl() {
    for text in texts() {
        let ((module, _), kernel) = (parse(&text), text.kernel);
        let mut storage = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else { continue };
            let name = variable.name.clone().unwrap();
            match variable.space {
                AddressSpace::Uniform => {
                    assert_eq!((binding.group, binding.binding), (0, 0), "{}", text.name);
                }
                AddressSpace::Storage { access } => {
                    assert_eq!(binding.group, 1, "{}: {name}", text.name);
                    let TypeInner::Array { base, size: ArraySize::Dynamic, stride: 4 | 8 | 16 } =
                        module.types[variable.ty].inner
                    else {
                        panic!("{}: {name} is no array of 4-byte elements or loads of them", text.name)
                    };
                    let access =
                        if access.contains(StorageAccess::STORE) { Access::ReadWrite } else { Access::Read };
                    storage.push((
                        binding.binding,
                        name,
                        element(&module.types[base].inner).unwrap(),
                        access,
                    ));
                }
                other => panic!("{}: {name} is {other:?}", text.name),
            }
        }
        storage.sort_by_key(|s| s.0);
        let expected: Vec<_> = kernel
            .bindings
            .iter()
            .enumerate()
            .map(|(i, b)| (i as u32, b.name.to_owned(), b.element, b.access))
            .collect();
        assert_eq!(storage, expected, "{}", text.name);
        // What WebGPU promises on every adapter.
        assert!(kernel.bindings.len() <= 8, "{}", text.name);
    }
}

#[test]
fn parameter_structs_agree_with_their_wgsl() {
    for text in texts() {
        let ((module, _), kernel) = (parse(&text), text.kernel);
        let (_, params) =
            module.global_variables.iter().find(|(_, v)| v.space == AddressSpace::Uniform).expect("params");
        let TypeInner::Struct { members, span } = &module.types[params.ty].inner else {
            panic!("{}: params is no struct", text.name)
        };
        let actual: Vec<_> = members
            .iter()
            .map(|m| {
                (m.name.clone().unwrap(), element(&module.types[m.ty].inner).unwrap(), m.offset as usize)
            })
            .collect();
        let expected: Vec<_> =
            kernel.params.iter().map(|f| (f.name.to_owned(), f.element, f.offset)).collect();
        assert_eq!(actual, expected, "{}", text.name);
        let size = kernel.params.last().unwrap().offset + 4;
        assert_eq!(*span as usize, size, "{}", text.name);
    }
}

#[test]
fn constants_go_from_rust_to_wgsl() {
    for text in texts() {
        let ((module, _), kernel) = (parse(&text), text.kernel);
        let overrides: BTreeSet<&str> =
            module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
        let given: BTreeSet<&str> = kernel.constants.iter().map(|(name, _)| *name).collect();
        assert_eq!(overrides, given, "{}", text.name);
        let [entry] = &module.entry_points[..] else { panic!("{}: one entry point", text.name) };
        assert_eq!(entry.name, "main");
        if is_template(kernel) {
            assert_eq!(entry.workgroup_size, [text.workgroup, 1, 1], "{}", text.name);
        } else {
            assert!(entry.workgroup_size_overrides.is_some_and(|o| o[0].is_some()), "{}", text.name);
        }
    }
    // Both reductions rest on these.
    assert!(WORKGROUP.is_power_of_two());
    assert_eq!(deltav::kernel::sum_squares::CHUNK % WORKGROUP, 0);
}

/// Runs `check` on each kernel with its constants filled in.
fn specialised(check: impl Fn(&Text, &Module, &ModuleInfo)) {
    for text in texts() {
        let (module, info) = parse(&text);
        let constants = text.kernel.constants.iter().map(|(n, v)| ((*n).to_owned(), f64::from(*v))).collect();
        let (module, info) = process_overrides(&module, &info, None, &constants)
            .unwrap_or_else(|e| panic!("{}: {e}", text.name));
        assert_eq!(module.entry_points[0].workgroup_size, [text.workgroup, 1, 1], "{}", text.name);
        check(&text, &module, &info);
    }
}

#[test]
fn every_shader_translates_to_spir_v() {
    specialised(|text, module, info| {
        let mut options = naga::back::spv::Options::default();
        options.lang_version = if text.subgroups { (1, 3) } else { options.lang_version };
        let words = naga::back::spv::write_vec(module, info, &options, None)
            .unwrap_or_else(|e| panic!("{}: {e}", text.name));
        assert_eq!(words[0], 0x0723_0203, "{}: the SPIR-V magic number", text.name);
    });
}

#[test]
fn every_shader_translates_to_msl() {
    specialised(|text, module, info| {
        let options = naga::back::msl::Options { fake_missing_bindings: true, ..Default::default() };
        let pipeline = naga::back::msl::PipelineOptions::default();
        let (msl, _) = naga::back::msl::write_string(module, info, &options, &pipeline)
            .unwrap_or_else(|e| panic!("{}: {e}", text.name));
        assert!(msl.contains("kernel void"), "{}", text.name);
    });
}

#[test]
fn every_shader_translates_to_hlsl() {
    specialised(|text, module, info| {
        let options = naga::back::hlsl::Options { fake_missing_bindings: true, ..Default::default() };
        let pipeline = naga::back::hlsl::PipelineOptions::default();
        let mut hlsl = String::new();
        naga::back::hlsl::Writer::new(&mut hlsl, &options, &pipeline)
            .write(module, info, None)
            .unwrap_or_else(|e| panic!("{}: {e}", text.name));
        assert!(hlsl.contains(&format!("numthreads({}, 1, 1)", text.workgroup)), "{}", text.name);
    });
}
