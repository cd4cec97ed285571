//! The data sets, written once as plain columns that every worker reads, Python's too.
//!
//! A set is a folder: `{train,test}.{user,item}.i32`, `{train,test}.value.f32` and `shape.json`.

use std::fs;
use std::path::{Path, PathBuf};

use deltav::data::planted::Planted;
use deltav::data::{Held, IdMap, Ratings, ReadOptions, read_ratings};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// Users and items of both parts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Shape {
    pub users: u32,
    pub items: u32,
}

/// One part's columns.
#[derive(Debug, Default)]
pub struct Part {
    pub user: Vec<i32>,
    pub item: Vec<i32>,
    pub value: Vec<f32>,
}

/// A set in memory.
#[derive(Debug)]
pub struct Set {
    pub shape: Shape,
    pub train: Part,
    pub test: Part,
}

impl Part {
    fn of(triples: impl Iterator<Item = (u32, u32, f32)>) -> Self {
        let mut part = Self::default();
        for (user, item, value) in triples {
            part.user.push(user as i32);
            part.item.push(item as i32);
            part.value.push(value);
        }
        part
    }

    fn write(&self, folder: &Path, name: &str) -> Result<(), Failure> {
        let bytes = |column: &[i32]| column.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        fs::write(folder.join(format!("{name}.user.i32")), bytes(&self.user))?;
        fs::write(folder.join(format!("{name}.item.i32")), bytes(&self.item))?;
        let values: Vec<u8> = self.value.iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok(fs::write(folder.join(format!("{name}.value.f32")), values)?)
    }

    fn read(folder: &Path, name: &str) -> Result<Self, Failure> {
        let words = |column: &str| -> Result<Vec<[u8; 4]>, Failure> {
            let bytes = fs::read(folder.join(format!("{name}.{column}")))?;
            Ok(bytes.as_chunks::<4>().0.to_vec())
        };
        let whole = |column| Ok::<_, Failure>(words(column)?.into_iter().map(i32::from_le_bytes).collect());
        let value = words("value.f32")?.into_iter().map(f32::from_le_bytes).collect();
        Ok(Self { user: whole("user.i32")?, item: whole("item.i32")?, value })
    }
}

impl Set {
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let shape = serde_json::from_slice(&fs::read(folder.join("shape.json"))?)?;
        Ok(Self { shape, train: Part::read(folder, "train")?, test: Part::read(folder, "test")? })
    }

    /// As deltav has ratings: every id of the set, those without a training rating too.
    pub fn ratings(&self) -> Result<(Ratings, Held), Failure> {
        let ids = |count: u32| {
            let mut map = IdMap::new();
            for id in 1..=count {
                map.get_or_insert(id.to_string().as_bytes()).ok_or("too many ids")?;
            }
            Ok::<_, Failure>(map.into_ids())
        };
        let indices = |column: &[i32]| column.iter().map(|&x| x as u32).collect::<Vec<u32>>();
        let train = Ratings {
            users: ids(self.shape.users)?,
            items: ids(self.shape.items)?,
            user: indices(&self.train.user),
            item: indices(&self.train.item),
            value: self.train.value.clone(),
            time: None,
        };
        let known = |column: &[i32]| column.iter().map(|&x| Some(x as u32)).collect();
        let test = Held {
            user: known(&self.test.user),
            item: known(&self.test.item),
            value: self.test.value.clone(),
        };
        Ok((train, test))
    }
}

/// The folder of a set, made if it is not there. `ml-1m` is read from `movielens`.
pub fn prepare(cache: &Path, name: &str, movielens: Option<&Path>) -> Result<PathBuf, Failure> {
    let folder = cache.join(name);
    if folder.join("shape.json").exists() {
        return Ok(folder);
    }
    eprintln!("peers: making {name}");
    fs::create_dir_all(&folder)?;
    let (train, test) = match name {
        "ml-1m" => {
            let root = movielens.ok_or(
                "ml-1m is not part of deltav: name a folder with split90.{train,test}.csv.gz by --ml-1m",
            )?;
            split90(root)?
        }
        "s1" => planted(Planted::new(6_040, 3_706, 1_000_000).seed(1))?,
        "s2" => planted(Planted::new(70_000, 10_000, 10_000_000).seed(2))?,
        "tiny" => planted(Planted::new(600, 400, 20_000))?,
        _ => return Err(format!("there is no data set {name}").into()),
    };
    train.1.write(&folder, "train")?;
    test.write(&folder, "test")?;
    // Last: a folder with a shape is whole.
    fs::write(folder.join("shape.json"), serde_json::to_vec(&train.0)?)?;
    Ok(folder)
}

type Made = ((Shape, Part), Part);

fn shape(ratings: &Ratings) -> Shape {
    Shape { users: ratings.users.len() as u32, items: ratings.items.len() as u32 }
}

fn planted(recipe: Planted) -> Result<Made, Failure> {
    let split = recipe.generate()?.split(0.1, 0)?;
    let test = split.test.iter().map(|(u, i, r)| (u.unwrap_or_default(), i.unwrap_or_default(), r));
    Ok(((shape(&split.train), Part::of(split.train.iter())), Part::of(test)))
}

/// Both files read as one, so that they share ids, and cut where the first ends.
fn split90(root: &Path) -> Result<Made, Failure> {
    let [train, test] = ["train", "test"].map(|part| root.join(format!("split90.{part}.csv.gz")));
    let options = ReadOptions::default();
    let read = |paths: &[&PathBuf]| read_ratings(paths.iter().copied(), &options);
    let first = read(&[&train])?.len();
    let all = read(&[&train, &test])?;
    Ok(((shape(&all), Part::of(all.iter().take(first))), Part::of(all.iter().skip(first))))
}

/// The training part as CSV with a header and numbers for ids, as MovieLens is, once.
pub fn csv(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join("train.csv");
    if !path.exists() {
        let set = Set::read(folder)?;
        let mut text = String::from("userId,movieId,rating\n");
        for ((user, item), value) in set.train.user.iter().zip(&set.train.item).zip(&set.train.value) {
            use std::fmt::Write;
            writeln!(text, "{},{},{:.3}", user + 1, item + 1, value)?;
        }
        let draft = folder.join("train.csv.draft");
        fs::write(&draft, text)?;
        fs::rename(draft, &path)?;
    }
    Ok(path)
}
