//! Guards against digests that depend on what else is hashed, on a key's length, or on the processor.

use super::*;

fn digest_each<'k>(
    level: Level,
    keys: impl IntoIterator<Item = (usize, &'k [u8])>,
    mut found: impl FnMut(usize, u128),
) {
    let mut digester = Digester::new(level);
    for (place, key) in keys {
        digester.add(place, key, &mut found);
    }
    digester.finish(found);
}

/// The digests of the keys at a level, in their order.
fn digests(level: Level, keys: &[Vec<u8>]) -> Vec<u128> {
    let mut digests = vec![None; keys.len()];
    digest_each(level, keys.iter().map(Vec::as_slice).enumerate(), |place, digest| {
        assert!(digests[place].replace(digest).is_none(), "place {place} twice at {level:?}");
    });
    digests.into_iter().map(|digest| digest.expect("each key has a digest")).collect()
}

/// Compares every level with the `md-5` crate.
fn check(keys: &[Vec<u8>]) {
    let expected: Vec<_> = keys.iter().map(|key| u128::from_be_bytes(Md5::digest(key).into())).collect();
    for level in Level::all() {
        for ((key, digest), expected) in keys.iter().zip(digests(level, keys)).zip(&expected) {
            assert_eq!(digest, *expected, "{} bytes at {level:?}, of {} keys", key.len(), keys.len());
        }
    }
}

fn random_key(random: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.u8(..)).collect()
}

#[test]
fn the_levels_tested_are_named() {
    let names: Vec<_> = Level::all().into_iter().map(Level::name).collect();
    println!("levels of this processor: {names:?}");
    assert_eq!(Level::all().last(), Some(&Level::best()));
}

#[test]
fn every_length_by_itself() {
    let mut random = fastrand::Rng::with_seed(1);
    for len in 0..=1100 {
        // More than one run of the widest lanes, and a rest; of the longer ones only some lanes, to save time.
        let count = if len <= 200 { MAX_LANES + 3 } else { 3 };
        let keys: Vec<_> = (0..count).map(|_| random_key(&mut random, len)).collect();
        check(&keys);
    }
}

#[test]
fn all_lengths_at_once() {
    let mut random = fastrand::Rng::with_seed(2);
    let mut keys: Vec<_> = (0..=1100).map(|len| random_key(&mut random, len)).collect();
    random.shuffle(&mut keys);
    check(&keys);
}

#[test]
fn any_number_of_keys_in_any_mix() {
    let mut random = fastrand::Rng::with_seed(3);
    check(&[]);
    for round in 0..600 {
        let longest = [1, 16, 55, 64, 120, 300, 1100][round % 7];
        let keys: Vec<_> = (0..random.usize(1..=100))
            .map(|_| {
                let len = random.usize(0..=longest);
                random_key(&mut random, len)
            })
            .collect();
        check(&keys);
    }
}

#[test]
fn keys_of_many_blocks() {
    let mut random = fastrand::Rng::with_seed(4);
    let keys: Vec<_> = [3_900, 3_959, 3_960, 3_961, 4_024, 4_096, 100_000, 3, 4_023]
        .into_iter()
        .flat_map(|len| [len, len])
        .map(|len| random_key(&mut random, len))
        .collect();
    check(&keys);
}

#[test]
fn places_need_not_be_in_order() {
    let keys: [&[u8]; 3] = [b"a", b"message digest", b""];
    for level in Level::all() {
        let mut found = Vec::new();
        digest_each(
            level,
            keys.into_iter().zip([7, 3, 11]).map(|(key, place)| (place, key)),
            |place, digest| {
                found.push((place, digest));
            },
        );
        found.sort_unstable();
        // From RFC 1321.
        let expected = [
            (3, 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
            (7, 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661),
            (11, 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e),
        ];
        assert_eq!(found, expected, "{level:?}");
    }
}
