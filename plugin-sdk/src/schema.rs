//! What a configuration's schema says of the types that are written as one string.
//!
//! Only that, and how it is written: `init` has the last word about each.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::clock::{Days, Hours, Moment};
use crate::{Address, AddressPattern, DomainPattern, Glob, Network, PartnerType, Rate, Size, Span};

macro_rules! written {
    ($($name:ident: $how:literal,)+) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $how })
            }
        }
    )+};
}

written! {
    Address: "`example.org`, `someone@example.org` or `someone@example.org/resource`",
    AddressPattern: "`example.org`, `*.example.org`, `someone@example.org`, `info*@example.org`",
    Days: "days of the week: `Sat-Sun, Wednesday`",
    DomainPattern: "`example.org`, `*.example.org` (every domain below it) or `*`",
    Glob: "a text in which `*` stands for any characters and `?` for one",
    Hours: "hours of the day: `08:00-18:00`",
    Moment: "a time in UTC: `2026-11-22` or `2026-11-22T18:30:00Z`",
    Network: "an address or a network: `192.0.2.0/24`, `2001:db8::/32`",
    Rate: "so many in a time: `30/1m`",
    Size: "a size: `64KiB`, `1MiB`",
    Span: "a time: `90s`, `5m`, `12h`, `7d`",
}

impl JsonSchema for PartnerType {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("PartnerType")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all = [
            Self::Federated,
            Self::PublicVerified,
            Self::PublicUnverified,
        ];
        json_schema!({ "type": "string", "enum": all.map(Self::as_str) })
    }
}
