#!/usr/bin/env python3
"""Make the tables of a run of the bench.

usage: table.py DIRECTORY
       table.py --readme DIRECTORY README

In DIRECTORY are, fields separated by tabs:

  rows.tsv     a line for each row: name, what it is, unit, our side, and what it
               is compared with: words SIDE, SIDE=GOAL, SIDE,SIDE=GOAL (the best
               of them), or <GOAL (our value itself). Our side "modes": these
               are shown beside each other
  raw.tsv      a line for each measurement: row, side, round, value, MiB that the
               job read or wrote, MiB that the disk read or wrote ("-": not known)
  missing.tsv  row, side: not in this build
  about.txt    the machine; notes.txt: what else there is to say

results.txt and results.md are the tables, ratios.dat is for gnuplot. With
--readme, results.md is put into README between its BENCH marks.
"""
import collections
import os
import statistics
import sys

Row = collections.namedtuple("Row", "name text unit ours others")
Ratio = collections.namedtuple("Ratio", "value low high")
LESS_IS_MORE = ("s", "ns")
BEGIN, END = "<!-- BENCH: begin", "<!-- BENCH: end -->"


def lines_of(directory, name):
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return []
    return [line.split("\t") for line in open(path).read().splitlines()]


def number(text):
    return None if text == "-" else float(text)


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def show(value):
    """Three digits that mean something."""
    if value is None:
        return "-"
    if value >= 100:
        return "%.0f" % value
    return "%.3g" % value


class Results:
    def __init__(self, directory):
        self.rows = [Row(*f) for f in lines_of(directory, "rows.tsv")]
        self.missing = {tuple(f) for f in lines_of(directory, "missing.tsv")}
        self.raw = collections.defaultdict(dict)
        for row, side, nr, value, moved, disk in lines_of(directory, "raw.tsv"):
            self.raw[row, side][nr] = (number(value), number(moved), number(disk))

    def value(self, row, side, field=0):
        return median(v[field] for v in self.raw[row.name, side].values())

    def sides(self, row):
        return [side for name, side in self.raw if name == row.name and
                self.raw[name, side]]

    def best(self, row, sides):
        """The side of several that did best, or the first."""
        have = [s for s in sides if self.value(row, s)]
        pick = min if row.unit in LESS_IS_MORE else max
        return pick(have, key=lambda s: self.value(row, s)) if have else sides[0]

    def ratio(self, row, other):
        """The median of the rounds' ratios; None if there is none."""
        ours, theirs = self.raw[row.name, row.ours], self.raw[row.name, other]
        ratios = []
        for nr in ours:
            a, b = ours[nr][0], theirs.get(nr, (None,))[0]
            if a and b:
                ratios.append(b / a if row.unit in LESS_IS_MORE else a / b)
        if not ratios:
            return None
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def spread(self, row, side):
        """(largest - smallest) / median of the rounds, in percent."""
        values = [v[0] for v in self.raw[row.name, side].values() if v[0]]
        if not values:
            return None
        return 100 * (max(values) - min(values)) / statistics.median(values)

    def nr_rounds(self, row):
        return max([len(self.raw[row.name, s]) for s in self.sides(row)] or [0])


def comparisons(res):
    """(row, side compared with or None, goal or None), one for each line."""
    for row in res.rows:
        if row.ours == "modes":
            continue
        for word in row.others.split():
            if word.startswith("<"):
                yield row, None, float(word[1:])
                continue
            sides, _, goal = word.partition("=")
            yield (row, res.best(row, sides.split(",")),
                   float(goal) if goal else None)


def cells(res, row, other, goal):
    """what, ours, unit, against, theirs, ratio, range, goal, met, rounds, spread"""
    ours = res.value(row, row.ours)
    if other is None:
        return [row.text, show(ours), row.unit, "", "", "", "",
                "< " + show(goal), verdict(ours, ours is not None and ours < goal),
                str(res.nr_rounds(row)), percent(res.spread(row, row.ours))]
    theirs, ratio = res.value(row, other), res.ratio(row, other)
    return [row.text, show(ours) if ours is not None else "not in this build",
            row.unit if ours is not None else "", other, show(theirs),
            "%.2f" % ratio.value if ratio else "-",
            "%.2f - %.2f" % ratio[1:] if ratio else "",
            "%.2f" % goal if goal else "",
            verdict(goal and ratio, ratio and goal and ratio.value >= goal),
            str(res.nr_rounds(row)), percent(res.spread(row, row.ours)) + "/" +
            percent(res.spread(row, other))]


def verdict(known, met):
    return "" if not known else "met" if met else "missed"


def percent(value):
    return "-" if value is None else "%.0f%%" % value


def text_table(lines, left=1):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join([
        cell.ljust(width) if i < left else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths))]).rstrip()
        for line in lines]


def md_table(lines):
    rule = ["---"] * len(lines[0])
    return ["| " + " | ".join(line) + " |" for line in [lines[0], rule] + lines[1:]]


def main_lines(res):
    head = ["row", "ours", "", "against", "theirs", "ratio", "range", "goal", "",
            "rounds", "spread"]
    lines, before = [head], None
    for row, other, goal in comparisons(res):
        line = cells(res, row, other, goal)
        if row.name == before:  # as in the line above
            line[0] = line[1] = line[2] = ""
        lines.append(line)
        before = row.name
    return lines


def readme_lines(res):
    lines = [["what", "compared with", "ratio", "range", "goal"]]
    for row, other, goal in comparisons(res):
        line = cells(res, row, other, goal)
        if other is None:
            lines.append([row.text, "", "%s %s" % (line[1], row.unit), "", line[7]])
        elif line[5] != "-":
            lines.append([row.text, other, line[5], line[6], line[7]])
        else:
            lines.append([row.text, other, "not in this build"
                          if line[1] == "not in this build" else "-", "", line[7]])
    return lines


def mode_lines(res):
    """Side by side: a line a side, a column a job."""
    rows = [r for r in res.rows if r.ours == "modes"]
    if not rows:
        return []
    sides = rows[0].others.split()
    lines = [["mode"] + ["%s, %s" % (r.text, r.unit) for r in rows]]
    for side in sides:
        lines.append([side] + [
            "not in this build" if (r.name, side) in res.missing
            else show(res.value(r, side)) for r in rows])
    return lines


def disk_lines(res):
    """What a side moved, and what the disk did meanwhile, for each row."""
    lines = [["row", "side", "MiB moved", "MiB at the disk", "per MiB"]]
    for row in res.rows:
        for side in res.sides(row):
            moved, disk = (res.value(row, side, i) for i in (1, 2))
            if disk is None:
                continue
            lines.append([row.name, side, show(moved), show(disk),
                          "%.2f" % (disk / moved) if moved else "-"])
    return lines if len(lines) > 1 else []


HEAD = """\
ratio: ours over theirs (of times, theirs over ours), the median of the rounds'
ratios; range: the lowest and the highest of them. spread: of the rounds of ours
and of theirs, the largest minus the smallest, over the median.
"""
DISK_HEAD = """\
What each side read or wrote in a round, and what the disk under it read or, up to
a sync after it, wrote meanwhile (all programs of the machine together). Where it is
hot, nothing is to be read; where it is written, all that was asked to be.
"""


def write_text(res, directory):
    out = open(os.path.join(directory, "results.txt"), "w")
    about = open(os.path.join(directory, "about.txt")).read().rstrip()
    parts = [about, HEAD + "\n" + "\n".join(text_table(main_lines(res)))]
    if mode_lines(res):
        parts.append("Modes side by side:\n\n" +
                     "\n".join(text_table(mode_lines(res))))
    if disk_lines(res):
        parts.append(DISK_HEAD + "\n" + "\n".join(text_table(disk_lines(res), 2)))
    notes = open(os.path.join(directory, "notes.txt")).read().rstrip()
    if notes:
        parts.append("Notes:\n" + notes)
    text = "\n\n".join(parts) + "\n"
    out.write(text)
    print(text[len(about) + 2:], end="")


def write_md(res, directory):
    about = open(os.path.join(directory, "about.txt")).read().split("\n")
    lines = ["Of one run of `make bench`: %s %s" % (about[0], about[1]), "",
             "Ratio: ours over theirs (of times, theirs over ours), the median of",
             "the rounds' ratios; range: the lowest and the highest of them.", ""]
    lines += md_table(readme_lines(res))
    if mode_lines(res):
        lines += ["", "The modes, CACHE@TRANSPORT, beside each other:", ""]
        lines += md_table(mode_lines(res))
    with open(os.path.join(directory, "results.md"), "w") as out:
        out.write("\n".join(lines) + "\n")


def write_data(res, directory):
    """A line for each ratio: label, ratio, lowest, highest, goal or 0."""
    with open(os.path.join(directory, "ratios.dat"), "w") as out:
        for row, other, goal in comparisons(res):
            ratio = other and res.ratio(row, other)
            if ratio:
                print('"%s / %s"' % (row.name, other), "%.4f %.4f %.4f" % ratio,
                      goal if goal else 0, file=out)


def put_into_readme(directory, readme):
    table = os.path.join(directory, "results.md")
    if not os.path.exists(table):
        sys.exit("there is no %s: run make bench" % table)
    text = open(readme).read()
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        sys.exit("%s has no marks %s ... %s" % (readme, BEGIN, END))
    begin = text.index("\n", begin) + 1
    with open(readme, "w") as out:
        out.write(text[:begin] + "\n" + open(table).read() + "\n" + text[end:])


def main():
    if sys.argv[1] == "--readme":
        put_into_readme(sys.argv[2], sys.argv[3])
        return
    res = Results(sys.argv[1])
    write_text(res, sys.argv[1])
    write_md(res, sys.argv[1])
    write_data(res, sys.argv[1])


main()
