//! The table of models with their published error rates, as HTML: it stands in the page before any
//! program runs.

use crate::{
    catalog::{Catalog, CatalogEntry, ModelSummary, Role},
    figures, json,
    plot::escape,
};

/// Around the rows, in `index.html`.
const MARKS: [&str; 2] = ["<!-- models -->", "<!-- /models -->"];

/// The page with a row for each model between its marks; `None` if it has no marks.
pub fn fill(html: &str, catalog: &Catalog) -> Option<String> {
    let (before, rest) = html.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    let rows: String = catalog.models.iter().filter_map(row).collect();
    Some(format!("{before}{}\n{rows}{}{after}", MARKS[0], MARKS[1]))
}

fn row(entry: &CatalogEntry) -> Option<String> {
    let summary: ModelSummary = json::read(&entry.manifest).ok()?;
    let set = summary.largest_set();
    let rate = |lm: Option<&str>| Some(figures::percent(summary.evaluation(set?, lm)?.wer));
    let with_lm = entry.lm.as_ref().and_then(|lm| rate(Some(lm.name())));
    let or_none = |rate: Option<String>| rate.unwrap_or_else(|| "–".to_owned());
    let role = match entry.role {
        Role::Student => "",
        Role::Teacher => " (teacher)",
    };
    let cells = [
        ("Family", escape(&entry.group)),
        ("Parameters", figures::parameters(summary.parameters)),
        ("Size", figures::bytes(summary.bytes())),
        ("Test set", escape(set.unwrap_or("–"))),
        ("Wrong words", or_none(rate(None))),
        ("With language model", or_none(with_lm)),
    ];
    let cells: String = cells
        .iter()
        .map(|(label, text)| format!("<td data-label=\"{label}\">{text}</td>"))
        .collect();
    let name = escape(&summary.name);
    // A card is plain text: browsers show it as it is.
    let card = format!("models/{}/README.md", escape(&entry.path));
    Some(format!(
        "<tr><th scope=\"row\"><a href=\"{card}\">{name}</a>{role}</th>{cells}</tr>\n"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MANIFEST: &str = r#"{"name":"tiny <b>","parameters":1000,"files":[{"name":"t","bytes":42}],
        "evaluations":[{"set":"test","decoder":"greedy","words":20,"wer":0.25},
                       {"set":"test","decoder":"beam","lm":"x-large.bin","words":20,"wer":0.125},
                       {"set":"test","decoder":"beam","lm":"x.bin","words":20,"wer":0.1875}]}"#;

    fn catalog() -> Catalog {
        let entry = CatalogEntry {
            path: "x-tiny".to_owned(),
            group: "X".to_owned(),
            role: Role::Teacher,
            lm: None,
            large_lm: None,
            manifest: MANIFEST.to_owned(),
        };
        Catalog {
            models: vec![entry],
        }
    }

    #[test]
    fn a_row_has_size_and_published_error_and_no_foreign_markup() {
        let page = "<tbody><!-- models --><!-- /models --></tbody>";
        let html = fill(page, &catalog()).unwrap();
        for part in [
            "tiny &lt;b&gt;",
            "(teacher)",
            "42 B",
            "25.0 %",
            ">test<",
            "–",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }

    #[test]
    fn the_rate_with_a_language_model_is_that_of_the_one_the_page_opens_with() {
        let mut catalog = catalog();
        catalog.models[0].lm = Some(crate::protocol::RemoteFile {
            url: "lm/x.bin".to_owned(),
            ..Default::default()
        });
        let html = fill("<!-- models --><!-- /models -->", &catalog).unwrap();
        assert!(
            html.contains("18.8 %") && !html.contains("12.5 %"),
            "{html}"
        );
    }

    #[test]
    fn filling_twice_is_filling_once() {
        let page = "a <!-- models -->old<!-- /models --> b";
        let once = fill(page, &catalog()).unwrap();
        assert_eq!(fill(&once, &catalog()).unwrap(), once);
        assert!(!once.contains("old"));
        assert_eq!(fill("no marks", &catalog()), None);
    }
}
