//! The read-only HTTP address.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | the metrics, in the OpenMetrics text format |
//! | `/health/live` | 200 as long as the process answers at all |
//! | `/health/ready` | 200 while it accepts streams, 503 while it starts or drains |
//!
//! It shows numbers and never a stanza or an address; so it may be reached by whoever scrapes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::app::Gateway;

/// Serves until the gateway has ended its streams.
pub(crate) async fn serve(gateway: Arc<Gateway>, listener: TcpListener) {
    let stop = gateway.phases.ended.clone();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .with_state(gateway);
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the admin address no longer answers");
    }
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.metrics.render(&gateway.readings()) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, &'static str) {
    if gateway.phases.accepting() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}
