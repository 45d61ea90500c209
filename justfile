# The commands of this project. `just --list` shows them; CONTRIBUTING.md says when to use which.

# List the recipes
default:
    @just --list

# Build everything, as it is released
build:
    cargo build --workspace --release

# All tests
test:
    cargo test --workspace

# Clippy, with every warning an error
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Format the sources
fmt:
    cargo fmt --all
    cargo fmt --manifest-path no-std/Cargo.toml
    cargo fmt --manifest-path fuzz/Cargo.toml

# The libraries' documentation, with every warning an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, advisories, sources (cargo install --locked cargo-deny)
deny:
    cargo deny --workspace check

# Link the engine without the standard library
no-std:
    cargo build --locked --manifest-path no-std/Cargo.toml --target-dir target/no-std

# Fuzz packet, track or capture for a time (cargo install --locked cargo-fuzz); the captures are seeds
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/corpus/{{TARGET}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run -s none {{TARGET}} fuzz/corpus/{{TARGET}} captures -- -max_total_time={{SECONDS}}

# Measure the tracker beside the memory's floor; with --versus-linux (as root) beside the kernel
bench *ARGUMENTS:
    cargo run --release -p lab -- bench {{ARGUMENTS}}

# List a million of the kernel's connections with ipct and with the installed conntrack (as root)
listing *ARGUMENTS:
    cargo build --release -p ipct && cargo run --release -p lab -- listing {{ARGUMENTS}}

# Report on a million of the kernel's connections and on their listing, beside the dump alone (as root)
report-cost *ARGUMENTS:
    cargo build --release -p ipct && cargo run --release -p lab -- report-cost {{ARGUMENTS}}

# Pass packets through Linux, with and without tracking, and through a bridge, a queue and a tap (as root)
live *ARGUMENTS:
    cargo build --release -p ipct && cargo run --release -p lab -- live {{ARGUMENTS}}

# Pour a hundred million damaged frames into each live source, beside traffic that is right (as root, half an hour)
mangled FRAMES="100000000":
    IP_CONNTRACK_FRAMES={{FRAMES}} cargo test -p ipct --test wire --test path -- of_any_kind --nocapture --test-threads 1

# List, save and take back a million connections of the daemon's (as root)
daemon-listing *ARGUMENTS:
    lab/daemon-listing {{ARGUMENTS}}

# Count the instructions of the main paths anew (valgrind)
instructions:
    lab/instructions >INSTRUCTIONS.md.new && mv INSTRUCTIONS.md.new INSTRUCTIONS.md

# All that has to pass before a change goes in
ci:
    .ci/run
