//! `report.html`: one file that needs nothing else.

use super::{
    markdown::origins,
    plots::Plot,
    results::Results,
    tables::{Table, findings},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:light-dark(#d5d5da,#3c3c42);--soft:light-dark(#5b5b66,#a9a9b3);\
--head:light-dark(#f4f4f7,#232328)}\
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem;\
background:light-dark(#fff,#17171a);color:light-dark(#1c1c1e,#e6e6e6)}\
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.15rem;margin-top:2.5rem}\
p,li{max-width:46rem}.note{color:var(--soft);font-size:.9rem}\
.wide{overflow-x:auto;width:fit-content;max-width:100%;border:1px solid var(--line);border-radius:6px}\
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}\
th,td{padding:.35rem .6rem;text-align:right;white-space:nowrap;border-top:1px solid var(--line)}\
thead th{background:var(--head);border-top:0;font-weight:600}\
.w{text-align:left;white-space:normal;min-width:5rem}\
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem}\
figure{margin:0}figure svg{width:100%;max-width:34rem;height:auto}\
figcaption{color:var(--soft);font-size:.9rem}\
.warn{border-left:4px solid #d55e00;padding-left:.75rem}";

pub(super) fn page(results: &Results, tables: &[Table], plots: &[Plot]) -> String {
    let title = escape(&results.title);
    let mut body = format!("<h1>{title}</h1>\n");
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
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| format!("<li>{}</li>\n", escape(item)))
        .collect();
    format!("<ul>\n{}</ul>\n", items.concat())
}

fn section(table: &Table) -> String {
    let row = |cells: &[String], tag: &str| {
        let cells: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(column, cell)| {
                let class = if column < table.words {
                    " class=\"w\""
                } else {
                    ""
                };
                format!("<{tag}{class}>{}</{tag}>", escape(cell))
            })
            .collect();
        format!("<tr>{}</tr>\n", cells.concat())
    };
    let rows: Vec<String> = table.rows.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<h2>{}</h2>\n<p class=\"note\">{}</p>\n<div class=\"wide\" tabindex=\"0\"><table>\n\
         <thead>{}</thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
        escape(table.title),
        escape(&table.note),
        row(&table.header, "th"),
        rows.concat()
    )
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
