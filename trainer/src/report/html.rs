//! Pages that need nothing else: one HTML file with its style, light and dark, without scripts.

use super::Table;

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
.warn{border-left:4px solid #d55e00;padding-left:.75rem}";

/// A whole page. `title` is text, `style` (rules beside the common ones) and `body` are as they are.
pub(crate) fn page(title: &str, style: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A table under its heading.
pub(crate) fn section(table: &Table) -> String {
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
        escape(&table.title),
        escape(&table.note),
        row(&table.header, "th"),
        rows.concat()
    )
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
