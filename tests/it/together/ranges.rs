//! Items in several ranges, whose sums are made one after the other or while kernels run.

use super::*;

#[test]
fn items_that_are_summed_range_by_range_have_the_plain_bits() {
    // A range has the sums of some 1,500 items of the first's rank, and 65,536 of the baseline's.
    for (items, density, rank) in [(6_000, 0.01, 130), (66_000, 0.0005, 1)] {
        let (train, valid) = problems::random(130, items, density, 8).split(0.1, 2).unwrap();
        let data = Dataset { train, valid: Some(valid), test: None };
        let quick = [("warm-up", "1"), ("settle", "1")];
        let mut config = config("line-search", ModelKind::Svdpp, rank, &quick);
        config.epochs = Some(4);
        let plain = alone(&config, &data, DeviceChoice::Cpu);
        for processes in [1, 3] {
            let model =
                first(together(&config, &data, processes, DeviceChoice::Cpu, |_| Controls::default()));
            assert!(model == plain, "{items} items, {processes} processes");
        }
    }
}

#[test]
fn who_has_more_blocks_or_less_memory_cuts_items_as_the_others_do() {
    // Three blocks of users and four: as many parts of an item's sums share a buffer of 64 KiB.
    let (train, valid) = problems::random(420, 400, 0.03, 11).split(0.1, 2).unwrap();
    let data = Dataset { train, valid: Some(valid), test: None };
    let config = config("line-search", ModelKind::Svdpp, 5, &[("warm-up", "3"), ("settle", "2")]);
    let plain = alone(&config, &data, DeviceChoice::Cpu);
    let small = |bytes| OpenOptions { max_buffer_bytes: Some(bytes), ..OpenOptions::default() };
    for other in [1 << 16, 3 << 15] {
        let models = each(&config, &data, 2, &|_: &Event| {}, |process| {
            let options = small(if process == 0 { 1 << 16 } else { other });
            (open(DeviceChoice::Cpu, &options).unwrap().backend, Controls::default())
        });
        assert!(first(models) == plain, "{other} bytes");
    }
    // Streamed by one of them alone.
    let run = |most: Option<u64>| {
        let streamed = Mutex::new(Vec::new());
        let seen = |event: &Event| {
            if let Event::Notice(notice) = event
                && notice.contains("streamed")
            {
                streamed.lock().unwrap().push(notice.clone());
            }
        };
        let models = each(&config, &data, 2, &seen, |process| {
            let options =
                OpenOptions { max_memory_bytes: most.filter(|_| process == 1), ..OpenOptions::default() };
            (open(DeviceChoice::Software, &options).unwrap().backend, Controls::default())
        });
        (first(models), streamed.into_inner().unwrap())
    };
    let (whole, notices) = run(None);
    assert!(notices.is_empty());
    let (own, share) = &shares(&data, 2).unwrap()[1];
    let shape = Shape::of_share(own, share, ModelKind::Svdpp);
    let checked = config.clone().check().unwrap();
    let all = Plan::new(&checked, &shape, true, &*backend(DeviceChoice::Software)).unwrap().device();
    let (streamed, notices) = run(Some(all - 4096));
    assert_eq!(notices.len(), 1);
    assert!(streamed == whole);
}

/// Sums are made while kernels run, or waited for: by each process as it finds faster, which differs.
#[test]
fn whoever_hides_sums_and_whoever_waits_for_them_have_the_same_bits() {
    let (train, valid) = problems::random(420, 400, 0.03, 11).split(0.1, 2).unwrap();
    let data = Dataset { train, valid: Some(valid), test: None };
    // Several ranges of items, and epochs enough for a trial and what follows it.
    let options = OpenOptions { max_buffer_bytes: Some(1 << 16), threads: Some(2), ..OpenOptions::default() };
    let fixed =
        TrainConfig { reg: Some(Reg::Fixed(0.8)), ..config("line-search", ModelKind::Biased, 5, &[]) };
    let learned = config("line-search", ModelKind::Svdpp, 5, &[("warm-up", "3"), ("settle", "2")]);
    for (mut config, device) in
        [(fixed.clone(), DeviceChoice::Cpu), (learned, DeviceChoice::Cpu), (fixed, DeviceChoice::Software)]
    {
        config.epochs = Some(15);
        let run = |processes: usize, never: &[usize]| {
            let shares = shares(&data, processes).unwrap();
            let worth = |process| if never.contains(&process) { usize::MAX } else { 0 };
            first(threads::run_hiding(processes, worth, |world| {
                let (part, share) = &shares[world.process()];
                let controls = Controls { team: Some(Team { world, share }), ..Controls::default() };
                let mut backend = open(device, &options).unwrap().backend;
                let checked = config.clone().check().unwrap();
                train_with(checked, part, &mut *backend, &mut |_: &Event| {}, controls)
            }))
        };
        let waits = run(3, &[0, 1, 2]);
        for never in [&[][..], &[0], &[1], &[0, 2]] {
            assert!(run(3, never) == waits, "{device:?}, {never:?} never hide");
        }
        assert!(run(2, &[]) == waits, "{device:?}");
    }
}
