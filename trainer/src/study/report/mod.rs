//! The report of a study: `results.json` from records, and tables and plots from it.

mod collect;
mod costs;
mod curves;
mod html;
mod markdown;
mod plots;
mod results;
mod scores;
mod speed_up;
mod tables;

pub use results::{
    ArmComparison, ArmCosts, ArmResult, Curve, CurvePoint, NetworkResult, NetworkSpeedUp, Results,
    Score, Side, SpeedUp, StudentCost, TestSummary,
};

use std::path::PathBuf;

use super::{Study, StudyError, record::write_json};
use crate::files::write_atomically;

/// What a report wrote.
#[derive(Debug)]
pub struct Report {
    /// All its figures.
    pub results: Results,
    /// Its files.
    pub files: Vec<PathBuf>,
}

impl Study {
    /// Makes `results.json`, `report.md`, `report.html` and the plots beside the study file. The
    /// same records give the same bytes.
    ///
    /// # Errors
    /// No records, records that cannot be used, or files that cannot be written.
    pub fn report(&self) -> Result<Report, StudyError> {
        let results = self.results()?;
        let json = self.folder.join("results.json");
        write_json(&json, &results)?;
        let plots = plots::plots(&results)?;
        let tables = tables::tables(&results);
        let mut files = vec![json];
        let mut write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            write_atomically(&path, text.as_bytes()).map_err(|source| StudyError::Io {
                path: path.clone(),
                source,
            })?;
            files.push(path);
            Ok::<(), StudyError>(())
        };
        for plot in &plots {
            write(&plot.file, &plot.svg)?;
        }
        write("report.md", &markdown::page(&results, &tables, &plots))?;
        write("report.html", &html::page(&results, &tables, &plots))?;
        Ok(Report { results, files })
    }
}
