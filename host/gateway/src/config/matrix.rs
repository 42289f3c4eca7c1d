//! What a partner record's `tls`, `sasl` and `dialback` mean together: the 18 rows of Lync Server's
//! "negotiation settings for XMPP federated partners".
//!
//! A row is invalid if no way is left on which the partner could prove its name.

use super::record::Need;

/// How a partner may prove its name under one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// By certificate: SASL EXTERNAL over TLS.
    pub sasl: bool,
    /// By dialback on an encrypted stream.
    pub tls_dialback: bool,
    /// By dialback on a stream without encryption.
    pub tcp_dialback: bool,
    /// What the operator may not expect of the row.
    pub remark: Option<&'static str>,
}

/// Why a row is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// SASL EXTERNAL proves names by certificate, and there is none without TLS.
    #[error(
        "SASL needs TLS, and without it and without dialback the partner has no way to prove its name"
    )]
    SaslWithoutTls,
    /// Nothing is left.
    #[error("with neither SASL nor dialback the partner has no way to prove its name")]
    NoProof,
}

impl Methods {
    /// The row's methods.
    ///
    /// # Errors
    /// [`Invalid`] for the six rows that leave no method.
    pub fn of(tls: Need, sasl: Need, dialback: bool) -> Result<Self, Invalid> {
        let sasl_possible = sasl != Need::NotSupported && tls != Need::NotSupported;
        if !sasl_possible && !dialback {
            return Err(match sasl {
                Need::NotSupported => Invalid::NoProof,
                Need::Required | Need::Optional => Invalid::SaslWithoutTls,
            });
        }
        // Where both TLS and SASL are required, dialback has no case left to operate in.
        let certificate_only = tls == Need::Required && sasl == Need::Required;
        let remark = match (tls, sasl) {
            (Need::Required, Need::Required) if dialback => {
                Some("dialback never operates where both TLS and SASL are required")
            }
            (Need::Optional | Need::NotSupported, Need::Required | Need::Optional) => {
                Some("SASL needs TLS: where the stream is not encrypted it is not used")
            }
            _ => None,
        };
        Ok(Self {
            sasl: sasl_possible,
            tls_dialback: dialback && tls != Need::NotSupported && !certificate_only,
            tcp_dialback: dialback && tls != Need::Required,
            remark,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Need::{NotSupported as N, Optional as O, Required as R};

    /// field: TLS, SASL, dialback, then the methods (S = SASL over TLS, t = TLS dialback,
    /// p = dialback over plain TCP; empty = invalid) and whether Lync warns.
    const ROWS: [(Need, Need, bool, &str, bool); 18] = [
        (R, R, true, "S", true),
        (R, R, false, "S", false),
        (O, R, true, "Stp", true),
        (O, R, false, "S", true),
        (N, R, true, "p", true),
        (N, R, false, "", false),
        (R, O, true, "St", false),
        (R, O, false, "S", false),
        (O, O, true, "Stp", true),
        (O, O, false, "S", true),
        (N, O, true, "p", true),
        (N, O, false, "", false),
        (R, N, true, "t", false),
        (R, N, false, "", false),
        (O, N, true, "tp", false),
        (O, N, false, "", false),
        (N, N, true, "p", false),
        (N, N, false, "", false),
    ];

    #[test]
    fn the_eighteen_rows_of_the_negotiation_matrix() {
        for (tls, sasl, dialback, expected, warns) in ROWS {
            let row = format!("TLS {tls:?}, SASL {sasl:?}, dialback {dialback}");
            match Methods::of(tls, sasl, dialback) {
                Err(_) => assert_eq!(expected, "", "{row}"),
                Ok(methods) => {
                    let mut ways = String::new();
                    for (way, open) in [
                        ("S", methods.sasl),
                        ("t", methods.tls_dialback),
                        ("p", methods.tcp_dialback),
                    ] {
                        ways.push_str(if open { way } else { "" });
                    }
                    assert_eq!(ways, expected, "{row}");
                    assert_eq!(methods.remark.is_some(), warns, "{row}");
                }
            }
        }
    }
}
