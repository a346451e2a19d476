#![no_main]

#[path = "../harness/mesh.rs"]
mod mesh;

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh::mesh(input));
