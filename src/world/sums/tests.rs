use super::*;
use crate::world::together::running_sum;
use crate::world::{Alone, threads};

/// Blocks of a process, in sums of which the order shows.
fn blocks(process: usize, which: usize, numbers: usize) -> Vec<f32> {
    let number = |i: usize| ((process * 7919 + which * 104_729 + i * 31) % 1009) as f32 / 7.0;
    (0..numbers).map(|i| number(i) * f32::powi(3.0, (i % 23) as i32 - 11)).collect()
}

/// Numbers of a sum, and this process's blocks of it: some have none.
fn shape(process: usize, which: usize) -> (usize, usize) {
    ([1, 5000, 0, 17, 70_000][which % 5], (process + which) % 3)
}

#[test]
fn sums_that_overlap_are_those_that_are_waited_for() {
    for processes in 1..=4 {
        threads::run(processes, |world| {
            let mut rooms = Rooms::default();
            // The rooms are used again.
            for round in 0..3 {
                let which = |i: usize| 11 * round + i;
                let mut made: Vec<(usize, Vec<f32>)> = Vec::new();
                Sums::with(world, &mut rooms, |sums| {
                    let mut keep = |which, sum: &[f32]| {
                        made.push((which, sum.to_vec()));
                        Ok(())
                    };
                    for which in (0..11).map(which) {
                        while sums.full() {
                            sums.end(&mut keep)?;
                        }
                        let (len, own) = shape(world.process(), which);
                        let mut room = sums.room(own * len)?;
                        room.numbers().copy_from_slice(&blocks(world.process(), which, own * len));
                        sums.begin(room, len, which)?;
                    }
                    while sums.tasks().next().is_some() {
                        sums.end(&mut keep)?;
                    }
                    // With none under way there is nothing to wait for.
                    sums.end(|_, _| unreachable!())
                })
                .unwrap();
                assert_eq!(made.len(), 11);
                for (i, (task, sum)) in made.into_iter().enumerate() {
                    assert_eq!(task, which(i));
                    let (len, own) = shape(world.process(), task);
                    let waited = running_sum(world, &blocks(world.process(), task, own * len), len).unwrap();
                    assert!(sum.iter().map(|x| x.to_bits()).eq(waited.iter().map(|x| x.to_bits())), "{task}");
                }
            }
        });
    }
}

#[test]
fn an_error_ends_what_is_under_way() {
    // The function's own, with a sum left behind: everyone has begun it.
    let ends = threads::run(3, |world| {
        let mut rooms = Rooms::default();
        Sums::<()>::with(world, &mut rooms, |sums| {
            let room = sums.room(100)?;
            sums.begin(room, 100, ())?;
            Err::<(), _>(Error::usage("stop", "go on"))
        })
    });
    assert!(ends.into_iter().all(|end| matches!(end, Err(Error::Usage { .. }))));
    // Another process's: whoever waits for it hears that it is gone, not that threads are.
    let ends = threads::run(3, |world| {
        if world.process() == 1 {
            return Ok(());
        }
        Sums::with(world, &mut Rooms::default(), |sums| {
            for _ in 0..5 {
                while sums.full() {
                    sums.end(|(), _| Ok(()))?;
                }
                let room = sums.room(9)?;
                sums.begin(room, 9, ())?;
            }
            Ok(())
        })
    });
    assert!(ends[1].is_ok());
    for end in [&ends[0], &ends[2]] {
        assert!(matches!(end, Err(Error::Apart { .. })), "{end:?}");
    }
}

#[test]
fn more_than_there_is_room_for_and_blocks_that_are_none_are_refused() {
    let mut rooms = Rooms::default();
    let refused = Sums::with(&Alone, &mut rooms, |sums| {
        (0..=UNDER_WAY).try_for_each(|_| {
            let room = sums.room(3)?;
            sums.begin(room, 3, ())
        })
    });
    assert!(refused.unwrap_err().to_string().contains("too many sums"));
    let refused = Sums::with(&Alone, &mut rooms, |sums| {
        let room = sums.room(5)?;
        sums.begin(room, 2, ())?;
        sums.end(|(), _| Ok(()))
    });
    assert!(refused.unwrap_err().to_string().contains("blocks of 2"));
    assert_eq!(room_bytes(10, 30), 4 * (4 * 10 + 2 * 30));
}
