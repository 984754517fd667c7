//! The same for people: one page that needs nothing else, to read on a screen or on paper.

use std::fmt::{Display, Write as _};

use serde_json::Value;

use super::document::{Document, Entry};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--quiet:#777}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2.2rem}\
.quiet{color:var(--quiet)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.3rem 0}\
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}\
article{border-top:1px solid var(--line);padding:.7rem 0;break-inside:avoid}\
article h3{font-size:1rem;margin:0}article p{margin:.2rem 0}\
@media(max-width:40rem){dl{grid-template-columns:1fr}dd{margin-bottom:.3rem}}";

/// The page.
pub(super) fn page(document: &Document) -> String {
    let mut page = Page::default();
    page.push("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push("<meta name=\"viewport\" content=\"width=device-width\"><title>All that is known of a customer</title><style>");
    page.push(STYLE);
    page.push("</style></head><body><h1>All that is known of a customer</h1><p class=\"quiet\">");
    page.text(&format!("As of {}", document.exported_time));
    page.push("</p><dl>");
    page.pair("Customer", &document.customer_id);
    for other in &document.other_ids {
        page.pair("Also known as", other);
    }
    page.pair("Business", &document.tenant);
    page.push("</dl><h2>What is kept now</h2><dl>");
    page.fields("", &document.customer);
    page.push("</dl><h2>What was computed from it</h2>");
    if document.value.is_null() {
        page.push("<p>Nothing.</p>");
    } else {
        page.push("<dl>");
        page.fields("", &document.value);
        page.push("</dl>");
    }
    page.push("<h2>What was recorded</h2><p class=\"quiet\">");
    page.text(&format!("{} entries, oldest first", document.events.len()));
    page.push("</p>");
    for entry in &document.events {
        page.entry(entry);
    }
    page.push("</body></html>\n");
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn push(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '<' => self.push("&lt;"),
                '>' => self.push("&gt;"),
                '&' => self.push("&amp;"),
                '"' => self.push("&quot;"),
                letter => self.0.push(letter),
            }
        }
    }

    fn pair(&mut self, name: &str, value: &(impl Display + ?Sized)) {
        self.push("<dt>");
        self.text(name);
        self.push("</dt><dd>");
        self.text(&value.to_string());
        self.push("</dd>");
    }

    /// Every value within, by the names that lead to it.
    fn fields(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.fields(&joined(path, &words(name)), field);
                }
            }
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    let path = if items.len() == 1 {
                        path.to_owned()
                    } else {
                        format!("{path} {}", number + 1)
                    };
                    self.fields(&path, item);
                }
            }
            Value::Null => self.pair(path, "(destroyed)"),
            Value::Bool(yes) => self.pair(path, if *yes { "yes" } else { "no" }),
            Value::Number(number) => self.pair(path, number),
            Value::String(text) => self.pair(path, text),
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.push("<article><h3>");
        self.text(&words(&entry.type_));
        self.push("</h3><p>");
        self.text(&entry.meaning);
        self.push("</p><dl>");
        self.pair("happened", &entry.occurred_time);
        self.pair("recorded", &entry.recorded_time);
        self.pair("recorded in", entry.service);
        if !entry.actor.is_empty() {
            self.pair("recorded by", &entry.actor);
        }
        if !entry.on_behalf_of.is_empty() {
            self.pair("on behalf of", &entry.on_behalf_of);
        }
        self.fields("", &entry.data);
        self.push("</dl></article>");
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}, {name}")
    }
}

/// A name in words: `givenName` and `ProfileUpdated` as people write them.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        write!(words, "{}", letter.to_ascii_lowercase()).expect("writing to a string");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_customer_is_called_is_no_markup() {
        let document = Document {
            tenant: "acme".to_owned(),
            customer_id: "1".to_owned(),
            other_ids: vec!["2".to_owned()],
            exported_time: "2026-11-28T00:00:00Z".to_owned(),
            customer: serde_json::json!({"profile": {"givenName": "<b>Ayşe & \"Co\"</b>"}, "consents": [{"granted": true}, {"granted": false}]}),
            value: Value::Null,
            events: vec![Entry {
                service: "customers",
                type_: "ProfileUpdated".to_owned(),
                meaning: "Fields of the profile changed.".to_owned(),
                occurred_time: String::new(),
                recorded_time: String::new(),
                actor: "shop".to_owned(),
                on_behalf_of: String::new(),
                event_id: String::new(),
                data: serde_json::json!({"familyName": null}),
            }],
        };
        let page = page(&document);
        for part in [
            "<dt>profile, given name</dt><dd>&lt;b&gt;Ayşe &amp; &quot;Co&quot;&lt;/b&gt;</dd>",
            "<dt>consents 1, granted</dt><dd>yes</dd>",
            "<dt>consents 2, granted</dt><dd>no</dd>",
            "<dt>Also known as</dt><dd>2</dd>",
            "<h3>profile updated</h3><p>Fields of the profile changed.</p>",
            "<dt>family name</dt><dd>(destroyed)</dd>",
            "<dt>recorded by</dt><dd>shop</dd>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(
            !page.contains("on behalf of") && !page.contains("<b>"),
            "{page}"
        );
    }
}
