//! Owns throwing any text at templates: it is read and expanded or refused, within bounds, whatever it does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics::{Element, Labels, Template, TemplateContext};

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else { return };
    let labels = Labels::metric("up", &[("job", "a"), ("instance", "db-1.example:5432")]);
    let element = Element { labels: labels.clone(), value: 1.5 };
    let expanded = template.expand(&TemplateContext {
        labels: &labels,
        value: 1_234_567.891,
        external_labels: &labels,
        external_url: "https://paramedic.example/p",
        at_ms: 1_700_000_000_000,
        query: &|_| Ok(vec![element.clone(); 3]),
    });
    if let Ok(expanded) = expanded {
        assert!(expanded.len() <= text.len().max(64 << 10));
    }
});
