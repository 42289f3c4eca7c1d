//! A component that wants more than a plugin may have. It is never run: what it imports is enough.

wit_bindgen::generate!({
    inline: "
        package policy-guest:reaching;
        world reaching {
            import wasi:keyvalue/store@0.2.0;
            export reach: func() -> string;
        }
        package wasi:keyvalue@0.2.0 {
            interface store { open: func(); }
        }
    ",
    world: "policy-guest:reaching/reaching",
    generate_all,
});

struct Reaching;

impl Guest for Reaching {
    fn reach() -> String {
        wasi::keyvalue::store::open();
        let socket = std::net::TcpStream::connect("192.0.2.1:25").map(drop);
        let files = std::fs::read_dir("/").map(drop);
        let environment = std::env::vars().count();
        format!("{socket:?} {files:?} {environment}")
    }
}

export!(Reaching);
