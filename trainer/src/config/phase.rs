//! The phases of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A phase of a run. Data order, variations and dropout are drawn anew in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The teacher learns from transcripts.
    Teach,
    /// Step 1: the students learn from the teacher.
    Distill,
    /// Step 2: the students learn from transcripts.
    Finetune,
}

impl Phase {
    /// In the order of a run.
    pub const ALL: [Self; 3] = [Self::Teach, Self::Distill, Self::Finetune];

    /// As commands, files and reports call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teach => "teach",
            Self::Distill => "distill",
            Self::Finetune => "finetune",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
