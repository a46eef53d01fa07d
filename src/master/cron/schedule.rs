//! When a cron is due: five fields against a minute of the local clock.
//!
//! Pure: the minute comes as an argument. Called by `cron`. uWSGI: -1 is any, -N every N; with day
//! and weekday both set, one of them is enough.

use jiff::civil::DateTime;

/// The fields, in uWSGI's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 1 to 31.
    pub day: i32,
    /// 1 to 12.
    pub month: i32,
    /// 0 to 6 from Sunday on; 7 is Sunday too.
    pub week: i32,
}

impl Default for Schedule {
    /// Every minute.
    fn default() -> Self {
        Self { minute: -1, hour: -1, day: -1, month: -1, week: -1 }
    }
}

impl Schedule {
    /// Whether it is due in the minute that `now` lies in.
    pub fn is_due(&self, now: DateTime) -> bool {
        let weekday = i32::from(now.weekday().to_sunday_zero_offset());
        let day = matches(self.day, i32::from(now.day()));
        let week = matches(if self.week == 7 { 0 } else { self.week }, weekday);
        let date = if self.day >= 0 && self.week >= 0 { day || week } else { day && week };
        date && matches(self.minute, i32::from(now.minute()))
            && matches(self.hour, i32::from(now.hour()))
            && matches(self.month, i32::from(now.month()))
    }

    /// What is wrong with a field: its name and what it takes.
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        let wrong = |value: i32, low: i32, high: i32| value >= 0 && !(low..=high).contains(&value);
        [
            (wrong(self.minute, 0, 59), "minute", "0 to 59"),
            (wrong(self.hour, 0, 23), "hour", "0 to 23"),
            (wrong(self.day, 1, 31), "day", "1 to 31"),
            (wrong(self.month, 1, 12), "month", "1 to 12"),
            (wrong(self.week, 0, 7), "week", "0 to 7"),
        ]
        .into_iter()
        .find_map(|(wrong, name, range)| wrong.then_some((name, range)))
    }
}

/// The minute that a moment lies in, as a wall clock shows it. A cron is not started twice in one: so
/// 02:30 of the night in which the clock is set back comes once, and one of every minute goes on.
pub fn minute(now: DateTime) -> DateTime {
    now.with().second(0).subsec_nanosecond(0).build().unwrap_or(now)
}

fn matches(field: i32, now: i32) -> bool {
    match field {
        -1 => true,
        step if step < -1 => now % step == 0,
        exact => now == exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use jiff::{Timestamp, ToSpan};

    fn schedule(fields: [i32; 5]) -> Schedule {
        let [minute, hour, day, month, week] = fields;
        Schedule { minute, hour, day, month, week }
    }

    /// How often it is due in a year.
    fn times(fields: [i32; 5]) -> usize {
        let begin = date(2026, 1, 1).at(0, 0, 0, 0);
        (0..365 * 1440).filter(|at| schedule(fields).is_due(begin.saturating_add((*at as i64).minutes()))).count()
    }

    #[test]
    fn fields_are_exact_any_or_steps() {
        assert_eq!(times([-1, -1, -1, -1, -1]), 365 * 1440);
        assert_eq!(times([-15, -1, -1, -1, -1]), 365 * 24 * 4);
        assert_eq!(times([59, -1, -1, -1, -1]), 365 * 24);
        assert_eq!(times([30, 2, -1, -1, -1]), 365);
        assert_eq!(times([0, -2, -1, -1, -1]), 365 * 12);
        assert_eq!(times([0, 0, 31, -1, -1]), 7);
        assert_eq!(times([0, 0, 1, -3, -1]), 4);
        assert_eq!(times([0, 0, 30, 2, -1]), 0);
    }

    #[test]
    fn weekdays_begin_with_sunday() {
        assert_eq!(times([0, 0, -1, -1, 0]), 52);
        assert_eq!(times([0, 0, -1, -1, 7]), 52);
        // The first of January 2026 is a Thursday, and so is the last of December.
        assert_eq!(times([0, 0, -1, -1, 4]), 53);
        assert!(schedule([0, 0, -1, -1, 4]).is_due(date(2026, 1, 1).at(0, 0, 0, 0)));
    }

    #[test]
    fn a_day_and_a_weekday_are_either_of_both() {
        // 12 firsts, of which two are Thursdays.
        assert_eq!(times([0, 0, 1, -1, 4]), 53 + 12 - 2);
        // A step is no such pair.
        assert_eq!(times([0, 0, -31, -1, 4]), 1);
    }

    #[test]
    fn what_never_comes_is_a_mistake() {
        assert_eq!(schedule([-1, -15, -1, -1, 7]).mistake(), None);
        assert_eq!(schedule([60, -1, -1, -1, -1]).mistake(), Some(("minute", "0 to 59")));
        assert_eq!(schedule([0, 24, -1, -1, -1]).mistake(), Some(("hour", "0 to 23")));
        assert_eq!(schedule([0, 0, 0, -1, -1]).mistake(), Some(("day", "1 to 31")));
        assert_eq!(schedule([0, 0, -1, 13, -1]).mistake(), Some(("month", "1 to 12")));
        assert_eq!(schedule([0, 0, -1, -1, 8]).mistake(), Some(("week", "0 to 7")));
    }

    /// Starts of a cron in a night of Berlin's, looked at every second, as the master does.
    fn starts(fields: [i32; 5], begin: Timestamp, hours: i64) -> usize {
        let zone = berlin();
        let (mut last, mut count) = (None, 0);
        for second in 0..hours * 3600 {
            let now = begin + second.seconds();
            let now = zone.to_offset(now).to_datetime(now);
            if schedule(fields).is_due(now) && last != Some(minute(now)) {
                last = Some(minute(now));
                count += 1;
            }
        }
        count
    }

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn the_hour_that_comes_twice_and_the_one_that_does_not_come() {
        let back: Timestamp = "2026-10-24T22:00:00Z".parse().unwrap();
        assert_eq!(starts([30, 2, -1, -1, -1], back, 6), 1);
        assert_eq!(starts([-1, -1, -1, -1, -1], back, 6), 360);
        let forward: Timestamp = "2026-03-28T23:00:00Z".parse().unwrap();
        assert_eq!(starts([30, 2, -1, -1, -1], forward, 6), 0);
        assert_eq!(starts([30, 3, -1, -1, -1], forward, 6), 1);
        assert_eq!(starts([-1, -1, -1, -1, -1], forward, 6), 360);
    }
}
