#!/usr/bin/env python3
"""Make tables of what was measured.

usage: table.py RAW [DATA]

RAW has a line for each measurement, its fields separated by tabs: workload,
description, unit, target, round, value, MiB the workload read (or wrote and
synced), MiB the disk under it read (or wrote). "-": not known. Targets and
workloads stay in their order. DATA gets the ratios, for gnuplot.
"""
import collections
import statistics
import sys

BARE = "bare"
Row = collections.namedtuple(
    "Row", "workload text unit target round value moved disk")


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def number(text):
    return None if text == "-" else float(text)


class Results:
    def __init__(self, path):
        self.rows = []
        for line in open(path):
            field = line.rstrip("\n").split("\t")
            self.rows.append(Row(*field[:5], *map(number, field[5:])))
        self.targets = list(dict.fromkeys(r.target for r in self.rows))
        self.workloads = list(dict.fromkeys(r.workload for r in self.rows))
        self.rounds = len(set(r.round for r in self.rows))

    def some(self, workload, target, field):
        return [getattr(r, field) for r in self.rows
                if (r.workload, r.target) == (workload, target)]

    def row(self, workload):
        return next(r for r in self.rows if r.workload == workload)

    def ratio(self, workload, target):
        bare = median(self.some(workload, BARE, "value"))
        value = median(self.some(workload, target, "value"))
        return value / bare if bare and value else None

    def spread(self, workload):
        """The widest (largest - smallest) / median of the row, in percent."""
        widest = 0
        for target in self.targets:
            values = [v for v in self.some(workload, target, "value") if v]
            if values:
                widest = max(widest, (max(values) - min(values)) /
                             median(values))
        return 100 * widest


def show(value, form="%.2f"):
    return "-" if value is None else form % value


def print_table(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join([line[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(line[1:], widths[1:])
        ]).rstrip())


def print_ratios(res):
    others = [t for t in res.targets if t != BARE]
    lines = [["workload", "bare directory"] + others + ["spread"]]
    for w in res.workloads:
        row = res.row(w)
        bare = median(res.some(w, BARE, "value"))
        lines.append(["%s: %s" % (w, row.text),
                      show(bare, "%.0f") + " " + row.unit] +
                     [show(res.ratio(w, t)) for t in others] +
                     ["%.0f%%" % res.spread(w)])
    print("Rates, as medians of %d round%s. The bare directory's own, then what "
          "part of it the others had\n(1.00: as fast; more is better). spread: "
          "largest minus smallest of the rounds, over the median,\nof the "
          "target where that is most.\n" %
          (res.rounds, "" if res.rounds == 1 else "s"))
    print_table(lines)


def amount(res, workload, target):
    moved = median(res.some(workload, target, "moved"))
    disk = median(res.some(workload, target, "disk"))
    if disk is None:
        return "-"
    if not moved:
        return "%.0f" % disk
    return "%.0f (%.2f)" % (disk, disk / moved)


def print_disk(res):
    lines = [["MiB at the disk (per MiB)"] + res.targets]
    for w in res.workloads:
        lines.append([w] + [amount(res, w, t) for t in res.targets])
    print("\nWhat the disk below really read meanwhile, or, where something is "
          "written, wrote (all programs\ntogether), and in brackets for each "
          "MiB that the workload read, or wrote and synced.\n")
    print_table(lines)


def write_data(res, path):
    others = [t for t in res.targets if t != BARE]
    with open(path, "w") as data:
        print("workload", *others, file=data)
        for w in res.workloads:
            print(w, *[show(res.ratio(w, t)) for t in others], file=data)


def main():
    res = Results(sys.argv[1])
    print_ratios(res)
    print_disk(res)
    if len(sys.argv) > 2:
        write_data(res, sys.argv[2])


if __name__ == "__main__":
    main()
