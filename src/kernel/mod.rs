//! Kernels as values: the arithmetic of training, each with its WGSL text, its
//! bindings and its CPU twin.
//!
//! A kernel `x` is `shaders/x.wgsl` beside `src/kernel/x.rs`, and one line in
//! [`KERNELS`]. Its Rust file has the parameter struct, a struct of named
//! buffers that makes a [`Dispatch`], and the twin as a function on plain
//! slices, written to be read beside the shader. A backend plays dispatches
//! and knows nothing of what they mean.

pub mod best_items;
pub mod cholesky;
pub mod column_moments;
pub mod copy;
pub mod extrapolate;
pub mod fused;
pub mod gather_rows;
pub mod gradient;
pub mod join_parts;
pub mod mask_alpha;
pub mod mask_direction;
pub mod mask_residual;
pub mod mask_squares;
pub mod mask_step;
pub mod normal_equations;
pub mod pack_halves;
pub mod pack_rows;
pub mod pattern_sum;
pub mod residual;
pub mod row_bend;
pub mod row_curvature;
pub mod row_direction;
pub mod row_gradient;
pub mod row_loss;
pub mod row_part;
pub mod row_pass;
pub mod row_pass_learned;
pub mod row_pattern;
pub mod row_step;
pub mod row_sums;
pub mod sgd_diagonal;
pub mod step_adam;
pub mod step_gd;
pub mod step_momentum;
pub mod sum;
pub mod sum_squares;
pub mod template;

mod lanes;
pub(crate) mod simd;
mod tiles;

use self::template::Rows;
use crate::backend::Buffer;
use crate::error::{Error, Result};

/// Every kernel. Tests walk this list: an orphan shader, a binding or a
/// parameter that differs from its WGSL fails there.
pub const KERNELS: &[&Kernel] = &[
    &residual::KERNEL,
    &gradient::KERNEL,
    &step_gd::KERNEL,
    &step_momentum::KERNEL,
    &step_adam::KERNEL,
    &normal_equations::KERNEL,
    &cholesky::KERNEL,
    &copy::KERNEL,
    &gather_rows::KERNEL,
    &sum_squares::KERNEL,
    &sum::KERNEL,
    &row_sums::KERNEL,
    &row_direction::KERNEL,
    &row_curvature::KERNEL,
    &row_step::KERNEL,
    &pack_rows::KERNEL,
    &pack_halves::KERNEL,
    &row_pass::KERNEL,
    &row_pass_learned::KERNEL,
    &row_gradient::KERNEL,
    &row_loss::KERNEL,
    &row_pattern::KERNEL,
    &row_part::KERNEL,
    &row_bend::KERNEL,
    &join_parts::KERNEL,
    &extrapolate::KERNEL,
    &column_moments::KERNEL,
    &pattern_sum::KERNEL,
    &mask_residual::KERNEL,
    &mask_direction::KERNEL,
    &mask_squares::KERNEL,
    &mask_alpha::KERNEL,
    &mask_step::KERNEL,
    &sgd_diagonal::KERNEL,
    &best_items::KERNEL,
];

/// Invocations of a workgroup, the `WORKGROUP` constant of every shader.
pub const WORKGROUP: u32 = 64;

/// The type of a buffer's elements. All are 4 bytes wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 32-bit unsigned integer.
    U32,
}

/// What a kernel does with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only reads it.
    Read,
    /// Writes it, and may read it.
    ReadWrite,
}

/// One storage buffer of a kernel: `@group(1) @binding(i)`, i its place in the list.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    /// Type of the elements.
    pub element: Element,
    /// Read, or read and written.
    pub access: Access,
}

impl Binding {
    const fn read(name: &'static str, element: Element) -> Self {
        Self { name, element, access: Access::Read }
    }

    const fn read_write(name: &'static str, element: Element) -> Self {
        Self { name, element, access: Access::ReadWrite }
    }
}

/// One field of a kernel's parameter struct: `@group(0) @binding(0)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The field's name, the same in Rust and WGSL.
    pub name: &'static str,
    /// Its type.
    pub element: Element,
    /// Its offset in bytes.
    pub offset: usize,
}

/// A kernel as a value.
#[derive(Debug)]
pub struct Kernel {
    /// Its name: the stem of its files and the label of its pipeline.
    pub name: &'static str,
    /// WGSL text with the entry point `main`.
    pub wgsl: &'static str,
    /// Fields of the parameter struct, in order.
    pub params: &'static [Field],
    /// Storage buffers, in order.
    pub bindings: &'static [Binding],
    /// Values of the shader's `override`s, by name.
    pub constants: &'static [(&'static str, u32)],
    /// The same arithmetic on the CPU.
    pub twin: Twin,
}

/// A CPU twin behind its bindings: the parameters' bytes and the buffers in order.
pub type Twin = fn(params: &[u8], slots: &mut [Slot<'_>]);

/// A buffer as a CPU twin sees it.
#[derive(Debug)]
pub enum Slot<'a> {
    /// Only read.
    Read(&'a [u32]),
    /// Written, and perhaps read.
    Write(&'a mut [u32]),
}

impl Slot<'_> {
    fn u32(&self) -> &[u32] {
        match self {
            Slot::Read(words) => words,
            Slot::Write(words) => words,
        }
    }

    fn f32(&self) -> &[f32] {
        bytemuck::cast_slice(self.u32())
    }

    fn f32_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(self.u32_mut())
    }

    fn u32_mut(&mut self) -> &mut [u32] {
        match self {
            Slot::Write(words) => words,
            Slot::Read(_) => unreachable!("a backend hands out bindings as the kernel declares them"),
        }
    }
}

/// A kernel with its parameters and buffers: one step of a recording.
#[derive(Debug, Clone)]
pub struct Dispatch {
    kernel: &'static Kernel,
    params: Vec<u8>,
    buffers: Vec<Buffer>,
    workgroups: u32,
    work: u64,
    rows: Option<Rows>,
    exchange: Option<Exchange>,
}

/// What processes that train together exchange where they play a dispatch; see
/// [`Together`](crate::backend::Together). Who trains alone has no part in it.
#[derive(Debug, Clone)]
pub enum Exchange {
    /// The dispatch adds up its first buffer's parts. Instead, `sum` becomes the sum of the parts of all
    /// processes, in their order, and `place` is played, which does with it what the dispatch does.
    Sum {
        /// What the dispatch adds up, `[parts, sum.len()]`.
        parts: Buffer,
        /// Receives the sum.
        sum: Buffer,
        /// What is played instead.
        place: Box<Dispatch>,
    },
    /// Behind the dispatch, the elements from `bounds[p]` to `bounds[p + 1]` become those that
    /// process p has there.
    Gather {
        /// Whose elements.
        buffer: Buffer,
        /// `[processes + 1]`.
        bounds: Vec<usize>,
    },
}

/// Multiply-adds that take a device as long as a gathered byte: slow GPUs do 80 G/s of the
/// first and 10 GB/s of the second.
pub const MULTIPLY_ADDS: u64 = 8;

/// Bytes that stream through a device in the time of a gathered one.
const STREAMED: u64 = 4;

/// The [work](Dispatch::work) of gathering a row of `width` elements for each of `cells` cells.
fn gathered(cells: usize, width: usize) -> u64 {
    (cells as u64).saturating_mul(4 * width as u64)
}

/// The [work](Dispatch::work) of one cell at most, in any kernel that gathers its two rows or
/// means and variances of one, for factors of a width.
pub fn cell_work(width: usize) -> u64 {
    gathered(1, 2 * width) + 16 / STREAMED
}

impl Dispatch {
    /// Checks the buffers against the kernel's bindings.
    ///
    /// # Errors
    /// [`Error::Internal`] if their number or an element type differs, or if a
    /// written buffer is bound twice.
    fn new<P: bytemuck::Pod>(
        kernel: &'static Kernel,
        params: P,
        buffers: &[Buffer],
        workgroups: u64,
    ) -> Result<Self> {
        let wrong = |what: String| Err(Error::Internal(format!("kernel {}: {what}", kernel.name)));
        if buffers.len() != kernel.bindings.len() {
            return wrong(format!("{} buffers for {} bindings", buffers.len(), kernel.bindings.len()));
        }
        for (i, (buffer, binding)) in buffers.iter().zip(kernel.bindings).enumerate() {
            if buffer.element() != binding.element {
                return wrong(format!("{} is {:?}", binding.name, buffer.element()));
            }
            let shared = buffers.iter().enumerate().any(|(j, other)| j != i && other.id() == buffer.id());
            if binding.access == Access::ReadWrite && shared {
                return wrong(format!("{} is bound twice", binding.name));
            }
        }
        let Ok(workgroups) = u32::try_from(workgroups) else {
            return wrong(format!("{workgroups} workgroups"));
        };
        Ok(Self {
            kernel,
            params: bytemuck::bytes_of(&params).to_vec(),
            buffers: buffers.to_vec(),
            workgroups,
            work: buffers.iter().map(|buffer| buffer.len() as u64 * 4 / STREAMED).sum(),
            rows: None,
            exchange: None,
        })
    }

    /// With work beside that of reading or writing each element once.
    fn and_work(self, more: u64) -> Self {
        Self { work: self.work.saturating_add(more), ..self }
    }

    /// With this work, where the buffers say nothing of it.
    fn with_work(self, work: u64) -> Self {
        Self { work, ..self }
    }

    /// Over rows of cells: how many workgroups that takes is for the device to say.
    fn by_rows(self, rows: Rows) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// The rows of a call to a kernel whose WGSL is a [template].
    pub fn rows(&self) -> Option<&Rows> {
        self.rows.as_ref()
    }

    /// With what processes exchange there.
    pub(crate) fn exchanging(self, exchange: Exchange) -> Self {
        Self { exchange: Some(exchange), ..self }
    }

    /// What processes that train together exchange there.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_ref()
    }

    /// What to run.
    pub fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// The parameter struct's bytes.
    pub fn params(&self) -> &[u8] {
        &self.params
    }

    /// The buffers, in the order of the kernel's bindings.
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// An estimate of how long it keeps a device busy, in bytes gathered at random places: four
    /// bytes that stream count as one of them, and so do [`MULTIPLY_ADDS`] multiply-adds.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Workgroups in all; a backend spreads them over the grid's dimensions.
    pub fn workgroups(&self) -> u32 {
        self.workgroups
    }
}

/// What every shape check of a kernel's buffers says.
fn require(kernel: &Kernel, ok: bool, what: &str) -> Result<()> {
    if ok { Ok(()) } else { Err(Error::Internal(format!("kernel {}: {what}", kernel.name))) }
}

/// A dimension as the shaders' `u32`.
fn dimension(kernel: &Kernel, value: usize) -> Result<u32> {
    u32::try_from(value)
        .map_err(|_| Error::Internal(format!("kernel {}: {value} exceeds 32 bits", kernel.name)))
}

/// Declares a parameter struct once, with the table that tests compare to the WGSL struct.
macro_rules! params {
    ($(#[$doc:meta])* pub struct Params { $($(#[$field_doc:meta])* pub $field:ident: $ty:ident,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct Params { $($(#[$field_doc])* pub $field: $ty,)* }

        impl Params {
            /// Name, type and offset of each field.
            pub const FIELDS: &'static [crate::kernel::Field] = &[$(crate::kernel::Field {
                name: stringify!($field),
                element: crate::kernel::params!(@element $ty),
                offset: std::mem::offset_of!(Params, $field),
            },)*];
        }
    };
    (@element f32) => { crate::kernel::Element::F32 };
    (@element u32) => { crate::kernel::Element::U32 };
}
use params;
