//! The network between machines.

use std::str::FromStr;

use serde::Serialize;

/// What protocols leave of a network's rate.
const USABLE: f64 = 0.88;
/// From this rate on a network is taken for one of InfiniBand's kind.
const FAST_GIGABITS: f64 = 100.0;

/// The network between machines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Network {
    /// As it is sold.
    pub gigabits_per_sec: f64,
    /// Of one message.
    pub latency_secs: f64,
}

/// Not a network's rate.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a network is named by its gigabits a second, as 1g, 10g or 100g")]
pub struct NetworkError;

impl Network {
    /// What arrives.
    pub fn bytes_per_sec(self) -> f64 {
        USABLE * self.gigabits_per_sec * 1e9 / 8.0
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// `10g`, with the latency that is usual at that rate.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let number = text.trim().to_ascii_lowercase();
        let number = number.strip_suffix('g').ok_or(NetworkError)?;
        let rate: f64 = number.parse().map_err(|_| NetworkError)?;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(NetworkError);
        }
        let latency_secs = match rate {
            rate if rate >= FAST_GIGABITS => 3e-6,
            rate if rate >= 10.0 => 20e-6,
            _ => 30e-6,
        };
        Ok(Self {
            gigabits_per_sec: rate,
            latency_secs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_named_by_their_gigabits() {
        let ten: Network = "10g".parse().expect("a rate");
        assert!((ten.bytes_per_sec() - 1.1e9).abs() < 1.0);
        assert_eq!(
            "2.5G".parse::<Network>().map(|n| n.gigabits_per_sec),
            Ok(2.5)
        );
        assert!(
            "100g"
                .parse::<Network>()
                .is_ok_and(|n| n.latency_secs < 1e-5)
        );
        for wrong in ["", "g", "fast", "10", "-1g", "0g", "infg", "nang"] {
            assert_eq!(wrong.parse::<Network>(), Err(NetworkError), "{wrong}");
        }
    }
}
