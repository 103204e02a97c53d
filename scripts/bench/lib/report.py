"""The figures of one run as tables that a person can read."""

import statistics

from lib.metrics import METRICS

OURS, BASE = "applianced", "nginx"

HEADING = """# Benchmark

Written by `make bench`. {date}, {minutes} minutes{quick}. {cpu}, {cores} cores{instructions}; Linux {kernel};
{openssl}; stolen by the host: {steal} %.

{contenders}

Everybody had the same certificate, one core of his own and one worker; the load came from the other
core over loopback, and they took turns in each repetition. Rows of *two cores* had two, and two workers;
on a machine with two cores the load shared them. A cell is the median (lowest to highest) of
its repetitions. The ratio is {ours}'s figure to {base}'s of the same repetition: median (quartiles).
*Better* and *worse* stand where both quartiles are on one side of 1; where they aren't, the difference
is noise. *First* is who has the best median in the row, and
{ours}'s ratio to the best of all the others. Only ratios of one run tell something; `--peers nginx,nginx-again` shows how noisy a machine is.
A dash stands where a contender does not offer the thing (OpenSSL before 3.5 and Go before 1.24 have no
X25519MLKEM768), or where the machine's limit of open files is too low for so many connections: {ours} keeps half of the limit for its services.
"""


def number(value):
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


class Figures:
    def __init__(self, run):
        self.peers = list(run["peers"])
        both = {OURS, BASE} <= set(self.peers)
        self.ours, self.base = (OURS, BASE) if both else (self.peers[-1], self.peers[0])
        self.rows = {}
        for record in run["records"]:
            key = (record["metric"], record["peer"])
            self.rows.setdefault(key, []).append(record)

    def values(self, key, peer):
        return [record["value"] for record in self.rows.get((key, peer), [])]

    def median(self, key, peer):
        values = self.values(key, peer)
        return statistics.median(values) if values else None

    def cell(self, key, peer):
        records = self.rows.get((key, peer))
        if not records:
            return "–"
        values = [record["value"] for record in records]
        text = number(statistics.median(values))
        low, high = number(min(values)), number(max(values))
        if low != high:
            text += f" ({low} to {high})"
        errors = sum(record.get("errors", 0) for record in records)
        return text + (f", {errors:,} errors" if errors else "")

    def ratio(self, metric):
        """Ours to nginx's, or the last one's to the first one's if one of those isn't there; in words."""
        bases = {r["rep"]: r["value"] for r in self.rows.get((metric.key, self.base), [])}
        pairs = [
            record["value"] / bases[record["rep"]]
            for record in self.rows.get((metric.key, self.ours), [])
            if bases.get(record["rep"])
        ]
        if not pairs or self.ours == self.base:
            return ""
        text = number(statistics.median(pairs))
        if metric.key == "size":
            low, high = pairs[0], pairs[0]
        elif len(pairs) < 3:
            return text
        else:
            low, _, high = statistics.quantiles(pairs, n=4, method="inclusive")
            text += f" ({number(low)} to {number(high)})"
        if metric.more_is_better is None:
            return text
        if low <= 1 <= high:
            return text + ", same"
        return text + (", better" if (low > 1) == metric.more_is_better else ", **worse**")


    def first(self, metric):
        """Who has the best median, and ours to the best of the others'."""
        medians = {peer: self.median(metric.key, peer) for peer in self.peers}
        medians = {peer: value for peer, value in medians.items() if value is not None}
        if metric.more_is_better is None or len(medians) < 2:
            return ""
        best = max if metric.more_is_better else min
        names = [peer for peer, value in medians.items() if value == best(medians.values())]
        text = ", ".join(names) if len(names) < len(medians) else "all"
        others = [value for peer, value in medians.items() if peer != self.ours]
        if self.ours in medians and best(others):
            text += f" ({number(medians[self.ours] / best(others))})"
        return text


def table(figures, metrics):
    known = [m for m in metrics if any(figures.values(m.key, peer) for peer in figures.peers)]
    lines = ["| | " + " | ".join(figures.peers) + " | ratio | first |"]
    lines.append("| --- |" + " --- |" * (len(figures.peers) + 2))
    for metric in known:
        name = metric.title + (f" [{metric.unit}]" if metric.unit else "")
        cells = [figures.cell(metric.key, peer) for peer in figures.peers]
        cells += [figures.ratio(metric), figures.first(metric)]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def markdown(run):
    figures = Figures(run)
    contenders = ["| | version | |", "| --- | --- | --- |"]
    contenders += [f"| {n} | {p['version']} | {p['note']} |" for n, p in run["peers"].items()]
    quick = f", each figure at most {run['most']} times" if run.get("most") else ""
    if run["quick"]:
        quick = ", --quick: one short repetition, which proves nothing"
    heading = {**run, **run["machine"], "quick": quick, "contenders": "\n".join(contenders)}
    # Older results lack them.
    known = run["machine"].get("instructions")
    heading |= {"instructions": f", {known}" if known else ""}
    heading |= {"ours": figures.ours, "base": figures.base}
    parts = [
        HEADING.format(**heading),
        "## In short\n",
        table(figures, [m for m in METRICS if m.main]),
        "\n## The rest\n",
        table(figures, [m for m in METRICS if not m.main]),
    ]
    if run.get("section_minutes"):
        spent = ", ".join(f"{name} {n}" for name, n in run["section_minutes"].items())
        parts.append(f"\nMinutes of each section: {spent}.")
    if run["problems"]:
        parts.append("\n## Problems during the run\n")
        parts += ["- " + problem.replace("\n", " ") for problem in run["problems"]]
    return "\n".join(parts) + "\n"
