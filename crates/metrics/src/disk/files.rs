//! Owns the few things that are done to files, so that tests can cut, fill and break a disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A folder, flat.
pub trait Files: Send {
    /// Returns the names of the files.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or it cannot be read.
    fn read(&self, name: &str) -> io::Result<Box<dyn Read>>;

    /// Writes bytes into a file from an offset on, which is at most its end; makes the file where there is none.
    ///
    /// # Errors
    ///
    /// Fails if not all of them could be written; some may have been.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until a file is on the disk.
    ///
    /// # Errors
    ///
    /// Fails if it may not be.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in the place of a file that has it, and waits until that is on the disk.
    ///
    /// # Errors
    ///
    /// Fails if it still has the old name, or may have it after a crash.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Fails if it is still there.
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// A folder of this machine.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The file that was written last, which is mostly the one that is written next.
    open: Option<(String, File)>,
}

// === impl Folder ===

impl Folder {
    /// Makes the folder where there is none; nobody else may read it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self { path: path.to_owned(), open: None })
    }

    fn file(&mut self, name: &str) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            self.open = Some((name.to_owned(), options.open(self.path.join(name))?));
        }
        self.open.as_ref().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(BufReader::with_capacity(64 << 10, File::open(self.path.join(name))?)))
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open = None;
        fs::rename(self.path.join(from), self.path.join(to))?;
        File::open(&self.path)?.sync_all()
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open = self.open.take().filter(|(open, _)| open != name);
        fs::remove_file(self.path.join(name))
    }
}
