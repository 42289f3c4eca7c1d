//! `audit verify`

use std::path::PathBuf;

use portcullis_policy::journal;
use serde_json::json;

use super::{
    args::{Audit, Format},
    exit::Exit,
    problems,
    terminal::{Level, Terminal},
};
use crate::config::Config;

/// Walks the journal.
pub(crate) fn audit(arguments: &Audit) -> Exit {
    let Audit::Verify {
        dir,
        config,
        output,
    } = arguments;
    let format = output.format();
    let terminal = Terminal::new();
    let dir: PathBuf = match dir {
        Some(dir) => dir.clone(),
        None => match Config::data_dir(&config.file) {
            Ok(data_dir) => data_dir.join("audit"),
            Err(rejected) => return problems::refused(&rejected, format),
        },
    };
    match journal::verify(&dir) {
        Ok(report) => {
            match format {
                Format::Json => terminal.json(&json!({
                    "result": "ok",
                    "files": report.files,
                    "records": report.records,
                    "first": report.first_seq,
                    "last": report.last_seq,
                    "head": report.head,
                    "recoveries": report.recoveries.len(),
                    "unfinished_bytes": report.unfinished_bytes,
                })),
                Format::Human => show(terminal, &report),
            }
            Exit::Well
        }
        Err(broken) => {
            match format {
                Format::Json => terminal.json(&json!({
                    "result": "broken",
                    "file": broken.file,
                    "line": broken.line,
                    "record": broken.seq,
                    "message": broken.to_string(),
                })),
                Format::Human => terminal.mark(Level::Problem, &broken.to_string(), None),
            }
            Exit::Problem
        }
    }
}

fn show(terminal: Terminal, report: &journal::Report) {
    let text = format!(
        "{} records in {} files, {} to {}, each chained to the one before",
        report.records, report.files, report.first_seq, report.last_seq
    );
    terminal.mark(Level::Ok, &text, None);
    for torn in &report.recoveries {
        let text = format!(
            "{}, line {}: a crash tore {} bytes; record {} says so",
            torn.file.display(),
            torn.line,
            torn.bytes,
            torn.seq
        );
        terminal.mark(Level::Warning, &text, None);
    }
    if report.unfinished_bytes > 0 {
        let text = format!(
            "{} bytes of an unfinished record at the end",
            report.unfinished_bytes
        );
        terminal.mark(
            Level::Warning,
            &text,
            Some("the gateway is writing it, or was killed meanwhile"),
        );
    }
    if report.first_seq > 1 {
        let text = format!("records 1 to {} are not here", report.first_seq - 1);
        terminal.mark(
            Level::Warning,
            &text,
            Some("older files were moved elsewhere, or taken away"),
        );
    }
    terminal.line(&format!("    head {}", report.head));
}
