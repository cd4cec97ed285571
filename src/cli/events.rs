//! Events as JSON lines: the shape that scripts rely on.

use serde::Serialize;

use crate::event::{Checkpointed, Epoch, Event, Reached};

/// The number of this shape. It changes when a field goes or changes its meaning.
pub(super) const SCHEMA: u32 = 1;

/// One line. Fields come in the order written here; `None` is null.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    schema: u32,
    event: &'static str,
    #[serde(flatten)]
    body: Body<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Loaded {
        users: u64,
        items: u64,
        ratings: u64,
        valid: u64,
        test: u64,
        test_unknown: u64,
        device: &'a str,
    },
    Epoch {
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<u32>,
        epoch: u32,
        epochs: u32,
        train_rmse: Option<f64>,
        valid_rmse: Option<f64>,
        test_rmse: Option<f64>,
        seconds: f64,
        ratings_per_second: f64,
    },
    Stopped {
        reason: &'static str,
        epoch: u32,
        best_epoch: Option<u32>,
        train_rmse: Option<f64>,
        valid_rmse: Option<f64>,
        test_rmse: Option<f64>,
        seconds: f64,
    },
    Saved {
        path: String,
        bytes: u64,
    },
    Checkpoint {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<u32>,
        epoch: u32,
        bytes: u64,
    },
    Notice {
        message: &'a str,
    },
}

/// The line of an event.
pub(super) fn line(event: &Event) -> Line<'_> {
    let (event, body) = match event {
        Event::Loaded(loaded) => (
            "loaded",
            Body::Loaded {
                users: loaded.users,
                items: loaded.items,
                ratings: loaded.ratings,
                valid: loaded.valid,
                test: loaded.test,
                test_unknown: loaded.test_unknown,
                device: &loaded.device,
            },
        ),
        Event::Epoch(epoch) => {
            let Epoch {
                member,
                epoch,
                epochs,
                train_rmse,
                valid_rmse,
                test_rmse,
                seconds,
                ratings_per_second,
            } = *epoch;
            let body = Body::Epoch {
                member,
                epoch,
                epochs,
                train_rmse,
                valid_rmse,
                test_rmse,
                seconds,
                ratings_per_second,
            };
            ("epoch", body)
        }
        Event::Stopped(stopped) => {
            // The errors are those of the model that is saved.
            let Epoch { train_rmse, valid_rmse, test_rmse, .. } = stopped.kept;
            let Epoch { epoch, seconds, .. } = stopped.last;
            let (reason, best_epoch) = (stopped.reason.name(), stopped.best_epoch);
            let body =
                Body::Stopped { reason, epoch, best_epoch, train_rmse, valid_rmse, test_rmse, seconds };
            ("stopped", body)
        }
        Event::Saved(saved) => {
            ("saved", Body::Saved { path: saved.path.to_string_lossy().into_owned(), bytes: saved.bytes })
        }
        Event::Checkpointed(Checkpointed { path, reached: Reached { member, epoch }, bytes }) => {
            let path = path.to_string_lossy().into_owned();
            ("checkpoint", Body::Checkpoint { path, member: *member, epoch: *epoch, bytes: *bytes })
        }
        Event::Notice(message) => ("notice", Body::Notice { message }),
    };
    Line { schema: SCHEMA, event, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Saved, StopReason, Stopped};

    fn text(event: &Event) -> String {
        serde_json::to_string(&line(event)).unwrap()
    }

    #[test]
    fn lines_have_the_fields_of_the_contract() {
        let last = Epoch {
            member: None,
            epoch: 1,
            epochs: 9,
            train_rmse: Some(0.5),
            valid_rmse: None,
            test_rmse: None,
            seconds: 0.25,
            ratings_per_second: 1e6,
        };
        assert_eq!(
            text(&Event::Epoch(last)),
            r#"{"schema":1,"event":"epoch","epoch":1,"epochs":9,"train_rmse":0.5,"valid_rmse":null,"#
                .to_owned()
                + r#""test_rmse":null,"seconds":0.25,"ratings_per_second":1000000.0}"#
        );
        assert!(text(&Event::Epoch(Epoch { member: Some(2), ..last })).contains(r#""member":2,"epoch":1,"#));
        let kept = Epoch { epoch: 1, train_rmse: Some(0.75), ..last };
        let last = Epoch { epoch: 3, ..last };
        assert_eq!(
            text(&Event::Stopped(Stopped { reason: StopReason::Patience, last, kept, best_epoch: Some(1) })),
            r#"{"schema":1,"event":"stopped","reason":"patience","epoch":3,"best_epoch":1,"train_rmse":0.75,"#
                .to_owned() + r#""valid_rmse":null,"test_rmse":null,"seconds":0.25}"#
        );
        assert_eq!(
            text(&Event::Saved(Saved { path: "a b".into(), bytes: 7 })),
            r#"{"schema":1,"event":"saved","path":"a b","bytes":7}"#
        );
        assert_eq!(text(&Event::Notice("x".to_owned())), r#"{"schema":1,"event":"notice","message":"x"}"#);
    }
}
