//! A page of HTML that needs nothing else: no network, no fonts, no pictures.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What all our pages have in common.
const STYLE: &str = include_str!("page.css");

/// A whole page. `style` is added to that of all pages; `script` runs once the page is there.
pub(crate) fn page(title: &str, style: &str, script: Option<&str>, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body {
                (body)
                @if let Some(script) = script { script { (PreEscaped(script)) } }
            }
        }
    };
    page.into_string()
}
