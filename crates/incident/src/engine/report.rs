//! Owns the making of reports: the incident, its runbook as it was, and what the journal has lost; and their files.

use std::path::Path;

use super::output::BLOB_BYTES_MAX;
use super::{Engine, EngineError};
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::Record;
use crate::report::{Report, Shadow};
use crate::shelf::Book;
use crate::word::Word;
use crate::world::World;

impl<W: World> Engine<W> {
    /// Makes the report of an incident as the journal stands now.
    ///
    /// # Errors
    /// Where there is no such incident, or the journal cannot be read.
    pub async fn report(&self, id: &IncidentId) -> Result<Report, EngineError> {
        let incident = self.incident(id).await?;
        self.report_of(&incident).await
    }

    /// The runbook that an incident follows, as it was when it began.
    ///
    /// # Errors
    /// Where there is no such incident, or its runbook cannot be read back.
    pub async fn runbook(&self, id: &IncidentId) -> Result<Book, EngineError> {
        self.pinned(id).await
    }

    /// What is kept under this name for an incident: evidence, an output, its runbook; checked against the name.
    /// Nothing where the incident keeps nothing of that name.
    ///
    /// # Errors
    /// Where there is no such incident, or what was kept is gone or was changed.
    pub async fn kept(&self, id: &IncidentId, sha256: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let names = |incident: &Incident| {
            let mut records = incident.timeline.iter().map(|(_, record)| record);
            records.any(|record| record.blobs().iter().any(|(name, _)| *name == sha256))
        };
        match (self.inner.ledger.with(id, names).await?, sha256.parse()) {
            (true, Ok(digest)) => Ok(Some(self.inner.blobs.read(digest, BLOB_BYTES_MAX)?)),
            _ => Ok(None),
        }
    }

    /// What would have been done in each incident, oldest first; without those in which nothing would have been.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub async fn shadows(&self) -> Result<Vec<Shadow>, EngineError> {
        let mut shadows: Vec<Shadow> = self.look(|all| all.map(Shadow::of).collect()).await?;
        shadows.sort_by_key(|shadow| shadow.opened_ms);
        Ok(shadows)
    }

    async fn report_of(&self, incident: &Incident) -> Result<Report, EngineError> {
        let book = self.pinned(&incident.id).await.ok();
        let procedure = book.as_ref().and_then(|book| book.procedure(&incident.procedure));
        let lost = self.inner.ledger.lost(&incident.id).await?;
        Ok(Report::of(incident, procedure, &lost, self.inner.world.now_ms()))
    }

    /// Writes the report of an incident that is over, once, in all its forms.
    pub(super) async fn write_report(&self, incident: &Incident) -> Result<(), EngineError> {
        if incident.is_reported() {
            return Ok(());
        }
        // The report has what they printed, and nothing of the incident runs any more when it is there.
        self.end_due_jobs(&incident.id).await?;
        let report = self.report(&incident.id).await?;
        let json = serde_json::to_string_pretty(&report)?;
        let folder = &self.inner.settings.reports;
        let path = folder.join(format!("{}.md", incident.id));
        let write = |path: &Path, text: &str| {
            let failed = |source| EngineError::Report { path: path.to_owned(), source };
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)).map_err(failed)
        };
        write(&path.with_extension("json"), &json)?;
        write(&path.with_extension("html"), &report.html())?;
        write(&path, &report.markdown())?;
        let path = path.to_string_lossy().into_owned();
        // Where it was opened again meanwhile, the report is written anew when it ends.
        let reported = Record::Reported { path };
        self.record_if_due(&incident.id, self.inner.world.now_ms(), reported).await
    }

    /// Refuses a word about a duty that the procedure does not have.
    pub(super) async fn check_duty(&self, id: &IncidentId, word: &Word) -> Result<(), EngineError> {
        let Word::DutyMet { duty, .. } = word else { return Ok(()) };
        let book = self.pinned(id).await?;
        let procedure = self.inner.ledger.with(id, |incident| incident.procedure.clone()).await?;
        let duties = book.procedure(&procedure).map_or(0, |procedure| procedure.duties.len());
        let number = usize::try_from(*duty).unwrap_or(usize::MAX);
        if number == 0 || number > duties {
            return Err(EngineError::NoDuty { duty: *duty, duties });
        }
        Ok(())
    }
}
