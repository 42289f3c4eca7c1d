//! Dates, hours and days are what the calendar says.

use super::*;

fn moment(text: &str) -> Moment {
    Moment::parse(text).unwrap()
}

#[test]
fn a_date_is_what_the_calendar_says() {
    for (text, unix) in [
        ("1970-01-01", 0),
        ("2000-02-29", 951_782_400),
        ("2026-11-22T18:30:05Z", 1_795_372_205),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ] {
        assert_eq!(moment(text).unix(), unix, "{text}");
    }
    for text in [
        "",
        "2026",
        "2026-02-29",
        "2026-13-01",
        "2026-1-1",
        "1969-12-31",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+01:00",
        "2026-01-01Z",
        "+026-01-01",
    ] {
        assert!(Moment::parse(text).is_err(), "{text}");
    }
}

#[test]
fn hours_go_over_midnight_and_days_over_the_weeks_end() {
    let hours = Hours::parse("22:00-06:00, 12:00-13:00").unwrap();
    for (time, inside) in [
        ("21:59", false),
        ("22:00", true),
        ("00:00", true),
        ("06:00", false),
        ("12:30", true),
    ] {
        assert_eq!(
            hours.contains(moment(&format!("2026-01-01T{time}:00Z"))),
            inside,
            "{time}"
        );
    }
    assert!(
        Hours::parse("00:00-24:00")
            .unwrap()
            .contains(moment("2026-01-01T23:59:59Z"))
    );
    let days = Days::parse("sat-MON, wednesday").unwrap();
    for (day, inside) in [
        ("21", true),
        ("22", true),
        ("23", true),
        ("24", false),
        ("25", true),
        ("27", false),
    ] {
        assert_eq!(
            days.contains(moment(&format!("2026-11-{day}"))),
            inside,
            "{day}"
        );
    }
    for text in ["", "25:00-26:00", "10:00", "10-12"] {
        assert!(Hours::parse(text).is_err(), "{text}");
    }
    for text in ["", "su", "Sat-", "someday"] {
        assert!(Days::parse(text).is_err(), "{text}");
    }
}
