//! Where rows are: the words of a job file, and the files that they stand for on this host.
//!
//! It lists directories, and opens nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DataError;
use super::synthetic::SCHEME;

/// Most files of one training.
pub const FILES_MAX: usize = 10_000;

/// A file, a pattern, the name of generated data, or a list of files and patterns.
///
/// In the last part of a path `*` stands for any characters and `?` for one. The files of a pattern come in the order of
/// their names, byte by byte, those of a list in its order: the order of the rows does not depend on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct DataPaths(Vec<PathBuf>);

/// As a job file writes it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a path or a list of paths")]
enum Written {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

/// The files of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataSource {
    /// With the rows to learn from; with those for testing as well, if there are no others.
    pub paths: DataPaths,
    /// With the rows for testing.
    pub test_paths: Option<DataPaths>,
}

impl From<Written> for DataPaths {
    fn from(written: Written) -> Self {
        match written {
            Written::One(path) => Self(vec![path]),
            Written::Many(paths) => Self(paths),
        }
    }
}

impl From<DataPaths> for Written {
    fn from(paths: DataPaths) -> Self {
        match <[PathBuf; 1]>::try_from(paths.0) {
            Ok([path]) => Self::One(path),
            Err(paths) => Self::Many(paths),
        }
    }
}

impl<P: Into<PathBuf>> From<P> for DataPaths {
    fn from(path: P) -> Self {
        Self(vec![path.into()])
    }
}

impl DataPaths {
    /// The first of them; an empty path if there is none.
    #[must_use]
    pub fn first(&self) -> &Path {
        self.0.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// All of them, as they are written.
    #[must_use]
    pub fn written(&self) -> &[PathBuf] {
        &self.0
    }

    /// Whether something stands everywhere.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|path| !path.as_os_str().is_empty())
    }

    /// The name of generated data, if it is one.
    #[must_use]
    pub fn synthetic(&self) -> Option<&str> {
        match &self.0[..] {
            [path] => path.to_str().filter(|name| name.starts_with(SCHEME)),
            _ => None,
        }
    }

    /// The same paths as seen from a directory; what is not the name of a file stays.
    ///
    /// # Errors
    /// What `absolute` returns.
    pub fn beside<E>(&self, absolute: impl Fn(&Path) -> Result<PathBuf, E>) -> Result<Self, E> {
        let one = |path: &PathBuf| match path.to_str() {
            Some(name) if name.starts_with(SCHEME) => Ok(path.clone()),
            _ => absolute(path),
        };
        self.0.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// The files, each once.
    ///
    /// # Errors
    /// [`DataError`] if a pattern fits none, or a file is there twice, or there are too many.
    pub fn files(&self) -> Result<Vec<PathBuf>, DataError> {
        let mut files = Vec::new();
        for path in &self.0 {
            files.extend(matching(path)?);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = files.iter().find(|file| !seen.insert(*file)) {
            return Err(DataError::FileTwice { file: twice.display().to_string() });
        }
        if files.len() > FILES_MAX {
            return Err(DataError::TooManyFiles { file: self.first().display().to_string(), count: files.len() });
        }
        Ok(files)
    }
}

/// The files that a path stands for.
fn matching(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_pattern = |text: &str| text.contains(['*', '?']);
    let pattern = path.file_name().and_then(|name| name.to_str()).filter(|name| is_pattern(name));
    let Some(pattern) = pattern.filter(|_| !path.exists()) else { return Ok(vec![path.to_owned()]) };
    let shown = path.display().to_string();
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unreadable = |error: std::io::Error| DataError::Unreadable { file: shown.clone(), reason: error.to_string() };
    let mut files = Vec::new();
    for entry in directory.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let fits = entry.file_name().to_str().is_some_and(|name| fits(pattern.as_bytes(), name.as_bytes()));
        if fits && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        return Err(DataError::NoFileFits { pattern: shown });
    }
    files.sort();
    Ok(files)
}

/// Whether a pattern fits a whole name. It goes back to the last star only, so it never takes longer than their product.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name, mut star) = (0, 0, None);
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[in_name] => (at, in_name) = (at + 1, in_name + 1),
            _ => match star {
                Some((of_star, taken)) => {
                    star = Some((of_star, taken + 1));
                    (at, in_name) = (of_star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        let fits = |pattern: &str, name: &str| fits(pattern.as_bytes(), name.as_bytes());
        for (pattern, name) in [("*.csv", "a.csv"), ("a*b*c", "axxbyybzc"), ("p?.csv", "p1.csv"), ("*", ""), ("a", "a")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.csv", "a.csv.gz"), ("p?.csv", "p12.csv"), ("a*b", "ab.c"), ("?", ""), ("", "a")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_files_of_a_pattern_come_by_their_names_and_those_of_a_list_as_they_stand() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        ["b.csv", "a.csv", "z.txt", "c*.csv"].iter().for_each(|name| std::fs::write(path(name), "").unwrap());
        std::fs::create_dir(path("d.csv")).unwrap();
        let files = |names: &[&str]| DataPaths(names.iter().map(|name| path(name)).collect()).files();
        assert_eq!(files(&["*.csv"]), Ok(vec![path("a.csv"), path("b.csv"), path("c*.csv")]));
        assert_eq!(files(&["z.txt", "?.csv"]), Ok(vec![path("z.txt"), path("a.csv"), path("b.csv")]));
        // A file of that very name goes before a pattern.
        assert_eq!(files(&["c*.csv"]), Ok(vec![path("c*.csv")]));
        let twice = files(&["a.csv", "*.csv"]).unwrap_err().to_string();
        assert!(twice.ends_with("a.csv: the file is listed twice"), "{twice}");
        let none = files(&["*.tsv"]).unwrap_err().to_string();
        assert!(none.ends_with("*.tsv: no file fits the pattern"), "{none}");
    }

    #[test]
    fn a_job_file_writes_one_path_or_a_list() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Table {
            path: DataPaths,
        }
        for (text, paths) in [("path = \"a\"\n", vec!["a"]), ("path = [\"a\", \"b\"]\n", vec!["a", "b"])] {
            let table: Table = toml::from_str(text).unwrap();
            assert_eq!(table.path.written(), paths.iter().map(PathBuf::from).collect::<Vec<_>>());
            assert_eq!(toml::to_string(&table).unwrap(), text);
        }
        let error = toml::from_str::<Table>("path = 7").unwrap_err().to_string();
        assert!(error.contains("expected a path or a list of paths"), "{error}");
        assert!(!DataPaths(Vec::new()).is_complete() && !DataPaths::from("").is_complete());
    }
}
