//! `report.html`: one file that needs nothing else.

use super::{markdown::origins, plots::Plot, results::Results, tables::findings};
use crate::report::{
    Table,
    html::{self, escape, section},
};

const STYLE: &str = "\
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem}\
figure{margin:0}figure svg{width:100%;max-width:34rem;height:auto}\
figcaption{color:var(--soft);font-size:.9rem}";

pub(super) fn page(results: &Results, tables: &[Table], plots: &[Plot]) -> String {
    let mut body = format!("<h1>{}</h1>\n", escape(&results.title));
    for note in &results.notes {
        body += &format!("<p>{}</p>\n", escape(note));
    }
    if !results.missing.is_empty() {
        body += &format!(
            "<p class=\"warn\"><strong>Not finished:</strong> {} cells have no record yet: {}.</p>\n",
            results.missing.len(),
            escape(&results.missing.join(", "))
        );
    }
    let findings = findings(results);
    if !findings.is_empty() {
        body += "<h2>What the tests show</h2>\n<p>The best of ours against each baseline:</p>\n";
        body += &list(&findings);
    }
    body += "<div class=\"plots\">\n";
    for plot in plots {
        body += &format!(
            "<figure>\n{}\n<figcaption>{}</figcaption></figure>\n",
            plot.svg.trim(),
            escape(&plot.note)
        );
    }
    body += "</div>\n";
    for table in tables {
        body += &section(table);
    }
    body += "<h2>Where the figures come from</h2>\n";
    body += &list(&origins(results));
    html::page(&results.title, STYLE, &body)
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| format!("<li>{}</li>\n", escape(item)))
        .collect();
    format!("<ul>\n{}</ul>\n", items.concat())
}
