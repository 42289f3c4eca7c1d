//! `partners_dir`: more records, in files of their own.

use std::fs;

use super::*;

/// LEAST with a directory of these files, read from disk.
fn read(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Loaded, Rejected>) {
    let dir = tempfile::tempdir().unwrap();
    let partners = dir.path().join("partners.d");
    fs::create_dir(&partners).unwrap();
    for (name, text) in files {
        fs::write(partners.join(name), text).unwrap();
    }
    let main = LEAST.replace("[gateway]\n", "[gateway]\npartners_dir = \"partners.d\"\n");
    let main = format!("{main}[[partner]]\ndomain = \"main.test\"\n");
    let file = dir.path().join("portcullis.toml");
    fs::write(&file, main).unwrap();
    let read = Config::read(&file);
    (dir, read)
}

#[test]
fn records_are_read_from_each_file_in_the_order_of_their_names() {
    let (dir, read) = read(&[
        (
            "b.toml",
            "[[partner]]\ndomain = \"b.test\"\ntrust = [\"b-ca.pem\"]",
        ),
        (
            "a.toml",
            "[[partner]]\ndomain = \"z.test\"\n[[partner]]\ndomain = \"a.test\"",
        ),
        ("none.toml", ""),
        (".a.toml", "what an editor leaves behind"),
        ("README", "nor is this one"),
    ]);
    let config = read.unwrap().config;
    let names: Vec<_> = config
        .partners
        .iter()
        .map(|partner| partner.domain.as_str())
        .collect();
    assert_eq!(names, ["main.test", "z.test", "a.test", "b.test"]);
    // As everywhere, a relative path starts at the main file's directory.
    let trust = &config.partners.last().unwrap().trust;
    assert_eq!(*trust, [Trust::File(dir.path().join("b-ca.pem"))]);
}

#[test]
fn problems_of_these_files_are_told_with_file_and_line() {
    let (dir, read) = read(&[
        (
            "a.toml",
            "\n[[partner]]\ndomain = \"a.test\"\ndirektion = \"both\"",
        ),
        (
            "b.toml",
            "[[partner]]\ndomain = \"b.test\"\nalso = [\"a.test\"]",
        ),
        ("c.toml", "[[partner]]\ndomain = \"main.test\""),
        (
            "d.toml",
            "[gateway]\ndomains = []\n[[partner]]\ndomain = \"org.test\"",
        ),
        ("e.toml", "[[partner"),
    ]);
    let at = |name: &str| {
        dir.path()
            .join("partners.d")
            .join(name)
            .display()
            .to_string()
    };
    let told = problems(read);
    let (no_toml, others): (Vec<_>, Vec<_>) = told
        .into_iter()
        .partition(|problem| problem.starts_with(&at("e.toml")));
    let expected = format!("{} line 1: not TOML: ", at("e.toml"));
    assert!(
        no_toml.iter().any(|problem| problem.starts_with(&expected)),
        "{no_toml:?}"
    );
    assert_eq!(
        others,
        [
            format!(
                "{} line 4: unknown key `direktion` in [[partner]] (did you mean `direction`?)",
                at("a.toml")
            ),
            format!(
                "{} line 3: the domain `a.test` of the record of b.test is already in the record of a.test; {} line 3: it stands here",
                at("b.toml"),
                at("a.toml")
            ),
            format!(
                "{} line 2: the domain `main.test` stands twice in the record of main.test; line 18: it stands here",
                at("c.toml")
            ),
            format!(
                "{} line 1: unknown key `gateway` at the top level of a file of partners (`gateway` belongs in the main file; here are only [[partner]] records)",
                at("d.toml")
            ),
            format!(
                "{} line 4: the partner domain `org.test` is a domain of the gateway itself; line 4: it is served here",
                at("d.toml")
            ),
        ]
    );
}

#[test]
fn a_directory_that_is_not_there_refuses_the_file() {
    let (dir, _) = read(&[]);
    let partners = dir.path().join("partners.d");
    fs::remove_dir(&partners).unwrap();
    let told = problems(Config::read(&dir.path().join("portcullis.toml")));
    let expected = format!(
        "`partners_dir` in [gateway]: cannot read {}: ",
        partners.display()
    );
    assert!(told.first().unwrap().starts_with(&expected), "{told:?}");
}
