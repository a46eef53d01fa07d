"""From rounds to a table and to JSON. Pure: gets numbers, gives text and dictionaries."""

from statistics import median

COLUMNS = [
    ("server", "<"), ("CPU us/req [min]", ">"), ("user", ">"), ("sys", ">"), ("ratio", ">"), ("user ratio", ">"),
    ("req/s", ">"), ("p50 us", ">"), ("p99 us", ">"), ("errors", ">"), ("ctx/req", ">"), ("syscalls", ">"),
    ("PSS MiB", ">"), ("RSS MiB", ">"), ("client us", ">"),
]
ENOUGH_CPU = 1.0
NO_DIFFERENCE = 0.10


def summary(rounds, references):
    """One server in one scenario. `references`: name -> its rounds, to which the ratios are taken round by round."""
    def middle(key):
        return median(each[key] for each in rounds)

    def ratios(key):
        return {
            name: round(median(each[key] / other[key] for each, other in zip(rounds, others) if other[key]), 3)
            for name, others in references.items() if any(other[key] for other in others)
        }

    cpu = sum(each["cpu_seconds"] for each in rounds)
    return {
        "cpu_us": round(middle("cpu_us"), 2), "cpu_us_min": round(min(each["cpu_us"] for each in rounds), 2),
        "user_us": round(middle("user_us"), 2), "sys_us": round(middle("sys_us"), 2),
        "ratio": ratios("cpu_us"), "user_ratio": ratios("user_us"), "rate_ratio": ratios("rate"), "p99_ratio": ratios("p99_us"),
        "rate": round(middle("rate"), 1), "p50_us": middle("p50_us"), "p99_us": middle("p99_us"),
        "max_us": max(each["max_us"] for each in rounds), "client_cpu_us": middle("client_cpu_us"),
        "answered": sum(each["answered"] for each in rounds), "errors": sum(each["errors"] for each in rounds),
        "starved": max(each["starved"] for each in rounds), "switches": round(middle("switches"), 3),
        "cpu_seconds": round(cpu, 2), "enough_cpu": cpu >= ENOUGH_CPU - 1e-9,
        "others_share": round(middle("others_share"), 3),
    }


def table(result, baseline):
    """The table of one scenario as text, with notes under it."""
    rows = [[title for title, _ in COLUMNS]]
    rows += [_row(name, server, baseline) for name, server in result["servers"].items()]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    lines = [f"{result['scenario']}: {result['title']}, {result['connections']} connections"]
    for row in rows:
        cells = [f"{cell:{align}{width}}" for cell, (_, align), width in zip(row, COLUMNS, widths)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines + [f"  {note}" for note in notes(result, baseline)])


def notes(result, baseline):
    """What a reader of the numbers must know."""
    found = []
    for name, server in result["servers"].items():
        if not server["enough_cpu"]:
            found.append(f"! {name} burnt only {server['cpu_seconds']} s of CPU, in 10 ms ticks: longer rounds are needed")
        if server["starved"]:
            found.append(f"! {name} left {server['starved']} of {result['connections']} connections without an answer until the end of a round")
        if server["client_cpu_us"] > server["cpu_us"]:
            found.append(f"! the client used more CPU than {name} ({server['client_cpu_us']} us a request): its req/s and latency are the client's limit")
        for other, ratio in server["ratio"].items():
            if other not in (name, baseline):
                found.append(f"  {name} / {other}: {ratio:.2f}{_verdict(ratio)}")
    if len({tuple(server["libpython"]) for server in result["servers"].values()}) > 1:
        found.append("! the servers run different libpythons: " + "; ".join(f"{name} {', '.join(server['libpython']) or 'static'}" for name, server in result["servers"].items()))
    share = max(server["others_share"] for server in result["servers"].values())
    if share > 0.05:
        found.append(f"! other processes, kernel threads and the hypervisor took {share:.0%} of the machine: repeat when it is quiet")
    return found


def _row(name, server, baseline):
    ratio, user_ratio = server["ratio"].get(baseline), server["user_ratio"].get(baseline)
    return [
        name, f"{server['cpu_us']:.1f} [{server['cpu_us_min']:.1f}]", f"{server['user_us']:.1f}", f"{server['sys_us']:.1f}",
        "-" if ratio is None else "1.00" if name == baseline else f"{ratio:.2f}{_verdict(ratio)}",
        "-" if user_ratio is None else f"{user_ratio:.2f}",
        f"{server['rate']:.0f}", f"{server['p50_us']:.0f}", f"{server['p99_us']:.0f}", str(server["errors"]),
        f"{server['switches']:.2f}", _or_dash(server["syscalls"], ".2f"), _or_dash(server["pss_mib"], ".1f"),
        _or_dash(server["rss_mib"], ".1f"), f"{server['client_cpu_us']:.1f}",
    ]


def _verdict(ratio):
    return " ~" if abs(ratio - 1) < NO_DIFFERENCE else ""


def _or_dash(value, form):
    return "-" if value is None else format(value, form)
