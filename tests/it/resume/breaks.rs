//! Runs that break in another way than others: in several buffers, unheard, between members.

use super::*;

#[test]
fn factors_in_several_buffers_go_on_with_the_same_bits() {
    for (name, config, data) in cases() {
        let folder = tempfile::tempdir().unwrap();
        let run = |observer: &mut dyn Observer, controls: Controls<'_>| {
            // Room for a good half of the users' factors.
            let max_buffer_bytes = Some(140 * config.rank as u64);
            let options = OpenOptions { threads: Some(2), max_buffer_bytes, ..OpenOptions::default() };
            let mut backend = open(DeviceChoice::Cpu, &options).unwrap().backend;
            train_with(config.clone().check().unwrap(), &data, &mut *backend, observer, controls).unwrap()
        };
        let mut copies = Copies::new(folder.path());
        let checkpoint = checkpointing(folder.path(), Every::Epochs(1));
        let whole = run(&mut copies, Controls { checkpoint, ..Controls::default() });
        for file in &copies.files {
            let resume = Some(Checkpoint::load(file).unwrap());
            let resumed = run(&mut |_: &Event| {}, Controls { resume, ..Controls::default() });
            assert!(resumed == whole, "{name}");
        }
    }
}

/// Keeps what it is told, and asks for no epochs.
struct Unasking<'a>(Copies<'a>);

impl Observer for Unasking<'_> {
    fn event(&mut self, event: &Event) {
        self.0.event(event);
    }

    fn wants_epochs(&self) -> bool {
        false
    }
}

#[test]
fn patience_counts_on_where_nobody_listened_before() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        patience: Some(3),
        keep: Some(Keep::Last),
        epochs: Some(60),
        reg: Some(Reg::Fixed(0.0)),
        ..config("adam", &[("rate", "0.3")])
    };
    let mut copies = Unasking(Copies::new(folder.path()));
    let controls =
        Controls { checkpoint: checkpointing(folder.path(), Every::Epochs(1)), ..Controls::default() };
    let whole = run(&config, &data(), DeviceChoice::Cpu, &mut copies, controls).unwrap();
    assert!((4..60).contains(&copies.0.files.len()));
    for file in &copies.0.files {
        let controls = Controls { resume: Some(Checkpoint::load(file).unwrap()), ..Controls::default() };
        let resumed = run(&config, &data(), DeviceChoice::Cpu, &mut |_: &Event| {}, controls).unwrap();
        assert_eq!(resumed.metadata.epochs, whole.metadata.epochs);
        assert_eq!(resumed.user_factors, whole.user_factors);
    }
}

#[test]
fn the_time_of_an_average_counts_what_was_before_the_break() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { average: 2, epochs: Some(3), ..config("als", &[]) };
    let pause = std::time::Duration::from_millis(30);
    let mut copies = Copies::new(folder.path());
    let mut slow = |event: &Event| {
        copies.event(event);
        if matches!(event, Event::Epoch(_)) {
            std::thread::sleep(pause);
        }
    };
    let controls =
        Controls { checkpoint: checkpointing(folder.path(), Every::Epochs(1)), ..Controls::default() };
    run(&config, &data(), DeviceChoice::Cpu, &mut slow, controls).unwrap();
    let resume = Some(Checkpoint::load(copies.files.last().unwrap()).unwrap());
    let mut seconds = 0.0;
    let mut observer = |event: &Event| {
        if let Event::Stopped(stopped) = event {
            seconds = stopped.kept.seconds;
        }
    };
    let controls = Controls { resume, ..Controls::default() };
    run(&config, &data(), DeviceChoice::Cpu, &mut observer, controls).unwrap();
    // Two pauses before the first member's last epoch was measured, and the second one's three.
    assert!(seconds >= 5.0 * pause.as_secs_f64(), "{seconds}");
}
