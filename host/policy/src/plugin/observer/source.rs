//! Where an observer's decisions wait for it.
//!
//! In: decisions, from all streams. Out: batches, whole or as records, as the observer hears them. What finds
//! no room is handed back, or waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::sleep;

use super::sheaves::{self, Binder, NotTaken, sheaves};
use super::{BATCH, QUEUE};
use crate::decision::{Decision, Heard, Hears};

/// A decision on its way to the observers; shared if one of them keeps it whole.
pub(crate) enum Told {
    Once(Decision),
    Shared(Arc<Decision>),
}

impl Told {
    fn get(&self) -> &Decision {
        match self {
            Self::Once(decision) => decision,
            Self::Shared(decision) => decision,
        }
    }

    fn share(&self) -> Arc<Decision> {
        match self {
            Self::Once(decision) => Arc::new(decision.clone()),
            Self::Shared(decision) => Arc::clone(decision),
        }
    }
}

/// Where decisions go in.
pub(super) enum Queue {
    Decisions(mpsc::Sender<Arc<Decision>>),
    Records(Binder),
}

/// Where batches come out.
pub(super) enum Source {
    Decisions(mpsc::Receiver<Arc<Decision>>),
    Records(sheaves::Receiver),
}

/// Both ends for an observer that hears this.
pub(super) fn queue(hears: Hears) -> (Queue, Source) {
    match hears {
        Hears::Decisions => {
            let (sender, receiver) = mpsc::channel(QUEUE);
            (Queue::Decisions(sender), Source::Decisions(receiver))
        }
        Hears::Records => {
            let (binder, receiver) = sheaves();
            (Queue::Records(binder), Source::Records(receiver))
        }
    }
}

impl Queue {
    /// Puts it in if there is room.
    pub(super) fn put(&self, decision: &Told) -> Result<(), NotTaken> {
        match self {
            Self::Decisions(queue) => match queue.try_send(decision.share()) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => Err(NotTaken::Full),
                Err(TrySendError::Closed(_)) => Err(NotTaken::Gone),
            },
            Self::Records(binder) => binder.put(decision.get()),
        }
    }

    /// Puts it in when there is room.
    pub(super) async fn put_when_there_is_room(&self, decision: &Told) -> Result<(), NotTaken> {
        match self {
            Self::Decisions(queue) => {
                let sent = queue.send(decision.share()).await;
                sent.map_err(|_| NotTaken::Gone)
            }
            Self::Records(binder) => binder.put_when_there_is_room(decision.get()).await,
        }
    }
}

impl Source {
    /// The next batch; each call into the plugin costs more than a decision, so it waits so long for others.
    /// None: the generation has retired, and all is heard.
    pub(super) async fn next(&mut self, patience: Duration) -> Option<Heard> {
        match self {
            Self::Decisions(queue) => {
                let mut batch = Vec::with_capacity(BATCH);
                if queue.recv_many(&mut batch, BATCH).await == 0 {
                    return None;
                }
                if batch.len() < BATCH && !queue.is_closed() {
                    sleep(patience).await;
                }
                while batch.len() < BATCH
                    && let Ok(decision) = queue.try_recv()
                {
                    batch.push(decision);
                }
                Some(Heard::Decisions(Arc::from(batch)))
            }
            Self::Records(receiver) => {
                let sheaf = receiver.next(patience).await?;
                Some(Heard::Records(Arc::new(sheaf)))
            }
        }
    }

    /// Whether nothing more will come: the generation has retired.
    pub(super) fn is_ended(&self) -> bool {
        match self {
            Self::Decisions(queue) => queue.is_closed(),
            Self::Records(receiver) => receiver.is_ended(),
        }
    }

    /// Gives a batch back that was heard.
    pub(super) fn give_back(&self, batch: Heard) {
        if let (Self::Records(receiver), Heard::Records(sheaf)) = (self, batch)
            && let Some(sheaf) = Arc::into_inner(sheaf)
        {
            receiver.give_back(sheaf);
        }
    }
}
