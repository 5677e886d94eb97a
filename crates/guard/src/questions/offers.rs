//! Owns what a client has offered to be asked, as it says at `initialize`.

use serde_json::json;

use super::Refusal;
use crate::envelope::{self, INVALID_PARAMS, METHOD_NOT_FOUND};

/// What a client has offered to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    sampling: bool,
    /// Sampling in which the model may call tools.
    sampling_tools: bool,
    /// Forms.
    elicitation: bool,
    /// Pages that the client's user is sent to.
    elicitation_urls: bool,
}

// === impl Offers ===

impl Offers {
    /// What the guard tells a server that its client can do.
    pub(crate) fn declared() -> serde_json::Value {
        json!({ "sampling": { "tools": {} }, "elicitation": { "form": {}, "url": {} } })
    }

    /// Reads what a client says in the parameters of `initialize`.
    pub(crate) fn of(params: &str) -> Self {
        let is_object = |of: Option<&str>, name: &str| {
            let value = of.and_then(|of| envelope::member(of, name).ok().flatten());
            value.filter(|value| value.starts_with('{')).map(str::to_owned)
        };
        let capabilities = is_object(Some(params), "capabilities");
        let capabilities = capabilities.as_deref();
        let sampling = is_object(capabilities, "sampling");
        let elicitation = is_object(capabilities, "elicitation");
        // Before there were modes, an empty object meant forms.
        let forms =
            |modes: &str| is_object(Some(modes), "form").is_some() || is_object(Some(modes), "url").is_none();
        Self {
            sampling_tools: is_object(sampling.as_deref(), "tools").is_some(),
            sampling: sampling.is_some(),
            elicitation: elicitation.as_deref().is_some_and(forms),
            elicitation_urls: is_object(elicitation.as_deref(), "url").is_some(),
        }
    }

    /// Whether a client that offers this can be asked that.
    pub(super) fn include(self, method: &str, params: Option<&str>) -> Result<(), Refusal> {
        let member = |name: &str| params.and_then(|params| envelope::member(params, name).ok().flatten());
        match method {
            "sampling/createMessage" if self.sampling => {
                let needs_tools = member("tools").or_else(|| member("toolChoice")).is_some();
                if needs_tools && !self.sampling_tools {
                    return Err((INVALID_PARAMS, "this client does not offer sampling with tools"));
                }
                Ok(())
            }
            "elicitation/create" if self.elicitation || self.elicitation_urls => match member("mode") {
                None | Some("\"form\"") if self.elicitation => Ok(()),
                Some("\"url\"") if self.elicitation_urls => Ok(()),
                _ => Err((INVALID_PARAMS, "this client does not offer elicitation in that mode")),
            },
            _ => Err((METHOD_NOT_FOUND, "this client does not offer that")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{INVALID_PARAMS, METHOD_NOT_FOUND, Offers};

    #[test]
    fn clients_are_asked_what_they_offer() {
        let with = |capabilities: &str| Offers::of(&format!("{{\"capabilities\":{capabilities}}}"));
        let tools = Some(r#"{"tools":[]}"#);
        let url = Some(r#"{"mode":"url"}"#);
        let form = Some(r#"{"mode":"form"}"#);
        for (capabilities, method, params, expect) in [
            ("{}", "sampling/createMessage", None, Some(METHOD_NOT_FOUND)),
            (r#"{"sampling":null}"#, "sampling/createMessage", None, Some(METHOD_NOT_FOUND)),
            (r#"{"roots":{}}"#, "roots/list", None, Some(METHOD_NOT_FOUND)),
            (r#"{"sampling":{}}"#, "sampling/createMessage", Some("{}"), None),
            (r#"{"sampling":{}}"#, "sampling/createMessage", tools, Some(INVALID_PARAMS)),
            (r#"{"sampling":{"tools":{}}}"#, "sampling/createMessage", tools, None),
            (r#"{"elicitation":{}}"#, "elicitation/create", Some("{}"), None),
            (r#"{"elicitation":{"form":{}}}"#, "elicitation/create", form, None),
            (r#"{"elicitation":{"url":{}}}"#, "elicitation/create", form, Some(INVALID_PARAMS)),
            (r#"{"elicitation":{}}"#, "elicitation/create", url, Some(INVALID_PARAMS)),
            ("{}", "elicitation/create", url, Some(METHOD_NOT_FOUND)),
            (r#"{"elicitation":{"form":{},"url":{}}}"#, "elicitation/create", url, None),
            (r#"{"elicitation":{}}"#, "other/method", None, Some(METHOD_NOT_FOUND)),
        ] {
            let found = with(capabilities).include(method, params).err().map(|(code, _)| code);
            assert_eq!(found, expect, "{capabilities} {method} {params:?}");
        }
        assert_eq!(Offers::of("[]"), Offers::default());
    }
}
