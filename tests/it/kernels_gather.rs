//! `gather_rows`: the GPU and the twin against the definition.

use deltav::backend::{alloc_f32, alloc_u32};
use deltav::kernel::Element;
use deltav::kernel::gather_rows::{AT_ONCE, GatherRows};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::devices;
use crate::support::inputs::play;

#[test]
fn gather_rows_adds_up_the_rows_of_its_indices() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (rows, groups, each, width) in
        [(1, 1, AT_ONCE, 1), (7, 5, 8, 3), (100, 33, 64, 32), (40, 3, 16, 128), (9, 200, 8, 31)]
    {
        // Eighths, whose sums are exact in any order.
        let factors: Vec<f32> = (0..rows * width).map(|_| rng.random_range(-99..99) as f32 / 8.0).collect();
        let indices: Vec<u32> = (0..groups * each).map(|_| rng.random_range(0..rows as u32)).collect();
        let mut expected = vec![0.0f32; groups * width];
        for (p, &row) in indices.iter().enumerate() {
            for f in 0..width {
                expected[p / each * width + f] += factors[row as usize * width + f];
            }
        }
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            let call = GatherRows {
                indices: alloc_u32(backend, "indices", &indices).unwrap(),
                factors: alloc_f32(backend, "factors", &factors).unwrap(),
                sums: backend.alloc("sums", Element::F32, groups * width).unwrap(),
                each,
                width,
            };
            assert_eq!(call.gathered_bytes(), (4 * width * groups * each) as u64);
            let sums = play(backend, call.dispatch().unwrap(), call.sums);
            let what = format!("{groups} sums of {each} of {rows} rows of {width}, {device}");
            assert_eq!(sums, expected, "{what}");
        }
    }
}

#[test]
fn shapes_that_do_not_agree_are_refused() {
    let (_, mut backend) = devices::all().remove(0);
    let backend = &mut *backend;
    let call = GatherRows {
        indices: alloc_u32(backend, "indices", &[0; 16]).unwrap(),
        factors: alloc_f32(backend, "factors", &[0.0; 8]).unwrap(),
        sums: backend.alloc("sums", Element::F32, 8).unwrap(),
        each: 8,
        width: 4,
    };
    assert!(call.dispatch().is_ok());
    for wrong in [
        GatherRows { each: 12, ..call },
        GatherRows { each: 0, ..call },
        GatherRows { each: 16, ..call },
        GatherRows { width: 3, ..call },
        GatherRows { width: 8, ..call },
    ] {
        assert!(wrong.dispatch().is_err(), "{wrong:?}");
    }
}
