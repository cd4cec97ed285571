//! Top-N lists against NumPy, which reads the model's file itself and sorts
//! every item in f64.

use std::path::Path;

use deltav::backend::{DeviceChoice, OpenOptions, open};
use deltav::config::{ModelKind, TrainConfig};
use deltav::event::Silent;
use deltav::model::{Model, TopN};
use deltav::output::Output;
use deltav::train::{Dataset, train};
use serde_json::Value;

use crate::support::problems;
use crate::support::python::run_python;

/// Every known item by rating, then by index, for the users that are asked for.
const SCRIPT: &str = r"
import json, sys
import numpy as np
raw = open(sys.argv[1], 'rb').read()
size = int.from_bytes(raw[:8], 'little')
head = json.loads(raw[8:8 + size])
types = {'F32': np.float32, 'F64': np.float64, 'U32': np.uint32, 'U64': np.uint64}
def get(name):
    about = head[name]
    start, end = (8 + size + x for x in about['data_offsets'])
    return np.frombuffer(raw[start:end], types[about['dtype']]).reshape(about['shape'])
wide = lambda name: get(name).astype(np.float64)
n, users = int(sys.argv[2]), json.loads(sys.argv[3])
mean, scale = (float(x) for x in sys.argv[4:6])
offsets, columns = get('seen_offsets'), get('seen_items')
known = np.zeros(len(get('item_factors')), bool)
known[columns] = True
ratings = mean + scale * (wide('user_bias')[:, None] + wide('item_bias') + wide('user_factors') @ wide('item_factors').T)
lists = []
for user in users:
    may = known.copy()
    may[columns[int(offsets[user]):int(offsets[user + 1])]] = False
    items = np.flatnonzero(may)
    best = items[np.argsort(-ratings[user, items], kind='stable')][:n]
    lists.append([best.tolist(), ratings[user, best].tolist()])
print(json.dumps(lists))
";

fn numpy(model: &Model, path: &Path, n: usize, users: &[u32]) -> Value {
    let numbers = [n.to_string(), format!("{users:?}"), model.mean.to_string(), model.scale.to_string()];
    let found = run_python(SCRIPT, |command| command.arg(path).args(numbers));
    serde_json::from_str(&found).unwrap()
}

#[test]
fn a_hundred_users_lists_are_those_of_numpy() {
    let folder = tempfile::tempdir().unwrap();
    let ratings = problems::random(400, 700, 0.05, 3);
    let users: Vec<u32> = (0..100).map(|i| (i * 271 + 5) % 400).collect();
    for (kind, rank) in [(ModelKind::Svdpp, 9), (ModelKind::Biased, 33), (ModelKind::Plain, 1)] {
        let config = TrainConfig { model: Some(kind), rank, epochs: Some(8), ..TrainConfig::default() };
        let config = if kind == ModelKind::Plain {
            TrainConfig { optimizer: "als".to_owned(), ..config }
        } else {
            config
        };
        let mut cpu = open(DeviceChoice::Cpu, &OpenOptions::default()).unwrap().backend;
        let data = Dataset { train: ratings.clone(), valid: None, test: None };
        let model = train(config.check().unwrap(), &data, &mut *cpu, &mut Silent).unwrap();
        let model = Model { clip: false, ..model };
        let path = folder.path().join(kind.name());
        model.save_to(Output::create(&path, true).unwrap()).unwrap();
        for n in [10, 200] {
            let theirs = numpy(&model, &path, n, &users);
            for device in [DeviceChoice::Cpu, DeviceChoice::Software] {
                let mut backend = open(device, &OpenOptions::default()).unwrap().backend;
                let mut place = 0;
                let query = TopN { n, ..TopN::default() };
                let counts = model
                    .predictor()
                    .top_n(&users, &query, &mut *backend, |block| {
                        for list in block {
                            let what = format!("{}, {device}, user {}, n {n}", kind.name(), list.user);
                            let items: Vec<u32> = list.items.iter().map(|best| best.item).collect();
                            assert_eq!(serde_json::json!(items), theirs[place][0], "{what}");
                            for (best, score) in list.items.iter().zip(theirs[place][1].as_array().unwrap()) {
                                assert!((best.score - score.as_f64().unwrap()).abs() < 1e-9, "{what}");
                            }
                            place += 1;
                        }
                        Ok(())
                    })
                    .unwrap();
                assert_eq!((place, counts.users), (100, 100));
            }
        }
    }
}
