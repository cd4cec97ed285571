//! The errors by epoch that a model remembers.

use serde::{Deserialize, Serialize};

/// RMSE after an epoch, in rating units; `None` where it was not computed.
///
/// In files it is the list `[epoch, train, valid]`, and `[epoch, train, valid, test]` where there was a test file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct CurvePoint {
    /// The epoch, from 1; 0 is the state before the first update.
    pub epoch: u32,
    /// Over the training ratings.
    pub train: Option<f64>,
    /// Over the validation part.
    pub valid: Option<f64>,
    /// Over the test file.
    pub test: Option<f64>,
}

/// As it stands in files.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Tested(u32, Option<f64>, Option<f64>, Option<f64>),
    Plain(u32, Option<f64>, Option<f64>),
}

impl From<Written> for CurvePoint {
    fn from(written: Written) -> Self {
        match written {
            Written::Tested(epoch, train, valid, test) => Self { epoch, train, valid, test },
            Written::Plain(epoch, train, valid) => Self { epoch, train, valid, test: None },
        }
    }
}

impl From<CurvePoint> for Written {
    fn from(CurvePoint { epoch, train, valid, test }: CurvePoint) -> Self {
        match test {
            Some(_) => Written::Tested(epoch, train, valid, test),
            None => Written::Plain(epoch, train, valid),
        }
    }
}

/// The epoch with its training and its validation error.
impl From<(u32, Option<f64>, Option<f64>)> for CurvePoint {
    fn from((epoch, train, valid): (u32, Option<f64>, Option<f64>)) -> Self {
        Self { epoch, train, valid, test: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_with_and_without_a_test_error_come_back_bit_for_bit() {
        let all = [
            (CurvePoint::from((3, Some(1.0 / 3.0), None)), "[3,0.3333333333333333,null]"),
            (
                CurvePoint { epoch: 4, train: Some(1.0), valid: None, test: Some(0.1 + 0.2) },
                "[4,1.0,null,0.30000000000000004]",
            ),
        ];
        for (point, text) in all {
            assert_eq!(serde_json::to_string(&point).unwrap(), text);
            assert_eq!(serde_json::from_str::<CurvePoint>(text).unwrap(), point);
        }
        for bad in ["[1]", "[1,2]", "[1,2,3,4,5]", "[-1,2,3]", "[1,\"x\",3]", "{}"] {
            assert!(serde_json::from_str::<CurvePoint>(bad).is_err(), "{bad}");
        }
    }
}
