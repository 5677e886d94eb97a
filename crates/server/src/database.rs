//! Owns databases of PostgreSQL as data of a server: checked, dumped, restored beside and exchanged by name. All of it is
//! done by PostgreSQL's own programs; a password goes to them in their environment and nowhere else.

mod rows;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::DateTime;
use integrity::{Change, Difference, TreePath};

use crate::config::Database;
use crate::secrets::Secrets;

/// How long one program may take: a dump of a terabyte takes some hours.
const TIME_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a connection may take.
const CONNECT_SECONDS: &str = "10";
/// The time between two looks whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Of what a program says on standard error.
const SAID_BYTES_MAX: u64 = 16 << 10;
/// So many tables are read.
const TABLES_MAX: usize = 10_000;
/// A name in PostgreSQL has at most so many bytes.
const NAME_BYTES_MAX: usize = 63;
/// What PostgreSQL calls data that are not what they should be: `data_corrupted`, `index_corrupted`, an error of the disk.
const DAMAGE: [&str; 3] = ["XX001", "XX002", "58030"];

/// All tables of people.
const TABLES: &str = "SELECT format('%I.%I', schemaname, tablename) FROM pg_catalog.pg_tables \
    WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema' ORDER BY 1";

/// One database, and how it is reached.
pub(crate) struct Postgres<'a> {
    config: &'a Database,
    password: Option<String>,
    /// A folder for what programs say.
    scratch: &'a Path,
}

/// What a check of a database found.
pub(crate) struct Checked {
    /// How many tables were looked at.
    pub(crate) tables: u64,
    /// Those that are damaged.
    pub(crate) damaged: Vec<Difference>,
}

/// What became of a program.
struct Ran {
    code: Option<i32>,
    said: String,
}

// === impl Postgres ===

impl<'a> Postgres<'a> {
    /// A database of the configuration.
    ///
    /// # Errors
    /// A sentence, if its password cannot be read.
    pub(crate) fn of(config: &'a Database, scratch: &'a Path) -> Result<Self, String> {
        let password = match &config.password {
            None => None,
            Some(secret) => {
                let exe = std::env::current_exe().map_err(|error| error.to_string())?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let read = runtime
                    .map_err(|error| error.to_string())?
                    .block_on(async { Secrets::of_process(&exe).read(secret).await });
                Some(read.map_err(|error| format!("its password: {error}"))?.reveal().to_owned())
            }
        };
        Ok(Self { config, password, scratch })
    }

    /// Reads it: by `pg_amcheck` where that is installed, with every index, and each row of the declared tables.
    ///
    /// # Errors
    /// A sentence, if it cannot be looked at.
    pub(crate) fn check(&self) -> Result<Checked, String> {
        let mut damaged = Vec::new();
        if let Some(said) = self.amcheck()? {
            damaged.push(broken("pg_amcheck", said));
        }
        let tables = self.tables()?;
        for table in &tables {
            let out = self.sql(&self.config.postgres, &[&format!("COPY {table} TO STDOUT")], Stdio::null());
            let ran = out?;
            if ran.code == Some(0) {
                continue;
            }
            if !ran.is_damage() {
                return Err(format!("the table {table} cannot be read: {}", ran.said));
            }
            damaged.push(broken(table, ran.said));
        }
        Ok(Checked { tables: tables.len() as u64, damaged })
    }

    /// What `pg_amcheck` says against it; nothing where it is well, or cannot be asked for want of the program or its
    /// extension.
    fn amcheck(&self) -> Result<Option<String>, String> {
        let mut command = self.program("pg_amcheck");
        command.args(["--no-password", "--heapallindexed", &self.config.postgres]);
        let ran = match self.run(command, Stdio::null()) {
            Err(RunError::Start(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            ran => ran?,
        };
        // 2 is that something is corrupted; 1 that it could not look, such as without its extension.
        Ok((ran.code == Some(2)).then_some(ran.said))
    }

    fn tables(&self) -> Result<Vec<String>, String> {
        if !self.config.tables.is_empty() {
            return Ok(self.config.tables.clone());
        }
        let listed = self.ask(&self.config.postgres, TABLES)?;
        Ok(listed.lines().take(TABLES_MAX).map(str::to_owned).collect())
    }

    /// Writes all of it to a file, as it is at one moment.
    ///
    /// # Errors
    /// A sentence; what PostgreSQL cannot read is not in a backup.
    pub(crate) fn dump(&self, to: &Path) -> Result<(), String> {
        let mut command = self.program("pg_dump");
        command.args(["--no-password", "--format=custom", "--compress=0", "--file"]).arg(to);
        command.arg(format!("--dbname={}", self.config.postgres));
        self.run(command, Stdio::null())?.done("pg_dump")
    }

    /// Restores a dump into a database of a new name, and reads that.
    ///
    /// # Errors
    /// A sentence, if it cannot be restored whole. The new database is gone then.
    pub(crate) fn restore_beside(&self, dump: &Path, now_ms: i64) -> Result<String, String> {
        let name = self.named("restore", now_ms);
        self.create(&name)?;
        let restored = (|| {
            let mut command = self.program("pg_restore");
            command.args(["--no-password", "--exit-on-error", "--single-transaction"]);
            command.arg(format!("--dbname={}", self.url_of(&name))).arg(dump);
            self.run(command, Stdio::null())?.done("pg_restore")
        })();
        if let Err(error) = restored {
            // The first failure is the one to tell of.
            let _ = self.drop(&name);
            return Err(error);
        }
        Ok(name)
    }

    /// Puts a database in the place of this one, at one stroke; returns the name that this one has from then on.
    ///
    /// # Errors
    /// A sentence, if somebody is connected to either. Then both are as before.
    pub(crate) fn exchange(&self, new: &str, now_ms: i64) -> Result<String, String> {
        let kept = self.named("before", now_ms);
        self.rename(&[(&self.name(), &kept), (new, &self.name())])?;
        Ok(kept)
    }

    /// Takes an exchange back, and drops what was put there.
    pub(crate) fn take_back(&self, kept: &str, now_ms: i64) -> Result<(), String> {
        let new = self.named("refused", now_ms);
        self.rename(&[(&self.name(), &new), (kept, &self.name())])?;
        self.drop(&new)
    }

    /// Who is connected to it, in words.
    ///
    /// # Errors
    /// A sentence, if it cannot be asked.
    pub(crate) fn clients(&self) -> Result<Option<String>, String> {
        let question = format!(
            "SELECT 'process ' || pid || ' of ' || usename || ' (' || application_name || ')' FROM pg_stat_activity \
             WHERE datname = {} AND pid <> pg_backend_pid() AND backend_type = 'client backend' LIMIT 1",
            text(&self.name())
        );
        let answer = self.ask(&self.maintenance(), &question)?;
        Ok(answer.lines().next().map(str::to_owned).filter(|line| !line.is_empty()))
    }

    fn create(&self, name: &str) -> Result<(), String> {
        // As the one that it is for, where that is there.
        let question = format!(
            "SELECT format('CREATE DATABASE %I TEMPLATE template0 OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L', {}, \
             pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = {}",
            text(name),
            text(&self.name())
        );
        let statement = self.ask(&self.maintenance(), &question)?;
        let plain = format!("CREATE DATABASE {}", quoted(name));
        let statement = if statement.is_empty() { plain.as_str() } else { statement.as_str() };
        self.sql(&self.maintenance(), &[statement], Stdio::null())?.done("creating a database")
    }

    /// Drops a database that was made here.
    pub(crate) fn drop(&self, name: &str) -> Result<(), String> {
        let statement = format!("DROP DATABASE IF EXISTS {}", quoted(name));
        self.sql(&self.maintenance(), &[&statement], Stdio::null())?.done("dropping a database")
    }

    fn rename(&self, pairs: &[(&str, &str)]) -> Result<(), String> {
        let statements: Vec<String> = pairs
            .iter()
            .map(|(from, to)| format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to)))
            .collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        self.sql(&self.maintenance(), &statements, Stdio::null())?.done("renaming a database")
    }

    /// A name beside its own.
    fn named(&self, what: &str, now_ms: i64) -> String {
        let time = DateTime::from_timestamp_millis(now_ms).unwrap_or_default().format("%Y%m%dT%H%M%S%3f");
        let end = format!("_{what}_{time}");
        let mut name = self.name();
        while name.len() + end.len() > NAME_BYTES_MAX {
            name.pop();
        }
        name + &end
    }

    /// The name of the database.
    pub(crate) fn name(&self) -> String {
        self.config.name().to_owned()
    }

    /// The address of another database of the same server.
    fn url_of(&self, name: &str) -> String {
        beside(&self.config.postgres, name)
    }

    fn maintenance(&self) -> String {
        self.url_of("postgres")
    }

    /// What one question is answered with, without the last end of a line.
    fn ask(&self, url: &str, question: &str) -> Result<String, String> {
        let path = self.scratch.join("psql.out");
        let out = File::create(&path).map_err(|error| error.to_string())?;
        let ran = self.sql(url, &[question], Stdio::from(out));
        let answer = fs::read_to_string(&path);
        let _ = fs::remove_file(&path);
        ran?.done("psql")?;
        Ok(answer.map_err(|error| error.to_string())?.trim_end().to_owned())
    }

    /// Carries out statements, all of them or none.
    fn sql(&self, url: &str, statements: &[&str], out: Stdio) -> Result<Ran, String> {
        let mut command = self.program("psql");
        command.args(["--no-psqlrc", "--no-password", "--quiet", "--no-align", "--tuples-only"]);
        command.args(["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"]);
        if statements.len() > 1 {
            command.arg("--single-transaction");
        }
        command.arg(format!("--dbname={url}"));
        command.args(statements.iter().flat_map(|statement| ["--command", statement]));
        Ok(self.run(command, out)?)
    }

    fn program(&self, name: &str) -> Command {
        let path =
            self.config.programs.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        let mut command = Command::new(path);
        command.env("PGCONNECT_TIMEOUT", CONNECT_SECONDS).env("LC_ALL", "C").current_dir("/");
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        command
    }

    fn run(&self, mut command: Command, out: Stdio) -> Result<Ran, RunError> {
        let path = self.scratch.join("postgres.err");
        let file = File::create(&path)?;
        let mut child =
            command.stdin(Stdio::null()).stdout(out).stderr(file).spawn().map_err(RunError::Start)?;
        let deadline = Instant::now() + TIME_MAX;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() >= deadline => {
                    child.kill()?;
                    child.wait()?;
                    return Err(RunError::Io(io::ErrorKind::TimedOut.into()));
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        let mut said = Vec::new();
        File::open(&path)?.take(SAID_BYTES_MAX).read_to_end(&mut said)?;
        fs::remove_file(&path)?;
        Ok(Ran { code: status.code(), said: String::from_utf8_lossy(&said).trim_end().to_owned() })
    }
}

/// A program could not be run to its end.
enum RunError {
    Start(io::Error),
    Io(io::Error),
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<RunError> for String {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Start(error) => format!(
                "the programs of PostgreSQL cannot be started ({error}): install its client, or name their folder as `programs`"
            ),
            RunError::Io(error) => error.to_string(),
        }
    }
}

// === impl Ran ===

impl Ran {
    fn is_damage(&self) -> bool {
        DAMAGE.iter().any(|state| self.said.contains(&format!(" {state}: ")))
    }

    fn done(self, what: &str) -> Result<(), String> {
        match self.code {
            Some(0) => Ok(()),
            Some(code) => Err(format!("{what} ended with code {code}: {}", self.said)),
            None => Err(format!("{what} was ended by a signal: {}", self.said)),
        }
    }
}

fn broken(table: &str, detail: String) -> Difference {
    let plain = table.replace(['/', '\0'], "_");
    let path =
        TreePath::new(plain).unwrap_or_else(|| TreePath::new("table").expect("a plain name is a path"));
    Difference { path, change: Change::Broken, is_damage: true, detail }
}

/// An address with another database; a path may stand in its parameters.
fn beside(address: &str, name: &str) -> String {
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    let (before, _) = place.rsplit_once('/').unwrap_or((place, ""));
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{before}/{name}{mark}{query}")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(words: &str) -> String {
    format!("'{}'", words.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn another_database_of_the_same_server() {
        let check = |address: &str, expect: &str| assert_eq!(beside(address, "b"), expect);
        check("postgres://u@h:1/a", "postgres://u@h:1/b");
        check("postgres://u@h/a?sslmode=verify-full", "postgres://u@h/b?sslmode=verify-full");
        check("postgres://u@h/a?sslrootcert=/etc/ca.pem", "postgres://u@h/b?sslrootcert=/etc/ca.pem");
    }
}
