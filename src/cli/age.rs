//! How long ago something was, in one short word.

use std::time::{SystemTime, UNIX_EPOCH};

/// The age of a moment given in milliseconds since the Unix epoch; `0s` if it lies ahead of this machine's clock.
pub(super) fn since(wall_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    in_words(now.as_secs().saturating_sub(wall_ms / 1000))
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let ages = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(in_words);
        assert_eq!(ages, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }
}
