//! Owns the door: where the word of a token is typed, and the page that leads on to another.

use maud::{DOCTYPE, html};

use crate::layout::{Frame, Place};

/// The page on which somebody signs in, to go on to `next`; `refused` is why the last word was no good.
pub fn login(next: &str, refused: Option<&str>) -> String {
    let frame = Frame { title: "Sign in", place: Place::Login, visitor: None, events: None, now_ms: None };
    frame.page(&html! {
        h1 { "Sign in" }
        @if let Some(refused) = refused {
            p.alert role="alert" { (refused) }
        }
        form.door method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            // Browsers that keep words keep them by a name.
            input type="text" name="name" value="paramedic" autocomplete="username" hidden;
            label for="word" { "The word of your token" }
            input #word type="password" name="word" required autofocus autocomplete="current-password" spellcheck="false";
            button.main { "Sign in" }
        }
        p.soft { "An admin makes one on the machine: " code { "paramedic token create NAME --role approver" } }
    })
}

/// A page that goes on to a path of ours by itself.
pub fn onward(next: &str) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content=(format!("0;url={next}"));
                title { "Paramedic" }
            }
            body { a href=(next) { "Go on" } }
        }
    };
    document.into_string()
}
