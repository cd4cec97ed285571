//! What MPI carries is what channels between threads carry.

use deltav::world::mpi::Mpi;
use deltav::world::sums::{Rooms, Sums};
use deltav::world::{PIECE, World, threads, together};

use crate::job;

/// Calls every method and tells what came of it, and the bytes that were sent.
fn everything(world: &dyn World) -> Vec<u64> {
    let (me, all) = (world.process(), world.processes());
    let mut heard = vec![me as u64, all as u64];
    let hash = |bytes: &[u8]| bytes.iter().fold(7_u64, |h, &b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    let bytes = |length: usize, seed: usize| -> Vec<u8> {
        (0..length).map(|i| (i * 7 + seed * 13 + i / 1000) as u8).collect()
    };

    // Around a ring, a long way: in pieces, with a short one last.
    let long = bytes(PIECE + 321, me);
    let mut came = vec![0; long.len()];
    let (next, before) = ((me + 1) % all, (me + all - 1) % all);
    if all > 1 {
        if me == 0 {
            world.send(next, &long).unwrap();
            world.receive(before, &mut came).unwrap();
        } else {
            world.receive(before, &mut came).unwrap();
            world.send(next, &long).unwrap();
        }
        assert!(came == bytes(PIECE + 321, before));
        world.send(next, &[]).unwrap();
        world.receive(before, &mut []).unwrap();
    }
    heard.push(hash(&came));

    for from in 0..all {
        for length in [0, 1, PIECE + 1] {
            let mut told = bytes(length, me);
            world.broadcast(from, &mut told).unwrap();
            assert!(told == bytes(length, from));
        }
    }

    // Parts of other lengths each, together less and more than a piece.
    for unit in [1, PIECE / 2] {
        let gathered = world.all_gather(&bytes(unit * me + 3, me)).unwrap();
        assert!(gathered.iter().enumerate().all(|(from, part)| *part == bytes(unit * from + 3, from)));
        let parts = (0..all).map(|to| bytes(unit * to * (me + 1), me + 2 * to)).collect();
        let exchanged = world.exchange(parts).unwrap();
        for (from, part) in exchanged.iter().enumerate() {
            assert!(*part == bytes(unit * me * (from + 1), from + 2 * me), "{from} to {me}");
        }
        heard.extend(gathered.iter().chain(&exchanged).map(|part| hash(part)));
    }
    assert!(world.all_gather(&[]).unwrap().iter().all(Vec::is_empty));
    assert_eq!(world.all_gather(&vec![9; me]).unwrap().concat().len(), all * (all - 1) / 2);
    assert!(world.exchange(vec![Vec::new(); all]).unwrap().iter().all(Vec::is_empty));
    heard.push(world.sent());

    // 12 blocks, whoever has them, of sizes where the order of a sum matters.
    let n = together::CHAIN_BYTES / 4 + 1000;
    let own = 12 * me / all..12 * (me + 1) / all;
    let number = |block: usize, i: usize| ((block * 7919 + i * 104_729) % 100_003) as f32 * 1e-3 - 47.0;
    let parts: Vec<f32> = own.flat_map(|block| (0..n).map(move |i| number(block, i))).collect();
    let sum = together::running_sum(world, &parts, n).unwrap();
    heard.push(hash(bytemuck::cast_slice(&sum)));
    assert!((0..n).all(|i| sum[i] == (0..12).fold(0.0, |sum, block| sum + number(block, i))));
    heard.push(world.sent());

    // The same several times over, one on its way behind the other.
    Sums::with(world, &mut Rooms::default(), |sums| {
        let same = |(), made: &[f32]| {
            assert!(made == sum);
            Ok(())
        };
        for _ in 0..7 {
            while sums.full() {
                sums.end(same)?;
            }
            let mut room = sums.room(parts.len())?;
            room.numbers().copy_from_slice(&parts);
            sums.begin(room, n, ())?;
        }
        (0..7).try_for_each(|_| sums.end(same))
    })
    .unwrap();
    heard.push(world.sent());
    heard
}

#[test]
fn mpi_carries_what_threads_carry() {
    const NAME: &str = "world::mpi_carries_what_threads_carry";
    if job::is_role(NAME) {
        let world = Mpi::start().unwrap();
        let before = world.beats().count();
        let heard = everything(&world);
        assert!(world.processes() == 1 || world.beats().count() > before);
        let local = world.local();
        assert_eq!((local.process, local.processes), (world.process(), world.processes()));
        assert!(local.threads.unwrap() >= 1);
        // In one piece, or lines of several processes mix.
        let line: Vec<String> = heard.iter().map(u64::to_string).collect();
        println!("\nheard {} .", line.join(" "));
        return;
    }
    for processes in 1..=4 {
        let ended = job::run(&mut job::as_test(processes, NAME)).well();
        let mut heard: Vec<Vec<u64>> = ended
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("heard ")?.strip_suffix(" ."))
            .map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect())
            .collect();
        heard.sort();
        assert_eq!(heard, threads::run(processes, |world| everything(world)), "{processes} processes");
    }
}
