//! `plugin new`, `build`, `test`, `dev` and `inspect`

mod dev;
mod diff;
mod inspect;
mod log;
mod new;
mod test;

use std::path::Path;

use portcullis_policy::build;
use serde_json::json;

use super::{
    args::{Format, Plugin, StandardLibrary},
    exit::Exit,
    terminal::{Level, Terminal},
};

/// Does what the arguments say.
pub(crate) fn plugin(arguments: &Plugin) -> Exit {
    match arguments {
        Plugin::Build {
            crate_dir,
            std,
            output,
        } => build(crate_dir, *std, output.format()),
        Plugin::New(arguments) => new::new(arguments),
        Plugin::Test {
            subject,
            fixtures,
            std,
            output,
        } => {
            let options = options(*std, build::Purpose::Use);
            test::test(subject, fixtures.as_deref(), &options, output.format())
        }
        Plugin::Dev {
            crate_dir,
            gateway,
            once,
            std,
        } => {
            let rounds = match once {
                true => dev::Rounds::One,
                false => dev::Rounds::Endless,
            };
            let options = options(*std, build::Purpose::Trial);
            dev::dev(crate_dir, gateway.as_deref(), rounds, &options)
        }
        Plugin::Inspect {
            component,
            with,
            output,
        } => inspect::inspect(component, with.as_deref(), output.format()),
    }
}

fn build(crate_dir: &Path, std: StandardLibrary, format: Format) -> Exit {
    let terminal = Terminal::new();
    let options = options(std, build::Purpose::Use);
    // Progress goes where the result does not, so that a script gets one document.
    let mut progress = |line: &str| match format {
        Format::Human => terminal.line(&format!("    {line}")),
        Format::Json => eprintln!("{line}"),
    };
    let built = match build::component(crate_dir, &options, &mut progress) {
        Ok(built) => built,
        Err(failure) => {
            match format {
                Format::Human => terminal.mark(Level::Problem, &failure.to_string(), None),
                Format::Json => terminal.json(&json!({
                    "result": "failed",
                    "message": failure.to_string(),
                })),
            }
            return Exit::Problem;
        }
    };
    match format {
        Format::Json => terminal.json(&json!({
            "result": if built.refused.is_none() { "built" } else { "refused" },
            "component": built.path,
            "bytes": built.size,
            "exports": built.exports,
            "refused": built.refused,
        })),
        Format::Human => {
            // Size and exports were told as progress.
            let (level, text) = match &built.refused {
                None => (Level::Ok, "built, and this gateway takes it".to_owned()),
                Some(reason) => {
                    let text = format!("built, but this gateway would not take it: {reason}");
                    (Level::Problem, text)
                }
            };
            terminal.mark(level, &text, None);
        }
    }
    match built.refused {
        None => Exit::Well,
        Some(_) => Exit::Problem,
    }
}

fn options(std: StandardLibrary, purpose: build::Purpose) -> build::Options {
    build::Options {
        source: match std {
            StandardLibrary::Any => build::Source::Any,
            StandardLibrary::Debian => build::Source::Debian,
        },
        purpose,
    }
}
