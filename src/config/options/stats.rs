//! Figures: the stats server, metrics; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Figures: the stats server, metrics.
    pub struct Stats {}

    /// serves statistics as JSON on this address
    /// Every connection gets one document. A TCP address, the path of a UNIX socket, or `@name`.
    ["stats" "stats-server"] Text, Watching, Common, "0.2.0", Works
        => stats: Option<String> = None;

    /// serves the statistics as HTTP
    /// A browser gets a live page; `/metrics` is for Prometheus, `/live` and `/ready` for Kubernetes.
    ["stats-http"] Switch, Watching, Common, "0.2.0", Works
        => stats_http: bool = false;

    /// writes the statistics on one line
    ["stats-minified" "stats-min"] Switch, Watching, Rare, "0.2.0", Works
        => stats_minified: bool = false;

    /// leaves the threads of the workers out of the statistics
    ["stats-no-cores"] Switch, Watching, Rare, "0.2.0", Works
        => stats_no_cores: bool = false;

    /// leaves the metrics out of the statistics
    ["stats-no-metrics"] Switch, Watching, Rare, "0.2.0", Works
        => stats_no_metrics: bool = false;

    /// serves metrics to Prometheus over HTTP on this address
    /// `/metrics`, and `/live` and `/ready` for Kubernetes.
    ["metrics-socket"] Text, Watching, Common, "0.2.0", Works
        => metrics_socket: Option<String> = None;

    /// has uWSGI's metrics among the statistics
    ["enable-metrics"] Switch, Watching, Common, "0.2.0", Works
        => enable_metrics: bool = false;
}
