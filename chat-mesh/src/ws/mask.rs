//! Masking (RFC 6455 §5.3): byte i of a payload XOR byte i mod 4 of its key.

/// A key, turned so that its first byte is the next to be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask(pub [u8; 4]);

impl Mask {
    /// Masks or unmasks the next bytes of the payload. Eight bytes a step, which compilers make into vectors.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let wide = [a, b, c, d, a, b, c, d];
        let mut words = bytes.chunks_exact_mut(8);
        for word in &mut words {
            for (byte, key) in word.iter_mut().zip(wide) {
                *byte ^= key;
            }
        }
        let rest = words.into_remainder();
        for (byte, key) in rest.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
        let used = rest.len() % 4;
        self.0.rotate_left(used);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_masked_like_the_whole(key: [u8; 4], bytes: Vec<u8>, cuts in prop::collection::vec(0_usize..40, 0..9)) {
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            let (mut masked, mut mask) = (bytes, Mask(key));
            let mut rest = masked.as_mut_slice();
            for cut in cuts {
                let (piece, after) = rest.split_at_mut(cut.min(rest.len()));
                mask.apply(piece);
                rest = after;
            }
            mask.apply(rest);
            prop_assert_eq!(masked, expected);
        }
    }
}
