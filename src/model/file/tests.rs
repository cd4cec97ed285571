//! Round trips, and files that were made or damaged to break the reader.

use std::fs;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::super::testing::{ids, known_answers, known_posterior, pattern, random_model, random_posterior};
use super::super::{CurvePoint, Explore};
use super::*;

mod damaged;
mod refused;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    (folder, path)
}

fn bytes(model: &Model) -> Vec<u8> {
    let mut bytes = Vec::new();
    model.write(&mut bytes).unwrap();
    bytes
}

/// Loads bytes as a file; an error must be 65 in one line that names the file.
fn load(bytes: &[u8]) -> Result<Model, String> {
    let (_folder, path) = folder();
    fs::write(&path, bytes).unwrap();
    let loaded = Model::load(&path);
    let from_bytes = Model::from_bytes(&path, bytes);
    assert_eq!(
        loaded.as_ref().map_err(ToString::to_string),
        from_bytes.as_ref().map_err(ToString::to_string)
    );
    loaded.map_err(|error| {
        let text = error.to_string();
        assert_eq!(error.exit_code(), 65, "{text}");
        assert!(text.starts_with(&path.display().to_string()), "{text}");
        assert!(!text.contains('\n'), "{text}");
        text
    })
}

/// The file with the checksum that its bytes have: what is damaged on purpose, not by chance.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The file with its header edited as text and its length and checksum kept up to date.
fn with_header(bytes: &[u8], edit: impl Fn(String) -> String) -> Vec<u8> {
    let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = edit(String::from_utf8(bytes[8..8 + size].to_vec()).unwrap());
    let mut edited = (header.len() as u64).to_le_bytes().to_vec();
    edited.extend(header.as_bytes());
    edited.extend(&bytes[8 + size..]);
    sealed(edited)
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    with_header(bytes, |header| {
        assert!(header.contains(from), "{header}");
        header.replacen(from, to, 1)
    })
}

#[test]
fn a_model_comes_back_bit_for_bit() {
    let (_folder, path) = folder();
    for (seed, kind) in (0..12).zip(ModelKind::ALL.into_iter().cycle()) {
        let mut model = random_model(kind, 7, 5, 1 + seed as usize, 0.3, seed);
        if seed % 3 > 0 {
            let mut posterior = random_posterior(&model, seed);
            posterior.noise = 0.1 + 0.2;
            posterior.user_prior[0] = f64::from_bits(1);
            posterior.calibration =
                (seed % 3 > 1).then_some(Calibration { factor: 1.0 / 3.0, ratings: u64::MAX });
            model.posterior = Some(posterior);
        }
        model.baseline = (seed % 2 > 0).then(|| BaselineBiases {
            user_bias: model.user_factors[..7].to_vec(),
            item_bias: model.item_factors[..5].to_vec(),
        });
        // Numbers that careless formatting or arithmetic would lose.
        model.user_factors[0] = -0.0;
        model.item_factors[0] = f32::from_bits(1);
        model.user_bias[0] = f32::MAX;
        model.users = ids(&["007", "", "Zoë 🎬", "a\0b", "\"q\",", " x ", &"y".repeat(300)]);
        model.items = ids(&[&b"\xff\x00"[..], b"1", b"01", b"1 ", b"\n"]);
        let names = ids(&["Heat", "", "Zoë 🎬", "Heat", "a\nb"]);
        model.item_names = (seed % 2 > 0).then_some(names);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        model.metadata.curve = (0..50)
            .map(|epoch| CurvePoint {
                epoch,
                train: Some(rng.random()),
                valid: Some(rng.random()),
                test: rng.random_bool(0.5).then(|| rng.random()),
            })
            .collect();
        model.metadata.metrics.insert("test_rmse".to_owned(), rng.random::<f64>() * 1e-9);
        model.metadata.rating_min = f32::from_bits(0x3f7f_ffff);

        let size = model.save(&path, true).unwrap();
        assert_eq!(size, fs::metadata(&path).unwrap().len());
        let loaded = Model::load(&path).unwrap();
        assert_eq!(loaded, model);
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&loaded.user_factors), bits(&model.user_factors), "−0 is not 0");
        assert_eq!(loaded.mean.to_bits(), model.mean.to_bits());
        assert_eq!(loaded.scale.to_bits(), model.scale.to_bits());
        assert_eq!(bytes(&loaded), fs::read(&path).unwrap(), "saving again changes nothing");
    }
}

#[test]
fn two_saves_are_the_same_bytes() {
    let model = random_model(ModelKind::Biased, 30, 20, 4, 0.2, 1);
    let first = bytes(&model);
    for _ in 0..20 {
        assert_eq!(bytes(&model.clone()), first);
    }
}

#[test]
fn numbers_lie_at_multiples_of_their_size() {
    let file = bytes(&random_model(ModelKind::Biased, 3, 5, 3, 0.5, 2));
    let (header, read) = (safetensors::SafeTensors::read_metadata(&file).unwrap(), 8);
    for (name, info) in header.1.tensors() {
        let place = read + header.0 + info.data_offsets.0;
        assert_eq!(place % (info.dtype.bitsize() / 8), 0, "{name}");
    }
    // The reference implementation reads the same numbers.
    let file = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(file.tensor("user_factors").unwrap().shape(), [3, 3]);
    assert_eq!(file.names().len(), 13);
    for (kind, count) in [(ModelKind::Biased, 20), (ModelKind::Svdpp, 22)] {
        let mut model = random_model(kind, 3, 5, 3, 0.5, 2);
        model.posterior = Some(random_posterior(&model, 2));
        let file = bytes(&model);
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        assert_eq!(file.names().len(), count);
        assert_eq!(file.tensor("item_variances").unwrap().shape(), [5, 3]);
    }
}

#[test]
fn an_existing_file_needs_force() {
    let (_folder, path) = folder();
    let model = known_answers(ModelKind::Biased);
    model.save(&path, false).unwrap();
    assert_eq!(model.save(&path, false).unwrap_err().exit_code(), 73);
    model.save(&path, true).unwrap();
}

#[test]
fn nan_is_never_saved_and_the_old_file_stays() {
    let (_folder, path) = folder();
    let model = known_answers(ModelKind::Biased);
    model.save(&path, false).unwrap();
    let before = fs::read(&path).unwrap();
    let broken: [fn(&mut Model); 6] = [
        |m| m.user_factors[3] = f32::NAN,
        |m| m.item_bias[0] = f32::INFINITY,
        |m| m.mean = f64::NAN,
        |m| m.scale = f64::INFINITY,
        |m| m.metadata.curve.push((5, Some(f64::NAN), None).into()),
        |m| m.metadata.metrics.extend([("test_rmse".to_owned(), f64::NAN)]),
    ];
    for edit in broken {
        let mut model = model.clone();
        edit(&mut model);
        let error = model.save(&path, true).unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

/// A disk that is full after `room` bytes.
struct Full {
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = bytes.len().min(self.room);
        self.room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_wherever_it_strikes() {
    let model = known_answers(ModelKind::Biased);
    let size = bytes(&model).len();
    for room in 0..size {
        let error = model.write(&mut Full { room }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    assert!(model.write(&mut Full { room: size }).is_ok());
}

#[test]
fn a_missing_file_is_no_input_and_a_folder_no_model() {
    let (folder, path) = folder();
    assert_eq!(Model::load(&path).unwrap_err().exit_code(), 66);
    assert_eq!(Model::load(folder.path()).unwrap_err().exit_code(), 65);
}
