//! Compute pipelines and bind groups, made once and kept.
//!
//! Group 0 is the kernel's parameters, in one uniform buffer for the whole
//! recording, picked by a dynamic offset; group 1 is its storage buffers.

use std::borrow::Cow;
use std::collections::HashMap;

use super::device::Device;
use super::find;
use crate::backend::Buffer;
use crate::error::Result;
use crate::kernel::template::Variant;
use crate::kernel::{Access, Dispatch, Kernel};

/// The largest parameter struct in bytes, and the least distance between two.
pub(super) const MAX_PARAMS: usize = 64;

#[derive(Debug)]
struct Compiled {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// A step that only waits to be encoded.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) buffers: wgpu::BindGroup,
}

/// The caches of one device.
#[derive(Debug)]
pub(super) struct Pipelines {
    compiled: HashMap<(&'static str, Option<Variant>), Compiled>,
    bind_groups: HashMap<(&'static str, Vec<u32>), wgpu::BindGroup>,
    params_layout: wgpu::BindGroupLayout,
    params: wgpu::Buffer,
    params_group: wgpu::BindGroup,
}

impl Pipelines {
    pub(super) fn new(device: &Device) -> Result<Self> {
        let layout = device.checked("parameter layout", |d| {
            d.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some("params"),
                entries: &[layout_entry(0, wgpu::BufferBindingType::Uniform, true)],
            })
        })?;
        let (params, params_group) = params_buffer(device, &layout, MAX_PARAMS as u64)?;
        Ok(Self {
            compiled: HashMap::new(),
            bind_groups: HashMap::new(),
            params_layout: layout,
            params,
            params_group,
        })
    }

    /// Drops the bind groups of buffers that are released: those numbered from `first` on.
    pub(super) fn forget(&mut self, first: u32) {
        self.bind_groups.retain(|(_, buffers), _| buffers.iter().all(|&buffer| buffer < first));
    }

    /// Group 0 of every step of the recording whose parameters were written last.
    pub(super) fn params_group(&self) -> &wgpu::BindGroup {
        &self.params_group
    }

    /// Replaces the parameters. Earlier recordings must have been submitted.
    pub(super) fn write_params(&mut self, device: &Device, bytes: &[u8]) -> Result<()> {
        if self.params.size() < bytes.len() as u64 {
            let size = (bytes.len() as u64).next_power_of_two();
            let made = params_buffer(device, &self.params_layout, size)?;
            device.let_go(&self.params);
            (self.params, self.params_group) = made;
        }
        device.checked("parameters", |d| d.queue.write_buffer(&self.params, 0, bytes))
    }

    /// The step's pipeline and bind group, from the caches where it ran before.
    pub(super) fn prepare(
        &mut self,
        device: &Device,
        step: &Dispatch,
        variant: Option<Variant>,
        buffers: &[wgpu::Buffer],
    ) -> Result<Ready> {
        let kernel = step.kernel();
        let name = (kernel.name, variant);
        if !self.compiled.contains_key(&name) {
            self.compiled.insert(name, self.compile(device, kernel, variant)?);
        }
        let compiled = &self.compiled[&name];
        let key = (kernel.name, step.buffers().iter().map(Buffer::id).collect::<Vec<_>>());
        let group = match self.bind_groups.entry(key) {
            std::collections::hash_map::Entry::Occupied(known) => known.get().clone(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let entry = |(i, buffer): (usize, &Buffer)| {
                    let resource = find(buffers, *buffer)?.as_entire_binding();
                    Ok(wgpu::BindGroupEntry { binding: i as u32, resource })
                };
                let entries = step.buffers().iter().enumerate().map(entry).collect::<Result<Vec<_>>>()?;
                let group = device.checked(kernel.name, |d| {
                    d.device.create_bind_group(&wgpu::BindGroupDescriptor {
                        label: Some(kernel.name),
                        layout: &compiled.layout,
                        entries: &entries,
                    })
                })?;
                place.insert(group).clone()
            }
        };
        Ok(Ready { pipeline: compiled.pipeline.clone(), buffers: group })
    }

    fn compile(&self, device: &Device, kernel: &Kernel, variant: Option<Variant>) -> Result<Compiled> {
        let text = variant.map_or(Cow::Borrowed(kernel.wgsl), |variant| Cow::Owned(variant.source(kernel)));
        let entries: Vec<_> = kernel
            .bindings
            .iter()
            .enumerate()
            .map(|(i, binding)| {
                let read_only = binding.access == Access::Read;
                layout_entry(i as u32, wgpu::BufferBindingType::Storage { read_only }, false)
            })
            .collect();
        let constants: Vec<(&str, f64)> = kernel.constants.iter().map(|(n, v)| (*n, f64::from(*v))).collect();
        device.checked(kernel.name, |d| {
            let layout = d.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(kernel.name),
                entries: &entries,
            });
            let groups = d.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(kernel.name),
                bind_group_layouts: &[Some(&self.params_layout), Some(&layout)],
                immediate_size: 0,
            });
            let module = d.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name),
                source: wgpu::ShaderSource::Wgsl(text),
            });
            let pipeline = d.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: Some(&groups),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // Every shader writes its workgroup memory before it reads it.
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            });
            Compiled { pipeline, layout }
        })
    }
}

fn layout_entry(binding: u32, ty: wgpu::BufferBindingType, dynamic: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: dynamic, min_binding_size: None },
        count: None,
    }
}

fn params_buffer(
    device: &Device,
    layout: &wgpu::BindGroupLayout,
    bytes: u64,
) -> Result<(wgpu::Buffer, wgpu::BindGroup)> {
    let buffer =
        device.buffer("params", bytes, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)?;
    let binding = wgpu::BufferBinding {
        buffer: &buffer,
        offset: 0,
        size: std::num::NonZeroU64::new(MAX_PARAMS as u64),
    };
    let group = device.checked("params", |d| {
        d.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("params"),
            layout,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(binding) }],
        })
    })?;
    Ok((buffer, group))
}
