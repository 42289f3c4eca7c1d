//! [`export!`](crate::export): from an author's type to a component's exports.

/// Makes a plugin of a type: `export!(X: Gatekeeper + Filter);` with the capabilities that it
/// implements, in any order. Exactly these become the component's exports, and beside them what the
/// plugin says of itself: its crate's version, and the JSON schema of its [`Plugin::Config`](crate::Plugin::Config).
///
/// Once per crate. It declares exported symbols, so the crate may `deny(unsafe_code)` but not
/// `forbid` it.
///
/// ```
/// use portcullis_plugin::prelude::*;
///
/// struct Open;
///
/// impl Plugin for Open {
///     type Config = NoConfig;
///
///     fn new(_: NoConfig) -> Result<Self, String> {
///         Ok(Self)
///     }
/// }
///
/// impl Gatekeeper for Open {
///     fn knock(&mut self, _: &Knock) -> Admission {
///         Admission::Allow
///     }
/// }
///
/// export!(Open: Gatekeeper);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty: $first:ident $(+ $more:ident)*) => {
        $crate::__export!($plugin, $first $($more)*);
    };
}

/// [`export!`](crate::export) with the capabilities as a plain list.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:ty, $($capability:ident)+) => {
        const _: () = {
            $(
                // The mistake is shown here, and natively too.
                const _: fn() = || {
                    fn implements<P: $crate::$capability>() {}
                    implements::<$plugin>();
                };
            )*

            #[cfg(target_family = "wasm")]
            mod component {
                use super::*;

                impl $crate::__glue::Instance for $plugin {
                    fn slot() -> &'static ::std::thread::LocalKey<$crate::__glue::Slot<Self>> {
                        ::std::thread_local! {
                            static SLOT: $crate::__glue::Slot<$plugin> =
                                const { $crate::__glue::Slot::new(None) };
                        }
                        &SLOT
                    }

                    // Expanded here, so that it is the version of the author's crate.
                    const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
                }

                type Shim = $crate::__glue::Shim<$plugin>;

                #[allow(unsafe_code, reason = "a component's exports are symbols")]
                mod exports {
                    use super::Shim;
                    $crate::__export_capability!(Shim Plugin);
                    $crate::__export_capability!(Shim Description);
                    $( $crate::__export_capability!(Shim $capability); )*
                }
            }
        };
    };
}

/// One capability's exports.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_capability {
    ($shim:ident Plugin) => {
        $crate::bindings::base::__portcullis_export_base!($shim with_types_in $crate::bindings::base);
    };
    ($shim:ident Description) => {
        $crate::bindings::description::__portcullis_export_description!($shim with_types_in $crate::bindings::description);
    };
    ($shim:ident Gatekeeper) => {
        $crate::bindings::gatekeeper::__portcullis_export_gatekeeper!($shim with_types_in $crate::bindings::gatekeeper);
    };
    ($shim:ident Filter) => {
        $crate::bindings::filter::__portcullis_export_filter!($shim with_types_in $crate::bindings::filter);
    };
    ($shim:ident Observer) => {
        $crate::bindings::observer::__portcullis_export_observer!($shim with_types_in $crate::bindings::observer);
    };
}

/// What the macro needs; no part of the interface for authors.
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
pub mod glue {}

/// What the macro needs; no part of the interface for authors.
#[doc(hidden)]
#[cfg(target_family = "wasm")]
pub mod glue {
    use std::cell::RefCell;
    use std::marker::PhantomData;
    use std::panic::PanicHookInfo;
    use std::thread::LocalKey;

    use crate::bindings::base::portcullis::policy::types;
    use crate::bindings::{base, description, filter, gatekeeper, observer};
    use crate::log::Level;
    use crate::{Decision, Filter, Gatekeeper, Header, Knock, Observer, Peer, Plugin, Stanza};
    use crate::{config, log};

    /// Where the instance's one plugin lives; empty until `init`.
    pub type Slot<P> = RefCell<Option<P>>;

    /// A plugin type that [`export!`](crate::export) has given a place to live.
    pub trait Instance: Plugin {
        /// That place.
        fn slot() -> &'static LocalKey<Slot<Self>>;
        /// The version of the author's crate.
        const VERSION: &'static str;
    }

    /// Stands before the plugin and speaks the contract's language.
    pub struct Shim<P>(PhantomData<P>);

    impl<P: Instance> base::exports::portcullis::policy::lifecycle::Guest for Shim<P> {
        fn init(config: String) -> Result<types::Subscription, String> {
            std::panic::set_hook(Box::new(report_panic));
            let plugin = P::new(config::read(&config)?)?;
            let subscription = plugin.subscription().into_wire();
            P::slot().set(Some(plugin));
            Ok(subscription)
        }

        fn started() {
            with::<P, _>(Plugin::started);
        }
    }

    impl<P: Instance> description::exports::portcullis::policy::description::Guest for Shim<P> {
        fn version() -> String {
            P::VERSION.to_owned()
        }

        fn config_schema() -> Option<String> {
            Some(config::schema::<P::Config>())
        }
    }

    impl<P: Instance + Gatekeeper> gatekeeper::exports::portcullis::policy::gatekeeper::Guest
        for Shim<P>
    {
        fn knock(
            domain: String,
            direction: types::Direction,
            address: Option<String>,
        ) -> types::Admission {
            let knock = Knock {
                domain,
                direction,
                address,
            };
            with::<P, _>(|plugin| plugin.knock(&knock)).into_wire()
        }

        fn admit(peer: &types::Peer) -> types::Admission {
            with::<P, _>(|plugin| plugin.admit(&Peer::lent(peer))).into_wire()
        }
    }

    impl<P: Instance + Filter> filter::exports::portcullis::policy::filter::Guest for Shim<P> {
        fn decide(header: types::Header, stanza: &types::Stanza) -> types::Verdict {
            let header = Header::from_wire(header);
            let mut stanza = Stanza::new(stanza);
            with::<P, _>(|plugin| plugin.decide(&header, &mut stanza)).into_wire()
        }
    }

    impl<P: Instance + Observer> observer::exports::portcullis::policy::observer::Guest for Shim<P> {
        fn observe(batch: &types::Decisions) -> Result<(), String> {
            with::<P, _>(|plugin| plugin.observe(&Decision::all(batch)))
        }
    }

    fn with<P: Instance, R>(call: impl FnOnce(&mut P) -> R) -> R {
        P::slot().with_borrow_mut(|slot| {
            #[allow(
                clippy::expect_used,
                reason = "the host calls init first, and drops an instance whose init failed"
            )]
            call(slot.as_mut().expect("init comes first"))
        })
    }

    /// The trap that follows tells the host nothing of where and why.
    fn report_panic(panic: &PanicHookInfo) {
        let message = panic.payload_as_str().unwrap_or("panic");
        match panic.location() {
            Some(place) => log::write(
                Level::Error,
                &format!(
                    "panic at {}:{}:{}: {message}",
                    place.file(),
                    place.line(),
                    place.column()
                ),
            ),
            None => log::write(Level::Error, &format!("panic: {message}")),
        }
    }
}
