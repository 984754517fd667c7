//! When an event that was not taken is tried again. Pure: chance and age are inputs.

use std::time::Duration;

use service::config::Webhooks;

/// How often and how long it is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    attempts_max: u32,
    age_max: Duration,
    delay: Duration,
    delay_max: Duration,
    asked_max: Duration,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another try after this.
    After(Duration),
    /// None: the event is dead.
    Dead,
}

impl Patience {
    pub(crate) fn of(config: &Webhooks) -> Self {
        Self {
            attempts_max: config.attempts_max,
            age_max: Duration::from_secs(config.age_s_max),
            delay: Duration::from_millis(config.retry_delay_ms),
            delay_max: Duration::from_millis(config.retry_delay_ms_max),
            asked_max: Duration::from_secs(config.retry_after_s_max),
        }
    }

    /// After the failure number `attempts`, from 1, `age` after the first try. The receiver may have asked for a wait. `chance` spreads those
    /// that failed together, so that they do not come back together.
    pub(crate) fn after(
        &self,
        attempts: u32,
        age: Duration,
        asked: Option<Duration>,
        chance: u32,
    ) -> Next {
        if attempts >= self.attempts_max || age >= self.age_max {
            return Next::Dead;
        }
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let full = self.delay.saturating_mul(doubled).min(self.delay_max);
        let cut = full.mul_f64(0.5 * f64::from(chance) / f64::from(u32::MAX));
        let asked = asked.unwrap_or_default().min(self.asked_max);
        Next::After((full - cut).max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        attempts_max: 20,
        age_max: Duration::from_secs(1000),
        delay: Duration::from_secs(5),
        delay_max: Duration::from_secs(60),
        asked_max: Duration::from_secs(600),
    };

    fn after(attempts: u32, asked: Option<u64>, chance: u32) -> Next {
        PATIENCE.after(
            attempts,
            Duration::ZERO,
            asked.map(Duration::from_secs),
            chance,
        )
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        for (attempts, wait_s) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (19, 60)] {
            let wait = Duration::from_secs(wait_s);
            assert_eq!(after(attempts, None, 0), Next::After(wait));
            assert_eq!(after(attempts, None, u32::MAX), Next::After(wait / 2));
        }
    }

    #[test]
    fn a_receiver_may_ask_for_more_but_not_for_less_or_for_ever() {
        for (asked_s, wait_s) in [(1, 5), (7, 7), (100_000, 600)] {
            let wait = Next::After(Duration::from_secs(wait_s));
            assert_eq!(after(1, Some(asked_s), 0), wait);
        }
    }

    #[test]
    fn patience_ends_with_tries_or_with_time() {
        assert_eq!(after(20, Some(5), 0), Next::Dead);
        let late = PATIENCE.after(1, Duration::from_secs(1000), None, 0);
        assert_eq!(late, Next::Dead);
    }
}
