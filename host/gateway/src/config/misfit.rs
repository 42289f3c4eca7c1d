//! Where in the file a plugin's configuration does not fit the schema of its component.
//!
//! In: the text of the file, and what the policy engine found. Out: [`Problem`]s like those of any other
//! key. A place that is not found, because the file has changed since, is left out.

use std::{fs, ops::Range, path::Path};

use portcullis_policy::{
    BuildError,
    schema::{Misfit, Step, Subject},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Finding, Problem, Sink};

/// The problems behind a generation that was not built, in the order of `text`; empty if it is not the
/// configuration that is at fault.
#[must_use]
pub fn misfits(text: &str, error: &BuildError) -> Vec<Problem> {
    let sink = Sink::new(text);
    let (document, _) = DeTable::parse_recoverable(text);
    let section = plugin(document.get_ref(), &error.plugin);
    for misfit in &error.misfits {
        let message = format!("[plugin.config] of `{}`: {}", error.plugin, misfit.message);
        let finding = match section.map(|section| place(section, misfit)) {
            Some(span) => Finding::error(span, message),
            None => Finding::of_the_whole_file(message),
        };
        sink.report(match &misfit.help {
            Some(help) => finding.help(help),
            None => finding,
        });
    }
    sink.into_problems()
}

/// Why a generation was not built, each line with its place in `file`.
#[must_use]
pub fn told(file: &Path, error: &BuildError) -> Vec<String> {
    if error.misfits.is_empty() {
        return vec![error.to_string()];
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let problems = misfits(&text, error).into_iter();
    problems
        .map(|problem| format!("{}: {problem}", file.display()))
        .collect()
}

/// The `[[plugin]]` of this name.
fn plugin<'d>(root: &'d DeTable<'d>, name: &str) -> Option<&'d Spanned<DeValue<'d>>> {
    let named = |section: &&Spanned<DeValue<'_>>| {
        let own = section.get_ref().get("name");
        own.and_then(|own| own.get_ref().as_str()) == Some(name)
    };
    let plugins = root.get("plugin")?.get_ref().as_array()?;
    plugins.iter().find(named)
}

/// The nearest place to what is meant: itself, or the last step towards it that the file has.
fn place(section: &Spanned<DeValue<'_>>, misfit: &Misfit) -> Range<usize> {
    let Some(mut value) = section.get_ref().get("config") else {
        return section.span();
    };
    let mut span = value.span();
    for step in &misfit.path {
        let next = match step {
            Step::Key(key) => {
                let entry = value.get_ref().as_table().and_then(|table| {
                    table
                        .iter()
                        .find(|(name, _)| name.get_ref() == key.as_str())
                });
                entry.map(|(name, value)| (name.span(), value))
            }
            Step::Index(index) => {
                let item = value.get_ref().get(*index);
                item.map(|item| (item.span(), item))
            }
        };
        let Some((key, inside)) = next else {
            return span;
        };
        value = inside;
        span = match misfit.subject {
            Subject::Key => key,
            Subject::Value => inside.span(),
        };
    }
    span
}

#[cfg(test)]
mod tests {
    use portcullis_policy::BuildStep;

    use super::*;

    const TEXT: &str = r#"
[[plugin]]
name = "other"
[plugin.config]
limit = 1

[[plugin]]
name = "talk"

[plugin.config]
limit = "3"
levle = 1

[[plugin.config.rule]]
partner = "a"

[[plugin]]
name = "bare"
"#;

    fn error(plugin: &str, path: &[Step], subject: Subject) -> BuildError {
        BuildError {
            plugin: plugin.to_owned(),
            step: BuildStep::Config,
            reason: String::new(),
            misfits: vec![Misfit {
                path: path.to_vec(),
                subject,
                message: "wrong".to_owned(),
                help: Some("write it".to_owned()),
            }],
        }
    }

    #[test]
    fn a_misfit_is_told_with_its_line() {
        let key = |name: &str| Step::Key(name.to_owned());
        for (plugin, path, subject, expected) in [
            ("talk", vec![key("limit")], Subject::Value, "\"3\""),
            ("talk", vec![key("levle")], Subject::Key, "levle"),
            ("talk", vec![], Subject::Value, "[plugin.config]"),
            (
                "talk",
                vec![key("rule"), Step::Index(0), key("partner")],
                Subject::Value,
                "\"a\"",
            ),
            ("bare", vec![], Subject::Value, "[[plugin]]"),
        ] {
            let problems = misfits(TEXT, &error(plugin, &path, subject));
            let place = problems[0].place.clone().unwrap();
            assert_eq!(&TEXT[place.span], expected, "{plugin} {path:?}");
        }
        let problem = &misfits(TEXT, &error("talk", &[key("levle")], Subject::Key))[0];
        assert_eq!(
            problem.to_string(),
            "line 12: [plugin.config] of `talk`: wrong (write it)"
        );
    }

    #[test]
    fn a_plugin_that_is_gone_from_the_file_is_still_told_of() {
        let problems = misfits(TEXT, &error("gone", &[], Subject::Value));
        assert_eq!(problems[0].place, None);
    }
}
