use super::*;
use crate::backend::cpu::CpuBackend;

fn plan() -> Plan {
    Plan {
        shape: Shape { name: "tiny", users: 60, items: 40, ratings: 900 },
        ranks: vec![3, 8],
        seed: 1,
        precision: Precision::F32,
        quick: true,
        parts: Part::ALL.to_vec(),
    }
}

fn measured(plan: &Plan) -> Vec<Measurement> {
    let mut backend = CpuBackend::new(Some(2)).unwrap();
    let mut all = Vec::new();
    run(plan, &mut backend, &mut |measurement| {
        all.push(measurement.clone());
        Ok(())
    })
    .unwrap();
    assert_eq!(backend.allocated(), 0, "nothing stays on the device");
    all
}

#[test]
fn every_part_is_measured_at_every_rank() {
    let all = measured(&plan());
    let works: Vec<(&str, Option<usize>)> = all.iter().map(|m| (m.work, m.rank)).collect();
    let of_rank = |rank| {
        ["gather", "epoch, gradient", "epoch, fixed λ", "epoch, default"].map(|work| (work, Some(rank)))
    };
    let mut expected = vec![("load, CSV", None), ("copy", None)];
    expected.extend(of_rank(3));
    expected.extend(of_rank(8));
    expected.extend([("to RMSE, line-search", Some(3)), ("to RMSE, sgd", Some(3))]);
    expected.extend([("top 10, all users", Some(3)), ("top 10, all users", Some(8))]);
    assert_eq!(works, expected);
}

#[test]
fn what_is_told_agrees_with_itself() {
    for m in measured(&plan()) {
        let numbers = [m.per_second, m.bytes_per_second, m.of_limit, m.test_rmse];
        assert!(numbers.iter().flatten().all(|x| x.is_finite() && *x > 0.0), "{m:?}");
        if m.work.starts_with("epoch") {
            let ratings = m.per_second.unwrap() * m.seconds;
            assert!((ratings - 810.0).abs() < 1e-6, "{m:?}");
            // The other side's row of every rating, on both sides, in f32.
            let rows = if m.work == "epoch, default" { 4.0 } else { 1.0 };
            let bytes = rows * 810.0 * 2.0 * 4.0 * m.rank.unwrap() as f64;
            assert!((m.bytes_per_second.unwrap() * m.seconds / bytes - 1.0).abs() < 1e-9, "{m:?}");
        }
        if m.work.starts_with("to RMSE") {
            assert!(m.epochs.unwrap() >= 1 && m.test_rmse.unwrap() < 1.2, "{m:?}");
        }
    }
}

#[test]
fn only_what_is_asked_for_is_measured() {
    let all = measured(&Plan { parts: vec![Part::Limits], ..plan() });
    assert_eq!(all.iter().map(|m| m.work).collect::<Vec<_>>(), ["copy", "gather", "gather"]);
    let all = measured(&Plan { parts: vec![Part::TopN], ranks: vec![4], ..plan() });
    assert_eq!(all.len(), 1);
}

#[test]
fn a_device_with_small_buffers_is_measured_all_the_same() {
    let mut backend = CpuBackend::new(Some(1)).unwrap().with_max_buffer_bytes(1 << 10);
    let mut works = 0;
    let plan = Plan { parts: vec![Part::Limits, Part::Epochs], ..plan() };
    run(&plan, &mut backend, &mut |_| {
        works += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(works, 9);
}

#[test]
fn half_precision_gathers_half_the_bytes() {
    let mut backend = CpuBackend::new(Some(1)).unwrap();
    let ratings = plan().shape.planted().generate().unwrap().ratings;
    let mut bytes = |precision| Gather::measure(&ratings, 8, precision, &mut backend, true).unwrap().bytes;
    assert_eq!((bytes(Precision::F32), bytes(Precision::F16)), (900.0 * 64.0, 900.0 * 32.0));
}
