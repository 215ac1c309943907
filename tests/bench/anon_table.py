#!/usr/bin/env python3
"""Make the table about anon volumes.

usage: anon_table.py DIRECTORY

In DIRECTORY are, fields separated by tabs:

  anon.tsv    a line for each measurement: workload, description, unit, side
              (anon, or what it is compared with), round, value
  stored.tsv  for each round: pages in swap, pages of one word, bytes stored,
              KiB of swap used, MiB the disk wrote ("-": not known)
  zram        a zram device's mm_stat with the same pages, if there is one
  map.tsv     for each round: the most MiB that zram had taken for "map"
  anon.about  MiB of memory, MiB of pages, bytes that zstd makes of those
"""
import os
import sys

from table import median, number, print_table, show

ANON = "anon"
MIB = 1 << 20


def lines_of(directory, name):
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return []
    return [line.split("\t") if "\t" in line else line.split()
            for line in open(path).read().splitlines()]


def spread(values):
    values = [v for v in values if v]
    if not values:
        return 0
    return 100 * (max(values) - min(values)) / median(values)


def print_rates(rows):
    lines = [["anon volume", "compared with", "theirs", "ours", "ratio",
              "spread"]]
    for name in dict.fromkeys(r[0] for r in rows):
        mine = [r for r in rows if r[0] == name]
        sides = {side: [number(r[5]) for r in mine if r[3] == side]
                 for side in dict.fromkeys(r[3] for r in mine)}
        other = next((s for s in sides if s != ANON), None)
        ours, theirs = median(sides.get(ANON, [])), median(sides.get(other, []))
        lines.append([
            "%s: %s" % (name, mine[0][1]), other or "-",
            show(theirs, "%.0f"), show(ours, "%.0f") + " " + mine[0][2],
            show(ours / theirs if ours and theirs else None),
            "%.0f%%" % max(spread(v) for v in sides.values())])
    rounds = len(set(r[4] for r in rows))
    print("\nAn anon volume, as medians of %d round%s; ratio: what part of the "
          "other's rate it had. zstd: level -1\non 4 KiB pages, on one core, in "
          "memory, with nothing around it.\n" %
          (rounds, "" if rounds == 1 else "s"))
    print_table(lines)


def print_map(directory, about):
    used = [float(line[0]) for line in lines_of(directory, "map.tsv")]
    if not used:
        return
    print("\nmap, zram: the program in a memory cgroup of %s MiB, swapping to "
          "zram (lzo-rle), which took up to\n%.0f MiB. map, anon: mem=%sM, the "
          "program, whose are the kernel's copies of mapped pages, in a\nmemory "
          "cgroup of those %.0f MiB; map-free: in none." %
          (about[0], median(used), about[0], median(used)))


def print_stored(directory, about):
    stored = [[number(f) for f in line]
              for line in lines_of(directory, "stored.tsv")]
    pages, same, size, used, disk = (
        median([line[i] for line in stored]) for i in range(5))
    lines = [["%s MiB of pages" % about[1], "stored", "one word",
              "bytes a page", "ratio", "room used", "a byte of it holds"]]

    def add(name, nr, nr_same, size, room):
        lines.append([name, "%d" % nr, "%d" % nr_same, "%.0f" % (size / nr),
                      "%.2f" % (4096 * nr / size), "%.1f MiB" % (room / MIB),
                      "%.2f" % (4096 * nr / room)])

    add("anon, mem=%sM" % about[0], pages, same, size, used * 1024)
    for stat in lines_of(directory, "zram"):
        stat = [int(n) for n in stat]
        nr = stat[0] / 4096 - stat[5]
        add("zram, lzo-rle", nr, stat[5], stat[1], stat[2])
    nr = int(about[1]) * 256
    lines.append(["zstd -1 by itself", "%d" % nr, "", "%.0f" %
                  (int(about[2]) / nr), "%.2f" % (4096 * nr / int(about[2])),
                  "", ""])
    print("\nThe same pages, stored. Pages of one word need no room. A stored "
          "page of ours has a header of 24 bytes;\nroom used: clusters of the "
          "swap file on a disk, or zram's memory.\n")
    print_table(lines)
    if disk is not None:
        print("\nWhile %s MiB were written, the disk under the swap file wrote "
              "%.0f MiB for %.0f MiB of pages." %
              (about[1], disk, pages / 256))


def main():
    directory = sys.argv[1]
    about = lines_of(directory, "anon.about")[0]
    print_rates(lines_of(directory, "anon.tsv"))
    print_map(directory, about)
    print_stored(directory, about)


main()
