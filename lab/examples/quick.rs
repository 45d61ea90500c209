//! quick
#[global_allocator]
static MEMORY: ip_conntrack_link::sys::HugePages = ip_conntrack_link::sys::HugePages;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n = |i: usize, d: u32| a.get(i).map_or(d, |s| s.parse().unwrap());
    let family = if n(4, 4) == 6 {
        lab::bench::frames::Family::V6
    } else {
        lab::bench::frames::Family::V4
    };
    lab::bench::run::quick(n(1, 1_000_000), n(2, 3), n(3, 4_000_000) as usize, family);
}
