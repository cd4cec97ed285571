#![no_main]

libfuzzer_sys::fuzz_target!(init: deltav_fuzz::quiet(), |data: &[u8]| deltav_fuzz::bounded(deltav_fuzz::cache, data));
