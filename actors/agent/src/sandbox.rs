//! The directories of executors and tasks: made private, read without following links, removed.
//!
//! Everything here blocks: it is called off the arbiter. Which sandboxes exist is the core's knowledge.

use crate::core::FoundSandbox;
use crate::effect::ContainerPlace;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use odeon_protocol::id::{ContainerId, ExecutorId, FrameworkId, TaskId};
use odeon_protocol::messages::sandbox::{CHUNK_BYTES_MAX, SandboxFile};
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How often a directory is made whose parents are being removed at the same time.
const MAKE_ATTEMPTS: u32 = 3;

/// The sandboxes of an agent, under one directory.
#[derive(Debug, Clone)]
pub(crate) struct Sandboxes {
    root: PathBuf,
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) data: Vec<u8>,
    /// Whether nothing comes behind it at this moment.
    pub(crate) at_end: bool,
}

impl Sandboxes {
    /// `root` is absolute and need not be there.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of all.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a run. Ids cannot leave it: they hold no slash and are no dots.
    pub(crate) fn of_container(&self, place: &ContainerPlace) -> PathBuf {
        container_parts(place).iter().fold(self.root.clone(), |path, part| path.join(part))
    }

    /// The directory of a task.
    pub(crate) fn of_task(&self, place: &ContainerPlace, task_id: &TaskId) -> PathBuf {
        self.of_container(place).join("tasks").join(task_id.as_str())
    }

    /// The directories of runs that are there. Anything else below the root is nobody's, and left alone.
    pub(crate) fn found(&self) -> Vec<FoundSandbox> {
        let ids = |path: &Path| -> Option<FoundSandbox> {
            let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
            let (container, executor) = (name(path)?, name(path.parent()?)?);
            let framework = name(path.parent()?.parent()?)?;
            let place = ContainerPlace {
                framework_id: FrameworkId::new(framework).ok()?,
                executor_id: ExecutorId::new(executor).ok()?,
                container_id: ContainerId::new(container).ok()?,
            };
            let changed = path.metadata().and_then(|metadata| metadata.modified()).ok()?;
            // A clock that was set back makes it new.
            Some(FoundSandbox { place, age: changed.elapsed().unwrap_or_default() })
        };
        let executors = directories(&self.root).into_iter().flat_map(|framework| directories(&framework));
        executors.flat_map(|executor| directories(&executor)).filter_map(|run| ids(&run)).collect()
    }

    /// Makes a directory and what leads to it, for this user only.
    pub(crate) fn make(path: &Path) -> io::Result<()> {
        let mut made = Ok(());
        for _ in 0..MAKE_ATTEMPTS {
            made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            // The removal of an older sandbox may have taken an empty parent away.
            if !made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                break;
            }
        }
        made
    }

    /// Reads what a task has written from an offset on; nothing if the file is not there.
    pub(crate) fn read(
        &self,
        place: &ContainerPlace,
        task_id: &TaskId,
        file: SandboxFile,
        offset: u64,
    ) -> io::Result<Piece> {
        let name = match file {
            SandboxFile::Stdout => "stdout",
            SandboxFile::Stderr => "stderr",
        };
        let [framework, executor, container] = container_parts(place);
        let parts = [framework, executor, container, "tasks", task_id.as_str()];
        let opened = self.open(&parts, name);
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Piece { data: Vec::new(), at_end: true }),
            opened => read_piece(opened?, offset),
        }
    }

    /// Opens a file part by part, so that no link on the way leads elsewhere.
    fn open(&self, parts: &[&str], name: &str) -> io::Result<File> {
        let mut directory = OwnedFd::from(File::open(&self.root)?);
        let kept = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        for part in parts {
            directory = openat(&directory, *part, kept | OFlag::O_DIRECTORY, Mode::empty())?;
        }
        // Without O_NONBLOCK a named pipe would be waited for.
        let file = File::from(openat(&directory, name, kept | OFlag::O_NONBLOCK, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is not a regular file"))),
        }
    }

    /// Removes the sandbox of a task, or of a whole run; parents that become empty go with it.
    pub(crate) fn remove(&self, place: &ContainerPlace, task_id: Option<&TaskId>) -> io::Result<()> {
        let path = task_id.map_or_else(|| self.of_container(place), |task_id| self.of_task(place, task_id));
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if task_id.is_none() {
            // Other runs may be in them.
            let _ = path.ancestors().skip(1).take(2).try_for_each(std::fs::remove_dir);
        }
        Ok(())
    }
}

/// The directories in a directory, links left out.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let is_directory = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter(is_directory).map(|entry| entry.path()).collect()
}

fn container_parts(place: &ContainerPlace) -> [&str; 3] {
    [place.framework_id.as_str(), place.executor_id.as_str(), place.container_id.as_str()]
}

fn read_piece(mut file: File, offset: u64) -> io::Result<Piece> {
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    file.take(u64::from(CHUNK_BYTES_MAX) + 1).read_to_end(&mut data)?;
    let at_end = data.len() <= CHUNK_BYTES_MAX as usize;
    data.truncate(CHUNK_BYTES_MAX as usize);
    Ok(Piece { data, at_end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn place(container: &str) -> ContainerPlace {
        ContainerPlace {
            framework_id: FrameworkId::new("f").unwrap(),
            executor_id: ExecutorId::new("e").unwrap(),
            container_id: ContainerId::new(container).unwrap(),
        }
    }

    fn task() -> TaskId {
        TaskId::new("t").unwrap()
    }

    /// A sandbox with a task directory.
    fn sandboxes(directory: &Path) -> (Sandboxes, PathBuf) {
        let sandboxes = Sandboxes::new(directory.join("sandboxes"));
        let path = sandboxes.of_task(&place("c"), &task());
        Sandboxes::make(&path).unwrap();
        (sandboxes, path)
    }

    #[test]
    fn output_is_read_from_an_offset_in_pieces_of_bounded_size() {
        let directory = tempfile::tempdir().unwrap();
        let (sandboxes, path) = sandboxes(directory.path());
        let read = |offset| sandboxes.read(&place("c"), &task(), SandboxFile::Stdout, offset).unwrap();
        assert_eq!(read(0), Piece { data: vec![], at_end: true });
        std::fs::write(path.join("stdout"), vec![7; CHUNK_BYTES_MAX as usize + 5]).unwrap();
        let first = read(0);
        assert_eq!((first.data.len(), first.at_end), (CHUNK_BYTES_MAX as usize, false));
        assert_eq!(read(u64::from(CHUNK_BYTES_MAX)), Piece { data: vec![7; 5], at_end: true });
        assert_eq!(read(u64::from(CHUNK_BYTES_MAX) + 99), Piece { data: vec![], at_end: true });
    }

    #[test]
    fn what_an_earlier_process_has_left_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let (sandboxes, _) = sandboxes(directory.path());
        Sandboxes::make(&sandboxes.of_container(&place("other"))).unwrap();
        std::fs::write(directory.path().join("sandboxes/f/e/file"), "").unwrap();
        symlink(directory.path(), directory.path().join("sandboxes/f/e/link")).unwrap();
        let mut found: Vec<ContainerPlace> = sandboxes.found().into_iter().map(|found| found.place).collect();
        found.sort();
        assert_eq!(found, [place("c"), place("other")]);
    }

    #[test]
    fn neither_a_link_nor_a_pipe_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (sandboxes, path) = sandboxes(directory.path());
        std::fs::write(directory.path().join("secret"), "x").unwrap();
        symlink(directory.path().join("secret"), path.join("stdout")).unwrap();
        assert!(sandboxes.read(&place("c"), &task(), SandboxFile::Stdout, 0).is_err());
        nix::unistd::mkfifo(&path.join("stderr"), Mode::S_IRWXU).unwrap();
        assert!(sandboxes.read(&place("c"), &task(), SandboxFile::Stderr, 0).is_err());
    }

    #[test]
    fn a_link_in_place_of_a_directory_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (sandboxes, path) = sandboxes(directory.path());
        std::fs::create_dir(directory.path().join("elsewhere")).unwrap();
        std::fs::write(directory.path().join("elsewhere/stdout"), "x").unwrap();
        std::fs::remove_dir(&path).unwrap();
        symlink(directory.path().join("elsewhere"), &path).unwrap();
        assert!(sandboxes.read(&place("c"), &task(), SandboxFile::Stdout, 0).is_err());
    }

    #[test]
    fn a_sandbox_is_private_and_is_removed_without_its_neighbours() {
        let directory = tempfile::tempdir().unwrap();
        let (sandboxes, path) = sandboxes(directory.path());
        let modes = path.ancestors().take(4).map(|path| path.metadata().unwrap().permissions().mode() & 0o777);
        assert!(modes.into_iter().all(|mode| mode == 0o700));
        Sandboxes::make(&sandboxes.of_container(&place("other"))).unwrap();
        sandboxes.remove(&place("c"), Some(&task())).unwrap();
        assert!(!path.exists() && sandboxes.of_container(&place("c")).exists());
        sandboxes.remove(&place("c"), None).unwrap();
        sandboxes.remove(&place("c"), None).unwrap();
        assert!(!sandboxes.of_container(&place("c")).exists() && sandboxes.of_container(&place("other")).exists());
        sandboxes.remove(&place("other"), None).unwrap();
        assert_eq!(std::fs::read_dir(directory.path().join("sandboxes")).unwrap().count(), 0);
    }
}
