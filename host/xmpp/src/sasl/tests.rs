use super::*;

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn auth_with(text: &str) -> Element {
    Element::new(ns::SASL, "auth")
        .with_attribute("mechanism", EXTERNAL)
        .with_text(text)
}

fn step(element: &Element) -> Step {
    Acceptor::new(domain("alpha.test")).step(element)
}

fn base64(text: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn sasl_03_the_empty_response_in_all_its_forms() {
    assert_eq!(step(&auth_with("=")), Step::Accept);

    let mut acceptor = Acceptor::new(domain("alpha.test"));
    assert_eq!(acceptor.step(&auth_with("")), Step::Challenge);
    assert_eq!(
        acceptor.step(&Element::new(ns::SASL, "response")),
        Step::Accept
    );

    let mut acceptor = Acceptor::new(domain("alpha.test"));
    assert_eq!(acceptor.step(&auth_with("")), Step::Challenge);
    assert_eq!(
        acceptor.step(&Element::new(ns::SASL, "response").with_text("=")),
        Step::Accept
    );

    let mut acceptor = Acceptor::new(domain("alpha.test"));
    assert_eq!(acceptor.step(&auth_with("")), Step::Challenge);
    let response = Element::new(ns::SASL, "response").with_text(&base64(b"alpha.test"));
    assert_eq!(acceptor.step(&response), Step::Accept);
}

#[test]
fn sasl_04_the_identity_is_a_domain_and_the_proven_one() {
    for same in ["alpha.test", "ALPHA.test", "alpha.test."] {
        assert_eq!(
            step(&auth_with(&base64(same.as_bytes()))),
            Step::Accept,
            "{same}"
        );
    }
    for other in [
        "beta.test",
        "sub.alpha.test",
        "test",
        "juliet@alpha.test",
        "alpha.test/x",
        "alpha.test\0",
        " alpha.test",
    ] {
        let failed = Step::Fail(Condition::InvalidAuthzid);
        assert_eq!(
            step(&auth_with(&base64(other.as_bytes()))),
            failed,
            "{other:?}"
        );
    }
}

#[test]
fn sasl_05_identities_are_compared_as_normalised_domains() {
    let mut acceptor = Acceptor::new(domain("bücher.test"));
    for spelling in ["bücher.test", "BÜCHER.test", "xn--bcher-kva.test"] {
        assert_eq!(
            acceptor.step(&auth_with(&base64(spelling.as_bytes()))),
            Step::Accept,
            "{spelling}"
        );
    }
}

#[test]
fn sasl_06_base64_is_strict() {
    let good = "YWxwaGEudGVzdA==";
    assert_eq!(step(&auth_with(good)), Step::Accept);
    for bad in [
        "YWxwaGEudGVzdA",
        "YWxwaGEudGVzdA=",
        "YWxwaGEudGVzdB==",
        " YWxwaGEudGVzdA==",
        "YWxw\naGEudGVzdA==",
        "==",
        "*",
        "YWxwaGEudGVzdA==YQ==",
        "YWxwaGEudGVzdA_-",
    ] {
        assert_eq!(
            step(&auth_with(bad)),
            Step::Fail(Condition::IncorrectEncoding),
            "{bad:?}"
        );
    }
    assert_eq!(
        step(&auth_with(&base64(b"\xff\xfe"))),
        Step::Fail(Condition::MalformedRequest)
    );
}

#[test]
fn sasl_06_requests_out_of_order() {
    let other = Element::new(ns::SASL, "auth")
        .with_attribute("mechanism", "PLAIN")
        .with_text("=");
    assert_eq!(step(&other), Step::Fail(Condition::InvalidMechanism));
    let lower = Element::new(ns::SASL, "auth")
        .with_attribute("mechanism", "external")
        .with_text("=");
    assert_eq!(step(&lower), Step::Fail(Condition::InvalidMechanism));
    assert_eq!(
        step(&Element::new(ns::SASL, "auth")),
        Step::Fail(Condition::MalformedRequest)
    );
    assert_eq!(
        step(&Element::new(ns::SASL, "response")),
        Step::Fail(Condition::MalformedRequest)
    );
    assert_eq!(
        step(&Element::new(ns::SASL, "success")),
        Step::Fail(Condition::MalformedRequest)
    );
    assert_eq!(
        step(&auth_with("").with_child(Element::new("urn:x", "x"))),
        Step::Fail(Condition::MalformedRequest)
    );

    let mut acceptor = Acceptor::new(domain("alpha.test"));
    assert_eq!(acceptor.step(&auth_with("")), Step::Challenge);
    assert_eq!(
        acceptor.step(&Element::new(ns::SASL, "abort")),
        Step::Fail(Condition::Aborted)
    );
    let late = Element::new(ns::SASL, "response");
    assert_eq!(
        acceptor.step(&late),
        Step::Fail(Condition::MalformedRequest),
        "the abort ended the exchange"
    );

    let mut acceptor = Acceptor::new(domain("alpha.test"));
    assert_eq!(acceptor.step(&auth_with("")), Step::Challenge);
    assert_eq!(
        acceptor.step(&auth_with("=")),
        Step::Accept,
        "a second request begins anew"
    );
}

#[test]
fn our_request_is_one_that_we_accept() {
    let request = auth(&domain("alpha.test"));
    assert_eq!(request.text(), "YWxwaGEudGVzdA==");
    assert_eq!(step(&request), Step::Accept);
}

#[test]
fn answers_are_read() {
    assert_eq!(
        outcome(&Element::new(ns::SASL, "success")),
        Some(Outcome::Success)
    );
    for condition in Condition::ALL {
        let failure = Failure {
            condition,
            text: Some("why".into()),
        };
        assert_eq!(
            outcome(&failure.to_element()),
            Some(Outcome::Failure(failure))
        );
    }
    let unknown = Element::new(ns::SASL, "failure").with_child(Element::new(ns::SASL, "bad-day"));
    assert_eq!(
        outcome(&unknown),
        Some(Outcome::Failure(Failure::new(Condition::NotAuthorized)))
    );
    assert_eq!(outcome(&Element::new(ns::SASL, "challenge")), None);
    assert_eq!(outcome(&Element::new(ns::TLS, "success")), None);
}
