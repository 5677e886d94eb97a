//! Tests a storm: many alerts at once, each of them several times and from several sides, become one incident per server.

use std::collections::BTreeSet;

use incident::{Incident, Mode, Record};

use crate::stage::{Stage, fired};
use crate::world::START_MS;

const SERVERS: usize = 100;

/// How many tell of the same alerts at the same time.
const SIDES: usize = 8;

fn names() -> impl Iterator<Item = String> {
    (0..SERVERS).map(|number| format!("server-{number}"))
}

#[test]
fn a_storm_becomes_one_incident_per_server() {
    let stage =
        Stage::new("1. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n");
    stage.world.state().policy.mode = Mode::Observe;
    stage.live(async |life| {
        let blow = async |at_ms: i64| {
            let sides: Vec<_> = (0..SIDES)
                .map(|_| {
                    let engine = life.engine.clone();
                    tokio::spawn(async move {
                        for name in names() {
                            engine.fire(&fired(&name, at_ms)).await.unwrap();
                        }
                    })
                })
                .collect();
            for side in sides {
                side.await.unwrap();
            }
        };
        blow(START_MS).await;
        let servers: BTreeSet<String> =
            life.engine.incidents().await.unwrap().into_iter().map(|one| one.server).collect();
        assert_eq!(servers, names().collect());
        // Resolved, and back as another one.
        life.alert_over().await;
        blow(START_MS + 1).await;
        let incidents = life.engine.incidents().await.unwrap();
        assert_eq!(incidents.len(), SERVERS);
        for incident in &incidents {
            let count = |is: fn(&Record) -> bool| incident.timeline.iter().filter(|(_, one)| is(one)).count();
            assert_eq!(count(|one| matches!(one, Record::Opened { .. })), 1);
            assert_eq!(count(|one| matches!(one, Record::AlertResolved {})), 1);
            assert_eq!(count(|one| matches!(one, Record::SeenAgain { .. })), 1, "of {}", incident.id);
        }
    });
    // What is on the disk says the same.
    stage.live(async |life| {
        assert_eq!(life.engine.incidents().await.unwrap().len(), SERVERS);
        let is_open = |incident: &Incident| incident.state.is_open();
        assert_eq!(life.engine.incidents().await.unwrap().iter().filter(|one| is_open(one)).count(), SERVERS);
    });
}
