//! loadgen: loads one WSGI server and prints what it saw as JSON.
//!
//! Started by `benches/run.py`, or by hand (`loadgen --help`). It never starts or measures a server; the
//! server's CPU time is read by whoever runs it.
//!
//! `options` (the command line) → `request` (bytes made once) → `driver` (epoll loop) → `answer` (is it the
//! expected one?) and `histogram` (latencies).

mod answer;
mod driver;
mod histogram;
mod options;
mod request;

use std::process::ExitCode;

use driver::Tally;
use options::{HELP, Plan};
use request::Requests;

fn main() -> ExitCode {
    let plan = match Plan::parse(std::env::args().skip(1)) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => return usage(&message),
    };
    let outcome = Requests::build(&plan.wish, plan.variants).and_then(|requests| {
        let cpu = cpu_seconds();
        let tally = driver::run(&plan, &requests)?;
        Ok((tally, cpu_seconds() - cpu))
    });
    match outcome {
        Err(message) => usage(&message),
        Ok((tally, cpu)) => {
            println!("{}", report(&tally, cpu));
            if tally.errors.is_empty() && tally.answered > 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("loadgen: {message}");
    ExitCode::from(2)
}

fn report(tally: &Tally, cpu: f64) -> String {
    let seconds = tally.elapsed.as_secs_f64();
    let rate = if seconds > 0.0 {
        tally.answered as f64 / seconds
    } else {
        0.0
    };
    let kinds: Vec<_> = tally
        .errors
        .iter()
        .map(|(kind, count)| format!("\"{kind}\": {count}"))
        .collect();
    let latencies = &tally.latencies;
    format!(
        "{{\"answered\": {}, \"errors\": {}, \"error_kinds\": {{{}}}, \"seconds\": {seconds:.6}, \"rate\": {rate:.1}, \
         \"p50_us\": {:.1}, \"p90_us\": {:.1}, \"p99_us\": {:.1}, \"max_us\": {:.1}, \"mean_us\": {:.1}, \
         \"reconnects\": {}, \"queue_full\": {}, \"starved\": {}, \"client_cpu_us\": {:.2}}}",
        tally.answered,
        tally.errors.values().sum::<u64>(),
        kinds.join(", "),
        latencies.quantile_us(0.50),
        latencies.quantile_us(0.90),
        latencies.quantile_us(0.99),
        latencies.max_us(),
        latencies.mean_us(),
        tally.reconnects,
        tally.queue_full,
        tally.starved,
        cpu * 1e6 / (tally.answered.max(1) as f64),
    )
}

/// CPU time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
