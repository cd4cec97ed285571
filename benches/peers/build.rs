//! Links the OpenMP that LIBMF is built with, and refuses a LIBMF without it.

fn main() {
    println!("cargo::rerun-if-env-changed=CXXFLAGS");
    let flags = std::env::var("CXXFLAGS").unwrap_or_default();
    if !flags.contains("-fopenmp") || !flags.contains("-DUSEOMP") || !flags.contains("-march=native") {
        println!(
            "cargo::error=LIBMF would be slow: build in this folder, whose .cargo/config.toml has its flags"
        );
    }
    println!("cargo::rustc-link-arg=-lgomp");
}
