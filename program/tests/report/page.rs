//! The page: complete in itself, safe against what a listing or a file's name may say, and drawn by a real
//! browser at the widths of a phone and of a desk.

use std::path::Path;
use std::process::Command;

use super::listings::flood;
use super::run::run_in;

fn page(dir: &Path, listing: &str) -> String {
    std::fs::write(dir.join("table"), listing).unwrap();
    run_in(dir, "report table --max 4096 --html page.html", b"").exits(0);
    std::fs::read_to_string(dir.join("page.html")).unwrap()
}

#[test]
fn a_page_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let page = page(dir.path(), &flood(2_000, 100));
    for outside in ["<script", "http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for tag in ["section", "svg", "table", "div", "article", "g", "p"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(
        page.contains("spoofed_syn_flood") && page.contains("conntrack -D -p tcp --state SYN_RECV")
    );
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
}

#[test]
fn what_a_file_is_called_is_text() {
    let dir = tempfile::tempdir().unwrap();
    let name = "<b>&\"x.txt";
    std::fs::write(dir.path().join(name), flood(60, 0)).unwrap();
    run_in(dir.path(), &format!("report {name} --html page.html"), b"").exits(0);
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("&lt;b&gt;&amp;&quot;x.txt") && !page.contains("<b>"));
}

#[test]
fn a_page_that_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("table"), flood(60, 0)).unwrap();
    run_in(dir.path(), "report table --html no/such/page.html", b"")
        .exits(1)
        .mentions(&["no/such/page.html"]);
}

/// Width and height of a PNG.
fn size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_browser_draws_it() {
    let dir = tempfile::tempdir().unwrap();
    page(dir.path(), &flood(2_000, 100));
    for width in [390, 1280] {
        let drawn = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .arg(format!("--window-size={width},1800"))
            .args(["--screenshot=page.png", "page.html"])
            .current_dir(dir.path())
            .output();
        match drawn {
            Ok(drawn) if drawn.status.success() => {}
            _ if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some() => {
                panic!("chromium is needed: {drawn:?}")
            }
            _ => return eprintln!("passed over: no chromium"),
        }
        let png = std::fs::read(dir.path().join("page.png")).unwrap();
        assert_eq!(size(&png), (width, 1800));
        // An empty page takes a few kilobytes.
        assert!(png.len() > 40_000, "{}", png.len());
    }
}
