//! What came of a case beside what was expected.

use serde::Serialize;
use serde_json::Value;

use super::{
    fixture::{Case, stanza},
    run::Done,
};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// What differs.
    pub(crate) what: &'static str,
    /// Text of one or several lines.
    pub(crate) expected: String,
    /// Text of one or several lines.
    pub(crate) got: String,
}

/// Everything that is not as `case` says; empty if all is.
pub(crate) fn differences(case: &Case, done: &Done) -> Result<Vec<Difference>, String> {
    let mut found = Vec::new();
    let mut differ = |what: &'static str, expected: String, got: String| {
        if expected != got {
            found.push(Difference {
                what,
                expected,
                got,
            });
        }
    };
    if let Some(failure) = &done.failure {
        differ("the plugin", String::new(), format!("failed: {failure}"));
    }
    match (&case.verdict, done.verdict) {
        (Some(expected), Some(got)) => differ("verdict", expected.clone(), got.to_owned()),
        (None, Some(_)) => return Err("a case of its kind needs `verdict`".to_owned()),
        (Some(_), None) => return Err("`observe` has no `verdict` of its own".to_owned()),
        (None, None) => {}
    }
    for (what, expected, got) in [
        ("condition", &case.condition, done.condition),
        ("text", &case.text, done.text.as_deref()),
        ("reason", &case.reason, done.reason.as_deref()),
    ] {
        if let Some(expected) = expected {
            differ(what, expected.clone(), got.unwrap_or("nothing").to_owned());
        }
    }
    if let Some((arrived, Some(passed))) = &done.stanza {
        let expected = match &case.becomes {
            Some(xml) => stanza(xml)?.to_xml(),
            None => arrived.to_xml(),
        };
        differ("stanza", lines(&expected), lines(&passed.to_xml()));
    } else if case.becomes.is_some() && case.verdict.as_deref() != Some("pass") {
        return Err("`becomes` is of a stanza that passes".to_owned());
    }
    differ("emits", case.emits.join("\n"), done.emits.join("\n"));
    let (expected, got) = journal(&case.journal, &done.journal)?;
    differ("journal", expected, got);
    Ok(found)
}

/// XML with each element on a line of its own.
pub(crate) fn lines(xml: &str) -> String {
    xml.replace("><", ">\n<")
}

/// Both sides line by line; of what was written only the keys that were expected.
fn journal(expected: &[String], got: &[Value]) -> Result<(String, String), String> {
    let mut left = Vec::new();
    let mut right = Vec::new();
    for (index, line) in expected.iter().enumerate() {
        let line: Value =
            serde_json::from_str(line).map_err(|error| format!("`journal`: {error}: {line}"))?;
        let keys = line.as_object().ok_or("`journal` holds JSON objects")?;
        if let Some(written) = got.get(index) {
            let same = keys.iter().map(|(key, _)| {
                let value = written.get(key).cloned().unwrap_or_default();
                (key.clone(), value)
            });
            right.push(Value::Object(same.collect()).to_string());
        }
        left.push(line.to_string());
    }
    let more = got.iter().skip(expected.len());
    right.extend(more.map(Value::to_string));
    Ok((left.join("\n"), right.join("\n")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const XML: &str = "<message xmlns='jabber:server' from='a@alpha.test' to='b@org.test'/>";

    fn passed() -> Done {
        let arrived = stanza(XML).unwrap();
        Done {
            verdict: Some("pass"),
            stanza: Some((arrived.clone(), Some(arrived))),
            ..Done::default()
        }
    }

    fn expecting(verdict: &str) -> Case {
        Case {
            verdict: Some(verdict.to_owned()),
            ..Case::default()
        }
    }

    #[test]
    fn what_is_as_expected_has_no_difference() {
        assert_eq!(differences(&expecting("pass"), &passed()), Ok(vec![]));
    }

    #[test]
    fn another_verdict_is_a_difference() {
        let found = differences(&expecting("drop"), &passed()).unwrap();
        assert_eq!((found[0].what, &*found[0].expected), ("verdict", "drop"));
    }

    #[test]
    fn an_edit_that_nobody_expects_is_a_difference_and_so_is_a_missing_one() {
        let edited = stanza(&XML.replace("/>", "><body>x</body></message>")).unwrap();
        let mut done = passed();
        done.stanza = Some((stanza(XML).unwrap(), Some(edited.clone())));
        let found = differences(&expecting("pass"), &done).unwrap();
        assert!(found[0].got.contains("<body>x</body>"), "{found:?}");
        let expects = Case {
            becomes: Some(edited.to_xml()),
            ..expecting("pass")
        };
        assert_eq!(differences(&expects, &done), Ok(vec![]));
        assert_eq!(differences(&expects, &passed()).unwrap()[0].what, "stanza");
    }

    #[test]
    fn a_failure_a_line_or_an_emission_that_nobody_expects_is_a_difference() {
        for done in [
            Done {
                failure: Some("it panicked".to_owned()),
                ..passed()
            },
            Done {
                emits: vec!["unavailable a b".to_owned()],
                ..passed()
            },
            Done {
                journal: vec![json!({ "a": 1 })],
                ..passed()
            },
        ] {
            assert_eq!(differences(&expecting("pass"), &done).unwrap().len(), 1);
        }
    }

    #[test]
    fn of_a_journal_line_the_expected_keys_are_compared() {
        let done = Done {
            journal: vec![json!({ "seq": 1, "verdict": "pass" })],
            ..Done::default()
        };
        let case = |line: &str| Case {
            journal: vec![line.to_owned()],
            ..Case::default()
        };
        assert_eq!(
            differences(&case(r#"{"verdict":"pass"}"#), &done),
            Ok(vec![])
        );
        let found = differences(&case(r#"{"verdict":"drop"}"#), &done).unwrap();
        assert_eq!(found[0].got, r#"{"verdict":"pass"}"#);
        assert!(
            differences(&case(r#"{"verdict":"pass","x":1}"#), &done)
                .unwrap()
                .len()
                == 1
        );
    }
}
