//! Components that the tests build, and chains of them.

use std::path::{Path, PathBuf};

use portcullis_policy::build;

/// The default plugins in their order, as TOML: who is denied, as the items of a list, and a line of the
/// presence filter's configuration.
pub fn default_chain(denied: &str, presence: &str) -> String {
    format!(
        "
[[plugin]]
name = 'allowlist'
component = 'partner_allowlist.wasm'
[plugin.config]
deny = [{denied}]
[[plugin]]
name = 'presence'
component = 'presence_filter.wasm'
[plugin.config]
{presence}
[[plugin]]
name = 'audit'
component = 'audit_log.wasm'
"
    )
}

/// Builds the default plugins and returns the directory that they are in.
pub fn default_plugins() -> PathBuf {
    built_plugins(&["partner-allowlist", "presence-filter", "audit-log"])
}

/// Builds these plugins of the workspace and returns the directory that they are in.
pub fn built_plugins(names: &[&str]) -> PathBuf {
    let mut directory = PathBuf::new();
    for name in names {
        let component = build_plugin(&format!("plugins/{name}"));
        directory = component.parent().unwrap().to_owned();
    }
    directory
}

/// Builds the plugin whose crate is at this place of the repository, and returns its component.
pub fn build_plugin(place: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(place);
    let built = build::component(&source, &build::Options::default(), &mut |_| {});
    let built = built.unwrap_or_else(|failure| panic!("{place}: {failure}"));
    built.path
}
