//! When a new configuration shows less: what was shown and no longer may be is taken back, in both
//! directions, so that nobody stays online for ever in someone's list (PRS-04).

use portcullis_plugin::prelude::*;

use crate::config::{Config, Directed, Level};
use crate::memory::{self, Entry, Failure, Table};

/// Walks over everything shown. What fails is left for the next time.
pub(crate) fn take_back(config: &Config) {
    let mut count = 0_u64;
    for table in [Table::Shown, Table::Room] {
        for direction in [Direction::Inbound, Direction::Outbound] {
            let walked = memory::each(table, direction, |entry| {
                let hidden = is_hidden(config, table, direction, entry);
                if hidden {
                    emit::unavailable(&entry.from, &entry.to).map_err(Failure::NotSent)?;
                    memory::forget(table, direction, &entry.from, &entry.to)?;
                    count += 1;
                }
                Ok(())
            });
            if let Err(failure) = walked {
                log::error!("presence {direction} that is to be taken back stays: {failure}");
            }
        }
    }
    if count > 0 {
        log::info!("took back {count} presences that the configuration no longer shows");
    }
}

fn is_hidden(config: &Config, table: Table, direction: Direction, entry: &Entry) -> bool {
    let terms = config.terms(&entry.partner);
    let stopped = match table {
        Table::Shown => true,
        Table::Room => terms.directed == Directed::Filter,
        Table::Invited => false,
    };
    (stopped && terms.level(direction) == Level::None)
        // The partner itself is gone.
        || (entry.record && partners::lookup(&entry.partner).is_none())
}
