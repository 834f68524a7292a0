//! The protocol's merge rule gives the same bytes on every platform: the engine's tests run on
//! WebAssembly, the protocol's own do not.

#[path = "../../protocol/tests/model/mod.rs"]
mod model;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::hash::Hasher;

use model::{Changes, Register};
use siphasher::sip::SipHasher24;
use tidesync_protocol::merge::Strategy;

/// Of everything below. It changes only with the rule, and then every server and client has to.
const DIGEST: u64 = 0xe8b2_221e_b6cc_348d;

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn client(&mut self) -> String {
        format!("client-{}", self.below(3))
    }

    fn register(&mut self) -> Register {
        let value = (self.below(4) > 0).then(|| self.below(1_000).to_le_bytes().to_vec());
        (self.below(20), self.client(), value)
    }

    fn changes(&mut self) -> Changes {
        let count = self.below(4);
        let fields = (0..count).map(|_| (format!("field-{}", self.below(6)), self.register()));
        let fields = fields.collect();
        let removed = (self.below(3) == 0).then(|| (self.below(20), self.client()));
        Changes { fields, removed }
    }
}

#[test]
fn merges_are_equal_byte_for_byte_on_every_platform() {
    let mut numbers = Numbers(2025);
    let mut digest = SipHasher24::new_with_key(&[0; 16]);
    for _ in 0..2_000 {
        let count = 1 + numbers.below(6);
        let joined = (0..count).fold(Changes::default(), |all, _| all.join(&numbers.changes()));
        for strategy in [Strategy::LastWriteWins, Strategy::Merge] {
            digest.write(format!("{:?}\n", joined.outcome(strategy)).as_bytes());
        }
    }
    assert_eq!(digest.finish(), DIGEST);
}
