//! Owns how much clients may take by an operator's word, as part of the controls. Beside the limits of the settings the tighter
//! one of both holds.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Controls, ControlsError, Set};
use crate::limits::{Limits, Rate};

/// More than that is no limit.
const MOST: u32 = 1_000_000;

/// What clients may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// How many requests in a second, each client; it may save up as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// How many requests at once, all clients together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Who has said so.
    pub set: Set,
}

// === impl Pace, Controls ===

impl Pace {
    pub(super) fn check(&self) -> Result<(), ControlsError> {
        let numbers = [self.per_second, self.at_once];
        if numbers == [None, None] {
            return Err(ControlsError::NoPace);
        }
        match numbers.into_iter().flatten().find(|number| !(1..=MOST).contains(number)) {
            Some(number) => Err(ControlsError::Pace(number)),
            None => Ok(()),
        }
    }

    /// The limits of the settings, and these.
    pub(crate) fn over<'a>(&self, limits: &'a Limits) -> Cow<'a, Limits> {
        let mut limits = limits.clone();
        if let Some(number) = self.per_second.map(f64::from) {
            let own = Rate { per_second: number, burst: number };
            limits.requests = limits.requests.filter(|rate| rate.per_second <= number).or(Some(own));
        }
        if let Some(most) = self.at_once.map(|most| usize::try_from(most).unwrap_or(usize::MAX)) {
            limits.in_flight = Some(limits.in_flight.map_or(most, |before| before.min(most)));
        }
        Cow::Owned(limits)
    }

    /// The same in words.
    pub(super) fn words(&self) -> String {
        let rate = self.per_second.map(|number| format!("{number} requests a second of each client"));
        let at_once = self.at_once.map(|number| format!("{number} requests at once"));
        let both: Vec<String> = rate.into_iter().chain(at_once).collect();
        format!("no more than {}: {}", both.join(", and "), self.set)
    }
}

impl Controls {
    /// Lets clients take no more than that. What is so already stays as it was said first.
    ///
    /// # Errors
    /// Where nothing is said, or a number is none of 1 to 1,000,000.
    pub fn limit(
        &mut self,
        per_second: Option<u32>,
        at_once: Option<u32>,
        set: Set,
    ) -> Result<(), ControlsError> {
        let is_so = |pace: &Pace| (pace.per_second, pace.at_once) == (per_second, at_once);
        if !self.pace.as_ref().is_some_and(is_so) {
            let next = Self { pace: Some(Pace { per_second, at_once, set }), ..self.clone() };
            next.check()?;
            *self = next;
        }
        Ok(())
    }

    /// Lets clients take what the settings allow.
    pub fn unlimit(&mut self) {
        self.pace = None;
    }

    /// What clients may take, by the settings and by an operator's word.
    pub(crate) fn limits<'a>(&self, limits: &'a Limits) -> Cow<'a, Limits> {
        self.pace.as_ref().map_or(Cow::Borrowed(limits), |pace| pace.over(limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_one_holds_and_what_was_said_is_kept() {
        let settings = |per_second: Option<f64>, in_flight: Option<usize>| Limits {
            requests: per_second.map(|per_second| Rate { per_second, burst: 2.0 }),
            in_flight,
            in_flight_per_client: Some(3),
            ..Limits::default()
        };
        let set = || Set::new("ada", 0, Some("flood"));
        let check =
            |said: (Option<u32>, Option<u32>), limits: &Limits, expect: (Option<f64>, Option<usize>)| {
                let mut controls = Controls::default();
                controls.limit(said.0, said.1, set()).unwrap();
                let both = controls.limits(limits).into_owned();
                assert_eq!((both.requests.map(|rate| rate.per_second), both.in_flight), expect, "{said:?}");
                assert_eq!(both.in_flight_per_client, Some(3));
                let text = controls.to_text().unwrap();
                assert_eq!(Controls::parse(Some(&text)).unwrap(), controls, "{text}");
                assert!(controls.restriction(0).unwrap().contains("set by ada"));
            };
        check((Some(5), None), &settings(None, None), (Some(5.0), None));
        check((Some(5), Some(7)), &settings(Some(2.0), Some(9)), (Some(2.0), Some(7)));
        check((Some(5), Some(7)), &settings(Some(20.0), Some(4)), (Some(5.0), Some(4)));
        check((None, Some(1)), &settings(None, None), (None, Some(1)));
        let mut controls = Controls::default();
        for (per_second, at_once) in [(None, None), (Some(0), None), (None, Some(0)), (Some(MOST + 1), None)]
        {
            assert!(controls.limit(per_second, at_once, set()).is_err(), "{per_second:?} {at_once:?}");
        }
        assert_eq!(controls, Controls::default());
        controls.limit(Some(1), None, set()).unwrap();
        let before = controls.clone();
        controls.limit(Some(1), None, Set::new("eve", 1, None)).unwrap();
        assert_eq!(controls, before, "who has said it first has said it");
        controls.unlimit();
        assert_eq!((controls.to_text(), controls.restriction(0)), (None, None));
    }
}
