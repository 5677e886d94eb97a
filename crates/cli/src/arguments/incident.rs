//! Owns the words of `paramedic incident`.

use clap::Subcommand;

use super::assignment;

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// List incidents
    List {
        /// Those that are over too
        #[arg(long)]
        all: bool,
    },
    /// Show one incident with its timeline
    Show {
        /// Its name, or enough of it
        id: String,
    },
    /// Open an incident; the machine carries it out. Prints its name
    Open {
        /// The server
        #[arg(long)]
        server: String,
        /// The procedure: its alert, title or id
        #[arg(long)]
        procedure: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Take notice of an incident
    Ack {
        /// Its name, or enough of it
        id: String,
    },
    /// Add to the timeline what only people know
    Note {
        /// Its name, or enough of it
        id: String,
        /// What
        text: String,
    },
    /// Take over: the machine looks, and changes nothing until `resume`
    Hold {
        /// Its name, or enough of it
        id: String,
        /// Why
        #[arg(long, default_value = "a person takes over")]
        reason: String,
    },
    /// Hand back to the machine, after `hold` or `abort`, or where it counts as flapping
    Resume {
        /// Its name, or enough of it
        id: String,
    },
    /// End the machine's part for good
    Abort {
        /// Its name, or enough of it
        id: String,
        /// Why
        #[arg(long, default_value = "a person goes on by hand")]
        reason: String,
    },
    /// Call for more people
    Escalate {
        /// Its name, or enough of it
        id: String,
        /// Whom: a contact of the runbook
        #[arg(long, default_value = "primary")]
        contact: String,
        /// Why
        #[arg(long, default_value = "more people are needed")]
        reason: String,
    },
    /// Say what has to be done when it is over, or that it is done
    FollowUp {
        /// Its name, or enough of it
        id: String,
        /// What has to be done; with --done, what was done
        text: String,
        /// The number of the one that is done
        #[arg(long, value_name = "NUMBER")]
        done: Option<u32>,
    },
    /// Say that the trouble is over; the server is asked whether that is so
    Resolve {
        /// Its name, or enough of it
        id: String,
    },
    /// End an incident; its follow-ups have to be done
    Close {
        /// Its name, or enough of it
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Say yes to what waits
    Approve {
        /// Its name, or enough of it
        id: String,
        /// What waits, for example 6.1
        unit: String,
        /// A parameter that was missing
        #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = assignment)]
        parameters: Vec<(String, String)>,
    },
    /// Say no to what waits
    Reject {
        /// Its name, or enough of it
        id: String,
        /// What waits, for example 6.1
        unit: String,
        /// Why
        #[arg(long, default_value = "no reason given")]
        reason: String,
    },
    /// Print the report, in Markdown
    Report {
        /// Its name, or enough of it
        id: String,
    },
}
