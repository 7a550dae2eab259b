//! Tables of a report, as text.

/// A table. The first columns hold words, the others figures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub title: String,
    /// What its figures are.
    pub note: String,
    pub header: Vec<String>,
    /// Columns that hold words.
    pub words: usize,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Header and rows in Markdown, a line each.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rules: Vec<&str> = (0..self.header.len())
            .map(|column| if column < self.words { "---" } else { "---:" })
            .collect();
        let mut text = line(&self.header);
        text += &format!("| {} |\n", rules.join(" | "));
        for row in &self.rows {
            text += &line(row);
        }
        text
    }
}
