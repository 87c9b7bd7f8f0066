//! What the processor can fold with.

use std::sync::atomic::{AtomicU8, Ordering};

/// What the processor has, each level what the one before has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Level {
    /// Nothing that helps.
    None = 1,
    /// What [`blocks`](super::blocks) needs.
    Blocks,
    /// What [`wide`](super::wide) needs.
    Wide,
}

impl Level {
    /// The processor's. Asked once.
    #[inline]
    pub(super) fn of_processor() -> Self {
        static KNOWN: AtomicU8 = AtomicU8::new(0);

        #[cold]
        fn ask() -> Level {
            let level = Level::detect();
            KNOWN.store(level as u8, Ordering::Relaxed);
            level
        }

        match KNOWN.load(Ordering::Relaxed) {
            known if known == Self::Wide as u8 => Self::Wide,
            known if known == Self::Blocks as u8 => Self::Blocks,
            known if known == Self::None as u8 => Self::None,
            _ => ask(),
        }
    }

    fn detect() -> Self {
        let blocks = is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        let wide = is_x86_feature_detected!("vpclmulqdq")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("avx512vl");
        match (blocks, wide) {
            (true, true) => Self::Wide,
            (true, false) => Self::Blocks,
            (false, _) => Self::None,
        }
    }
}
