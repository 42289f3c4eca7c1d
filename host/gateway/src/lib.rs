//! The gateway: `portcullis-xmpp` and `portcullis-policy` wired to sockets.
//!
//! The way of one stanza, by module: `listen` accepts the connection, `session` drives the stream,
//! the policy chain judges, `route` decides who gets the stanza, and another `session` sends it.
//! `docs/life-of-a-stanza.md` has the picture. `app` starts and ends all of it, `tls` and `connect`
//! are what both directions stand on, `audit`, `admin` and `observe` are what an operator sees.

pub mod admin;
pub mod app;
mod audit;
mod capture;
pub mod cli;
pub mod config;
pub mod connect;
pub mod demo;
mod explain;
mod listen;
mod liveness;
pub mod observe;
mod policing;
mod presence;
mod probe;
mod prove;
pub mod replay;
mod route;
pub mod service;
mod session;
pub mod tls;
mod workbench;
