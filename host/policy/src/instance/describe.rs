//! Asking a component what it says of itself.

use std::pin::pin;
use std::sync::Arc;

use super::{Context, Failure, INIT_FACTOR, Rehearsal, run, store};
use crate::component::{Description, Prepared};

/// Asks on an instance of its own, with the budget of `init`; once for each compiled component that is
/// alive. Empty if it does not export `description`.
pub(crate) async fn describe(
    prepared: &Prepared,
    context: &Arc<Context>,
) -> Result<Description, Failure> {
    let said = prepared.said.get_or_try_init(|| ask(prepared, context));
    said.await.cloned()
}

async fn ask(prepared: &Prepared, context: &Arc<Context>) -> Result<Description, Failure> {
    let Some(description) = &prepared.description else {
        return Ok(Description::default());
    };
    let (mut store, meter, words) = store(prepared, context, Rehearsal::Probe);
    let call = async {
        let instance = prepared.instance.instantiate_async(&mut store).await?;
        let description = description.load(&mut store, &instance)?;
        let version = description.call_version(&mut store).await?;
        let schema = description.call_config_schema(&mut store).await?;
        Ok::<_, wasmtime::Error>((version, schema))
    };
    let budget = context.budget.times(INIT_FACTOR);
    let (version, schema) = run(&meter, &words, budget, pin!(call)).await?;
    Description::read(&version, schema.as_deref()).map_err(Failure::Description)
}
