//! Prints the table of thresholds for `docs/report.md`: `cargo run -p ip_conntrack_analysis --example thresholds`.

fn main() {
    print!("{}", ip_conntrack_analysis::limits::table());
}
