use super::*;
use crate::world::{Alone, threads};

/// Numbers of all sizes, of which sums depend on the order.
fn number(block: usize, i: usize) -> f32 {
    let mixed = (block as u32 + 1).wrapping_mul(2_654_435_761).wrapping_add((i as u32).wrapping_mul(40_503))
        % 1_000_003;
    (mixed as f32 - 500_000.0) * f32::powi(2.0, (mixed % 40) as i32 - 20)
}

fn blocks(which: std::ops::Range<usize>, n: usize) -> Vec<f32> {
    which.flat_map(|block| (0..n).map(move |i| number(block, i))).collect()
}

/// By definition: one block after the other, from 0.
fn in_order(all: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| (0..all).fold(0.0, |sum, block| sum + number(block, i))).collect()
}

#[test]
fn sums_have_the_same_bits_for_any_number_of_processes() {
    const BLOCKS: usize = 9;
    // Nothing, one number, and pieces of which the last is short: the shortest, between, and the longest.
    for n in [0, 1, 1000, 5 * SHORTEST_BYTES / 4 + 77, 2 * CHAIN_BYTES / 4 + 77, 9 * CHAIN_BYTES / 4 + 1] {
        let expected = in_order(BLOCKS, n);
        for processes in 1..=5 {
            let ends = threads::run(processes, |world| {
                // The last has none, where there are five.
                let share = if processes == 5 { 4 } else { processes };
                let bound = |process: usize| BLOCKS * process.min(share) / share;
                let own = bound(world.process())..bound(world.process() + 1);
                let sum = running_sum(world, &blocks(own, n), n).unwrap();
                (sum.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), world.sent())
            });
            for (process, (sum, sent)) in ends.into_iter().enumerate() {
                assert!(sum.iter().copied().eq(expected.iter().map(|x| x.to_bits())), "{process}, n = {n}");
                // Once along the chain, once back.
                let ways = u64::from(process > 0) + u64::from(process + 1 < processes);
                assert_eq!(sent, ways * 4 * n as u64);
            }
        }
        let alone = running_sum(&Alone, &blocks(0..BLOCKS, n), n).unwrap();
        assert!(alone.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits())));
    }
    // The order does matter here, or nothing is tested.
    let backward = (0..9).rev().fold(0.0_f32, |sum, block| sum + number(block, 3));
    assert_ne!(backward.to_bits(), in_order(9, 4)[3].to_bits());
}

#[test]
fn pieces_are_many_where_the_chain_is_long_and_never_tiny() {
    assert_eq!(piece_bytes(500_000, 3), 500_000 / 24);
    assert_eq!(piece_bytes(100 << 20, 3), CHAIN_BYTES);
    assert_eq!([piece_bytes(500_000, 63), piece_bytes(0, 3), piece_bytes(7, 0)], [SHORTEST_BYTES; 3]);
}

#[test]
fn sums_in_f64_and_of_whole_numbers_are_exact() {
    for processes in 1..=4 {
        threads::run(processes, |world| {
            let me = world.process() as u64;
            let parts: Vec<u64> = [me, 10 + me, 1 << 40, 7].to_vec();
            let p = processes as u64;
            let pairs = p * (p - 1) / 2;
            assert_eq!(running_sum(world, &parts, 2).unwrap(), [pairs + (p << 40), 10 * p + pairs + 7 * p]);
            let parts: Vec<f64> = parts.into_iter().map(|x| x as f64 / 8.0).collect();
            let sum = running_sum(world, &parts, 1).unwrap();
            assert_eq!(sum, [(2 * pairs + 17 * p + (p << 40)) as f64 / 8.0]);
        });
    }
}

#[test]
fn a_sum_that_begins_with_nothing_is_plus_zero() {
    let sums = threads::run(2, |world| running_sum(world, &[-0.0_f32], 1).unwrap()[0].to_bits());
    assert_eq!(sums, [0, 0]);
}

#[test]
fn parts_that_are_no_blocks_are_refused() {
    assert!(running_sum(&Alone, &[1.0_f32; 5], 2).is_err());
    assert!(running_sum(&Alone, &[1.0_f32], 0).is_err());
    assert_eq!(running_sum(&Alone, &[] as &[f32], 2).unwrap(), [0.0, 0.0]);
}

#[test]
fn everyone_has_what_one_or_all_have() {
    for processes in 1..=5 {
        threads::run(processes, |world| {
            let me = world.process();
            let all = gather(world, &vec![me as f32 + 0.5; me]).unwrap();
            assert!(all.iter().enumerate().all(|(from, of)| *of == vec![from as f32 + 0.5; from]));
            assert_eq!(gather(world, &[me as u64]).unwrap().concat().len(), processes);
            assert_eq!(of_first(world, [me as u64, 7]).unwrap(), [0, 7]);
            assert!(any(world, me + 1 == processes).unwrap() && !any(world, false).unwrap());
            assert_eq!(max(world, -(me as f64)).unwrap(), 0.0);
            assert!(max(world, if me == 0 { f64::NAN } else { 1.0 }).unwrap().is_nan());
        });
    }
}

#[test]
fn all_stop_by_a_signal_that_one_has_heard() {
    for signal in Signal::ALL {
        let ends = threads::run(3, |world| {
            assert_eq!(agreed_signal(world, None).unwrap(), None);
            agreed_signal(world, (world.process() == 2).then_some(signal)).unwrap()
        });
        assert_eq!(ends, [Some(signal); 3]);
    }
    let both = threads::run(2, |world| {
        let mine = [Signal::Interrupt, Signal::Terminate][world.process()];
        agreed_signal(world, Some(mine)).unwrap()
    });
    assert_eq!(both, [Some(Signal::Terminate); 2]);
}
