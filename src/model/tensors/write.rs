//! Safetensors files, written as a stream.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};

use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::{CHECKSUM, CHECKSUM_BYTES, DOCUMENT_KEY, Element, MAX_HEADER_BYTES};

/// A tensor to be written.
#[derive(Debug)]
pub(crate) struct Tensor<'a> {
    plan: Plan,
    bytes: Cow<'a, [u8]>,
}

/// What a header says of a tensor, whose numbers may come later.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    name: Cow<'static, str>,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Plan {
    /// A tensor of the given shape; `[]` is a scalar.
    pub(crate) fn new<T: Element>(name: impl Into<Cow<'static, str>>, shape: &[usize]) -> Self {
        Self { name: name.into(), dtype: T::DTYPE, shape: shape.to_vec() }
    }

    /// Bytes of its numbers.
    pub(crate) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Numbers as the file has them.
pub(crate) fn little_endian_bytes<T: Element>(values: &[T]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        let swapped: Vec<T> = values.iter().map(|value| value.little_endian()).collect();
        Cow::Owned(bytemuck::cast_slice(&swapped).to_vec())
    }
}

impl<'a> Tensor<'a> {
    /// Row-major `values` of the given shape; `[]` is a scalar.
    pub(crate) fn new<T: Element>(
        name: impl Into<Cow<'static, str>>,
        shape: &[usize],
        values: &'a [T],
    ) -> Self {
        Self { plan: Plan::new::<T>(name, shape), bytes: little_endian_bytes(values) }
    }
}

/// Writes `tensors` and one JSON `document` about them. The same input gives the same bytes.
pub(crate) fn write(out: &mut impl Write, document: String, mut tensors: Vec<Tensor<'_>>) -> io::Result<()> {
    tensors.sort_by(|a, b| order(&a.plan, &b.plan));
    let plans: Vec<Plan> = tensors.iter().map(|tensor| tensor.plan.clone()).collect();
    out.write_all(&header(document, &plans)?)?;
    tensors.iter().try_for_each(|tensor| out.write_all(&tensor.bytes))
}

/// As [`write`], with a checksum, which [`TensorFile::open`] compares.
pub(crate) fn write_checked(
    out: &mut impl Write,
    document: String,
    tensors: &[Tensor<'_>],
) -> io::Result<()> {
    let plans = tensors.iter().map(|tensor| tensor.plan.clone()).collect();
    write_checked_from(out, document, plans, |name, sink| {
        tensors.iter().filter(|tensor| tensor.plan.name == name).try_for_each(|tensor| sink(&tensor.bytes))
    })
}

/// Takes the next bytes of a tensor.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// As [`write_checked`], where each tensor's numbers are asked for by name when it is their turn:
/// so they need not be held all at once.
pub(crate) fn write_checked_from(
    out: &mut impl Write,
    document: String,
    mut plans: Vec<Plan>,
    mut fill: impl FnMut(&str, &mut Sink<'_>) -> io::Result<()>,
) -> io::Result<()> {
    plans.sort_by(order);
    // Its bytes are known last.
    plans.push(Plan::new::<u8>(CHECKSUM, &[CHECKSUM_BYTES]));
    let mut checksum = crc32fast::Hasher::new();
    let head = header(document, &plans)?;
    checksum.update(&head);
    out.write_all(&head)?;
    plans.pop();
    for plan in &plans {
        let mut left = plan.bytes();
        fill(&plan.name, &mut |bytes: &[u8]| {
            left = left.checked_sub(bytes.len()).ok_or_else(|| wrong_size(&plan.name))?;
            checksum.update(bytes);
            out.write_all(bytes)
        })?;
        if left > 0 {
            return Err(wrong_size(&plan.name));
        }
    }
    out.write_all(&checksum.finalize().to_le_bytes())
}

fn wrong_size(name: &str) -> io::Error {
    invalid(format!("tensor {name} has other numbers than planned"))
}

/// Widest numbers first, so that each tensor starts at a multiple of its element's size.
fn order(a: &Plan, b: &Plan) -> Ordering {
    b.dtype.cmp(&a.dtype).then(a.name.cmp(&b.name))
}

/// All that stands before the tensors, which lie in the given order.
fn header(document: String, tensors: &[Plan]) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|tensor| {
        let start = end;
        end += tensor.bytes();
        let info =
            TensorInfo { dtype: tensor.dtype, shape: tensor.shape.clone(), data_offsets: (start, end) };
        (tensor.name.to_string(), info)
    });
    let about = HashMap::from([(DOCUMENT_KEY.to_owned(), document)]);
    let header = Metadata::new(Some(about), infos.collect()).map_err(|e| invalid(e.to_string()))?;
    let mut bytes = vec![0; 8];
    serde_json::to_writer(&mut bytes, &header)?;
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    let size = bytes.len() as u64 - 8;
    if size > MAX_HEADER_BYTES {
        return Err(invalid(format!("a header of {size} bytes is too long")));
    }
    if let Some(first) = bytes.first_chunk_mut() {
        *first = size.to_le_bytes();
    }
    Ok(bytes)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, what)
}
