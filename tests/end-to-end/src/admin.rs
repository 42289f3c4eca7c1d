//! The admin socket, as the command line speaks on it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use portcullis::admin::protocol::{Request, Response};

/// One question, and its answer.
pub async fn ask(data_dir: &Path, request: Request) -> Response {
    let path = data_dir.join("admin.sock");
    let asked = tokio::task::spawn_blocking(move || {
        let mut socket = UnixStream::connect(path).unwrap();
        let mut line = serde_json::to_string(&request).unwrap();
        line.push('\n');
        socket.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    });
    asked.await.unwrap()
}
