//! Owns looking whether what an Alertmanager has told of still fires there. Nobody is told of the end of what is silenced,
//! and an Alertmanager that is started anew forgets whom it wanted to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use incident::{Heard, Standing, error_chain};

use super::Alertmanager;
use crate::flow::Flow;

/// How many looks in a row have to miss an alert: an Alertmanager that was started anew hears of its alerts within a minute.
const MISSED_LOOKS: u32 = 3;

/// What is remembered between two looks: how often each alert was missed since it was seen there.
#[derive(Default)]
struct Memory {
    missed: BTreeMap<String, u32>,
}

/// Compares until the task is dropped.
pub(crate) async fn compare(flow: Arc<Flow>) {
    let Some(alertmanager) = &flow.alertmanager else { return };
    let mut ticks = tokio::time::interval(alertmanager.config.interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut memory, mut failed) = (Memory::default(), None::<String>);
    loop {
        ticks.tick().await;
        let standing = flow.engine.heard().await;
        if standing.iter().all(|one| one.from != "alertmanager") {
            continue;
        }
        match there(alertmanager).await {
            Ok((firing, silenced)) => {
                failed = None;
                let over = memory.over(&standing, &firing, &silenced);
                if !over.is_empty() {
                    for heard in &over {
                        tracing::warn!(
                            alert = heard.name,
                            server = heard.server,
                            "its Alertmanager no longer has an alert; it is over"
                        );
                    }
                    flow.inbound.end(&flow, over).await;
                }
            }
            // Once for each reason. What cannot be asked for is neither there nor gone.
            Err(error) => {
                let error = error_chain(&error);
                if failed.as_ref() != Some(&error) {
                    tracing::warn!(error, "whether alerts still fire there is not known");
                }
                failed = Some(error);
            }
        }
    }
}

/// The fingerprints of all that fires there, and the labels that we silence there.
async fn there(
    alertmanager: &Alertmanager,
) -> Result<(BTreeSet<String>, BTreeSet<BTreeMap<String, String>>), super::AlertmanagerError> {
    let firing = alertmanager.all().await?.alerts.into_iter().map(|heard| heard.fingerprint).collect();
    let silenced = if alertmanager.config.silence_on_ack {
        let ours = super::silencing::ours(alertmanager.silences().await?);
        ours.into_iter().filter(|(_, silence)| !silence.is_over()).map(|((_, labels), _)| labels).collect()
    } else {
        BTreeSet::new()
    };
    Ok((firing, silenced))
}

// === impl Memory ===

impl Memory {
    /// Takes in one look; returns what is over. An alert that was never seen there, and is not silenced there by us, may be
    /// another Alertmanager's.
    fn over(
        &mut self,
        standing: &[Standing],
        firing: &BTreeSet<String>,
        silenced: &BTreeSet<BTreeMap<String, String>>,
    ) -> Vec<Heard> {
        let mut before = std::mem::take(&mut self.missed);
        let mut over = Vec::new();
        for Standing { heard, .. } in standing.iter().filter(|one| one.from == "alertmanager") {
            let seen = before.remove(&heard.fingerprint);
            let missed = if firing.contains(&heard.fingerprint) {
                0
            } else if let Some(missed) = seen.or_else(|| silenced.contains(&heard.labels).then_some(0)) {
                missed + 1
            } else {
                continue;
            };
            if missed >= MISSED_LOOKS {
                over.push(heard.clone());
            } else {
                self.missed.insert(heard.fingerprint.clone(), missed);
            }
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use incident::HeardState;

    use super::*;

    fn standing(fingerprint: &str, from: &str) -> Standing {
        let heard = Heard {
            name: "A".to_owned(),
            server: "a".to_owned(),
            fingerprint: fingerprint.to_owned(),
            state: HeardState::Firing,
            started_ms: 1,
            start_guessed: false,
            ended_ms: None,
            labels: BTreeMap::from([("of".to_owned(), fingerprint.to_owned())]),
            annotations: BTreeMap::new(),
        };
        Standing { heard, from: from.to_owned(), since_ms: 1 }
    }

    #[test]
    fn what_was_there_and_is_missed_three_times_in_a_row_is_over() {
        let mut memory = Memory::default();
        let all =
            [standing("seen", "alertmanager"), standing("never", "alertmanager"), standing("web", "webhook")];
        let mut look = |there: &[&str], silenced: &[&str]| -> Vec<String> {
            let firing = there.iter().map(|name| (*name).to_owned()).collect();
            let silenced =
                silenced.iter().map(|name| BTreeMap::from([("of".to_owned(), (*name).to_owned())]));
            let over = memory.over(&all, &firing, &silenced.collect());
            over.into_iter().map(|heard| heard.fingerprint).collect()
        };
        assert!(look(&[], &[]).is_empty() && look(&[], &[]).is_empty() && look(&[], &[]).is_empty());
        assert!(look(&["seen"], &[]).is_empty());
        assert!(look(&[], &[]).is_empty() && look(&[], &[]).is_empty());
        assert!(look(&["seen"], &[]).is_empty());
        assert!(look(&[], &[]).is_empty() && look(&[], &[]).is_empty());
        assert_eq!(look(&[], &[]), ["seen"]);
        // What we silence there was there.
        assert!(look(&[], &["never"]).is_empty() && look(&[], &["never"]).is_empty());
        assert_eq!(look(&[], &["never"]), ["never"]);
    }
}
