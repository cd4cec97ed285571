//! The errors by epoch that a model remembers, however many epochs there were.

use crate::model::CurvePoint;

/// Beyond so many epochs only every second one is kept, beyond twice as many every fourth, and so on.
const ALL: u32 = 4096;

/// Adds a point. What is kept depends on the last epoch only, and it is always there.
pub(super) fn push(curve: &mut Vec<CurvePoint>, point: CurvePoint) {
    let stride = stride(point.epoch);
    let stays = |point: &CurvePoint| point.epoch.is_multiple_of(stride);
    if stride == self::stride(point.epoch - 1) {
        curve.pop_if(|last| !stays(last));
    } else {
        curve.retain(stays);
    }
    curve.push(point);
}

fn stride(epoch: u32) -> u32 {
    (epoch.max(1) - 1).checked_div(ALL).map_or(1, |over| (over + 1).next_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_while_it_is_short_and_bounded_for_ever() {
        let mut curve = Vec::new();
        for epoch in 1..=100_000 {
            push(&mut curve, (epoch, Some(f64::from(epoch)), None).into());
            assert_eq!(curve.last().map(|point| point.epoch), Some(epoch));
            if epoch <= ALL {
                assert_eq!(curve.len() as u32, epoch);
            }
            assert!(curve.len() as u32 <= ALL + 1, "{epoch}: {}", curve.len());
        }
        let stride = stride(100_000);
        assert!(curve.len() as u32 >= ALL / 2 && stride == 32);
        assert!(
            curve[..curve.len() - 1]
                .iter()
                .enumerate()
                .all(|(i, point)| point.epoch == (i as u32 + 1) * stride)
        );
    }
}
