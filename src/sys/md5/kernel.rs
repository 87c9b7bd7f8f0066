//! MD5 over as many keys at once as two vectors have lanes, written once for all widths of vectors.

/// Defines `LANES` and `hash` for one instruction set, from what the module that calls it has: `Vector`, the number of
/// its 128-bit `GROUPS`, and the operations `load`, `store`, `splat`, `add`, `rotate_left`, `mix` and `transpose`.
///
/// This is a macro and not a generic function because operations on vectors are safe and inlined only in functions that
/// name the instruction set, and a trait's methods cannot.
macro_rules! kernel {
    ($features:literal) => {
        /// How many keys go through at once.
        pub(super) const LANES: usize = 2 * 4 * GROUPS;

        /// One word of every lane. A step of MD5 waits for the one before it; meanwhile the processor has time for a
        /// second vector, so that two take hardly longer than one.
        type Pair = [Vector; 2];

        /// Hashes up to [`LANES`] keys, all of the same number of blocks; their digests come first in `digests`. What
        /// `rows` has does not matter.
        #[target_feature(enable = $features)]
        pub(super) fn hash(slots: &[Slot<'_>], rows: &mut Rows, digests: &mut Digests) {
            let count = slots.first().map_or(0, |slot| block_count(slot.key.len()));
            let [a, b, c, d] = INITIAL_STATE;
            let mut state = [[splat(a); 2], [splat(b); 2], [splat(c); 2], [splat(d); 2]];
            for index in 0..count {
                // Lanes without a key hash what is there.
                for (slot, row) in slots.iter().zip(&mut rows.0) {
                    write_block(slot.key, index, count, row);
                }
                let (rows, _) = rows.0.as_chunks::<GROUPS>();
                let (halves, _) = rows.as_chunks::<4>();
                state = compress(state, &[words(&halves[0]), words(&halves[1])]);
            }
            for (half, digests) in digests.as_chunks_mut::<{ 4 * GROUPS }>().0.iter_mut().take(2).enumerate()
            {
                let [a, b, c, d] = state;
                // The number's lowest word is the digest's last.
                let rows =
                    [swap_bytes(d[half]), swap_bytes(c[half]), swap_bytes(b[half]), swap_bytes(a[half])];
                for (digests, row) in digests.as_chunks_mut().0.iter_mut().zip(transpose(rows)) {
                    *digests = store(row);
                }
            }
        }

        /// The sixteen words of the blocks of one vector's lanes. The first [`GROUPS`] blocks are the first of four
        /// rows that become columns, and so on: a digest that goes the other way comes out in its key's place.
        #[target_feature(enable = $features)]
        #[inline]
        fn words([a, b, c, d]: &[[Block; GROUPS]; 4]) -> [Vector; 16] {
            let [w0, w1, w2, w3] = transpose([load(a, 0), load(b, 0), load(c, 0), load(d, 0)]);
            let [w4, w5, w6, w7] = transpose([load(a, 1), load(b, 1), load(c, 1), load(d, 1)]);
            let [w8, w9, w10, w11] = transpose([load(a, 2), load(b, 2), load(c, 2), load(d, 2)]);
            let [w12, w13, w14, w15] = transpose([load(a, 3), load(b, 3), load(c, 3), load(d, 3)]);
            [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15]
        }

        /// Reverses the bytes of every word.
        #[target_feature(enable = $features)]
        #[inline]
        fn swap_bytes(words: Vector) -> Vector {
            // The first round's function takes from the second where the first has ones, else from the third.
            let even = splat(0x00ff_00ff);
            mix::<0>(splat(0), even, rotate_left::<8>(words), rotate_left::<24>(words))
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn compress(old: [Pair; 4], words: &[[Vector; 16]; 2]) -> [Pair; 4] {
            let mut state = old;
            state = round::<0, 7, 12, 17, 22>(state, words);
            state = round::<1, 5, 9, 14, 20>(state, words);
            state = round::<2, 4, 11, 16, 23>(state, words);
            state = round::<3, 6, 10, 15, 21>(state, words);
            for (new, old) in state.iter_mut().zip(old) {
                *new = [add(new[0], old[0]), add(new[1], old[1])];
            }
            state
        }

        /// Sixteen steps, which rotate by `A`, `B`, `C` and `D` in turn.
        #[target_feature(enable = $features)]
        #[inline]
        fn round<const ROUND: usize, const A: i32, const B: i32, const C: i32, const D: i32>(
            [mut a, mut b, mut c, mut d]: [Pair; 4],
            words: &[[Vector; 16]; 2],
        ) -> [Pair; 4] {
            // Were the loop unrolled, the compiler would do one vector's sixteen steps before the other's.
            let constants = black_box(CONSTANTS[ROUND].as_slice());
            for (quarter, [first, second, third, fourth]) in constants.as_chunks().0.iter().enumerate() {
                let at = 4 * quarter;
                a = step::<ROUND, A>([a, b, c, d], words, at, *first);
                d = step::<ROUND, B>([d, a, b, c], words, at + 1, *second);
                c = step::<ROUND, C>([c, d, a, b], words, at + 2, *third);
                b = step::<ROUND, D>([b, c, d, a], words, at + 3, *fourth);
            }
            [a, b, c, d]
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn step<const ROUND: usize, const LEFT: i32>(
            [a, b, c, d]: [Pair; 4],
            words: &[[Vector; 16]; 2],
            at: usize,
            constant: u32,
        ) -> Pair {
            let constant = splat(constant);
            let mut new = a;
            for half in 0..2 {
                // The last step's result is `b`: all that does not need it comes first.
                let sum = add(a[half], add(words[half][word_of_step(ROUND, at)], constant));
                let sum = mix::<ROUND>(sum, b[half], c[half], d[half]);
                new[half] = add(b[half], rotate_left::<LEFT>(sum));
            }
            new
        }
    };
}

pub(super) use kernel;
