//! What `wit-bindgen` makes of `wit/policy.wit`: one world per capability, all sharing the types of
//! the base world. The linker merges the worlds that a plugin exports into one component, which
//! therefore exports exactly the capabilities that it has. Plugin authors never see this module; the
//! macro [`export!`](crate::export) does.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "generated code"
)]

/// Every plugin: the imports, and `lifecycle`.
pub mod base {
    wit_bindgen::generate!({
        world: "base",
        path: "../wit",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__portcullis_export_base",
        default_bindings_module: "portcullis_plugin::bindings::base",
        additional_derives: [PartialEq, Eq, Hash],
    });
}

/// A plugin that exports `gatekeeper`.
pub mod gatekeeper {
    wit_bindgen::generate!({
        world: "gatekeeper-plugin",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "__portcullis_export_gatekeeper",
        default_bindings_module: "portcullis_plugin::bindings::gatekeeper",
        with: { "portcullis:policy/types@0.1.0": crate::bindings::base::portcullis::policy::types },
    });
}

/// A plugin that exports `filter`.
pub mod filter {
    wit_bindgen::generate!({
        world: "filter-plugin",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "__portcullis_export_filter",
        default_bindings_module: "portcullis_plugin::bindings::filter",
        with: { "portcullis:policy/types@0.1.0": crate::bindings::base::portcullis::policy::types },
    });
}

/// A plugin that exports `observer`.
pub mod observer {
    wit_bindgen::generate!({
        world: "observer-plugin",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "__portcullis_export_observer",
        default_bindings_module: "portcullis_plugin::bindings::observer",
        with: { "portcullis:policy/types@0.1.0": crate::bindings::base::portcullis::policy::types },
    });
}

/// What every plugin of this SDK says of itself.
pub mod description {
    wit_bindgen::generate!({
        world: "description-plugin",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "__portcullis_export_description",
        default_bindings_module: "portcullis_plugin::bindings::description",
    });
}
