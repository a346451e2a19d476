//! Chooses the page that the binary embeds: `web/build` where it was built, else a page that says how to build it, so
//! that a plain `cargo build` needs no Node.

use std::{env, fs, path::Path};

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Freshet</title>
<p>This binary was built without its page. Streams are served all the same, at <code>/live/CHANNEL/index.m3u8</code>.
<p>To have the page: <code>make run</code>, or <code>(cd web &amp;&amp; npm ci &amp;&amp; npm run build)</code> and build the binary
again.
</html>
";

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let web = Path::new(&root).parent().expect("the crate is in the workspace").join("web");
    let built = web.join("build");
    let site = if built.join("index.html").exists() {
        println!("cargo::rerun-if-changed={}", built.display());
        built
    } else {
        // The directory as a whole, for its page may be built later.
        println!("cargo::rerun-if-changed={}", web.display());
        let site = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("site");
        fs::create_dir_all(&site).expect("cargo's directory can be written");
        fs::write(site.join("index.html"), PLACEHOLDER).expect("cargo's directory can be written");
        site
    };
    println!("cargo::rustc-env=FRESHET_SITE={}", site.display());
}
