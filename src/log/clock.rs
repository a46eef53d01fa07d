//! Local time in the words of a log, each form written once a second.
//!
//! Kept by each core for its request lines, and by the server's own lines under `log-date`.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// As ctime(3) writes it: `Mon Nov 23 20:43:28 2026`.
pub const CTIME: &str = "%a %b %e %H:%M:%S %Y";
/// As Apache's common log has it: `23/Nov/2026:20:43:28 +0000`.
pub const COMMON: &str = "%d/%b/%Y:%H:%M:%S %z";

/// Local time in one form, written once a second.
#[derive(Debug)]
pub struct Clock {
    form: String,
    zone: TimeZone,
    second: i64,
    text: String,
}

impl Clock {
    /// A clock of this strftime(3) form, in the time zone of this process as it is now. Made after
    /// the app was loaded, it has the app's zone, as in uWSGI: Django sets `TZ` to its `TIME_ZONE`.
    pub fn new(form: &str) -> Self {
        jiff::tz::reset_system_time_zone_cache();
        Self::in_zone(form, TimeZone::system())
    }

    /// Whether times can be written in this form; else what is wrong with it.
    pub fn check(form: &str) -> Result<(), String> {
        strtime::format(form, &Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC))
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// `second`, since the epoch, in the clock's form; the form itself where it is none.
    pub fn date(&mut self, second: i64) -> &[u8] {
        if second != self.second {
            let time = Timestamp::from_second(second).unwrap_or_default();
            let written = strtime::format(&self.form, &time.to_zoned_datetime(self.zone.clone()));
            self.text = written.unwrap_or_else(|_| self.form.clone());
            self.second = second;
        }
        self.text.as_bytes()
    }

    pub(super) fn in_zone(form: &str, zone: TimeZone) -> Self {
        // No time has this second.
        Self { form: form.to_owned(), zone, second: i64::MIN, text: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_local_and_padded_as_ctime_does() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let mut clock = Clock::in_zone(CTIME, zone.clone());
        for (second, date) in [
            (0, "Thu Jan  1 01:00:00 1970"),
            (1_795_466_608, "Mon Nov 23 21:43:28 2026"),
            (1_795_466_608, "Mon Nov 23 21:43:28 2026"),
            (1_792_889_999, "Sun Oct 25 02:59:59 2026"),
            (1_792_890_000, "Sun Oct 25 02:00:00 2026"),
        ] {
            assert_eq!(String::from_utf8_lossy(clock.date(second)), date);
        }
        let mut common = Clock::in_zone(COMMON, zone);
        assert_eq!(String::from_utf8_lossy(common.date(1_795_466_608)), "23/Nov/2026:21:43:28 +0100");
        assert_eq!(Clock::new(CTIME).date(0).len(), 24);
    }

    #[test]
    fn a_form_that_is_none_is_told_and_harms_nobody() {
        assert!(Clock::check("%Y/%m, 100%%").is_ok());
        assert!(Clock::check("%!").is_err());
        assert_eq!(Clock::in_zone("%!", TimeZone::UTC).date(7), b"%!");
    }
}
