#!/usr/bin/env python3
"""What each dependency costs: crates, size in the program and time to build it.

    benches/dependencies.py [--write]

Builds the release program with its symbols into target/dependencies, from nothing, and prints for each dependency:
the crates that would leave if ours did not ask for it, and, of it and of all that only it needs, the KB in the program
and the seconds to build. --write renews the columns of docs/dependencies.md. Needs readelf (binutils); Linux only.

Size: each symbol belongs to the first crate that its name names; what was inlined counts where it went to, a constant
without a symbol nowhere. Time: of `cargo build --timings`, compilation and build scripts.
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target/dependencies"
PAGE = ROOT / "docs/dependencies.md"
OURS = {"certcollectd", "certcollectd-core", "certcollectd-follow", "certcollectd-sandbox"}
STANDARD = {"core", "alloc", "std", "compiler_builtins", "hashbrown", "gimli", "addr2line", "rustc_demangle", "miniz_oxide"}


def build():
    """Builds everything anew, so that each crate has a time."""
    shutil.rmtree(TARGET, ignore_errors=True)
    environment = dict(os.environ, CARGO_PROFILE_RELEASE_STRIP="none")
    subprocess.run(["cargo", "build", "--release", "--locked", "--timings", "--target-dir", str(TARGET)],
                   cwd=ROOT, env=environment, check=True)


def seconds():
    """Seconds of compilation and of build scripts, by crate."""
    page = (TARGET / "cargo-timings/cargo-timing.html").read_text()
    units = json.loads(re.search(r"const UNIT_DATA = (\[.*?\]);\n", page, re.S)[1])
    by_crate = collections.Counter()
    for unit in units:
        by_crate[unit["name"]] += unit["duration"]
    return by_crate


def owner(symbol, source):
    """The library that a demangled name names first; of C, what its source file belongs to."""
    roots = re.findall(r"(?<![\w:])([a-z_]\w*)(?=::)", symbol)
    ours = [root for root in roots if root not in STANDARD]
    if roots:
        return ours[0] if ours else "std"
    if source == "sqlite3.c":
        return "libsqlite3_sys"
    if re.match("sqlite3", symbol):
        return "libsqlite3_sys"
    if re.match("aws_lc_", symbol) or (source.endswith((".c", ".S")) and source != "crtstuff.c"):
        return "aws_lc_sys"
    return "?"


def sizes():
    """Bytes of the symbols of the program, by library."""
    table = subprocess.run(["readelf", "--symbols", "--wide", "--demangle", str(TARGET / "release/certcollectd")],
                           check=True, capture_output=True, text=True).stdout
    by_library, source, seen = collections.Counter(), "", set()
    for line in table[table.index("'.symtab'"):].splitlines():
        fields = line.split(maxsplit=7)
        if len(fields) < 8 or not fields[0].rstrip(":").isdigit():
            continue
        _, address, size, kind, binding, _, section, name = fields
        if kind == "FILE":
            source = name
        size = int(size, 0)
        if kind not in ("FUNC", "OBJECT") or section == "UND" or not size or address in seen:
            continue
        seen.add(address)
        # Which file a global symbol came from is not told.
        by_library[owner(name, source if binding == "LOCAL" else "")] += size
    return by_library


def libraries():
    """What the symbols of a crate begin with, by its name."""
    text = subprocess.run(["cargo", "metadata", "--locked", "--format-version", "1"], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout
    kinds = {"lib", "rlib", "proc-macro"}
    return {package["name"]: target["name"].replace("-", "_") for package in json.loads(text)["packages"]
            for target in package["targets"] if kinds & set(target["kind"])}


def graph():
    """Who needs whom in the daemon: name and version to the same, and the names that we ask for."""
    tree = subprocess.run(["cargo", "tree", "--locked", "-p", "certcollectd", "-e", "normal,build", "--prefix", "depth",
                           "-f", "{p}"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    needs, path = collections.defaultdict(set), []
    for line in tree.splitlines():
        depth, name, version = re.match(r"(\d+)(\S+) (\S+)", line).groups()
        crate = (name, version)
        del path[int(depth):]
        if path:
            needs[path[-1]].add(crate)
        path.append(crate)
    return needs


def reachable(needs, unasked=None, without=None):
    """The crates that are left if ours do not ask for one, or if it is not there at all."""
    found, todo = set(), [crate for crate in needs if crate[0] == "certcollectd"]
    while todo:
        crate = todo.pop()
        if crate in found or crate[0] == without:
            continue
        found.add(crate)
        todo += [need for need in needs[crate] if not (crate[0] in OURS and need[0] == unasked)]
    return found


def main():
    write = sys.argv[1:] == ["--write"]
    if sys.argv[1:] and not write:
        sys.exit(__doc__)
    build()
    time, size, needs, library = seconds(), sizes(), graph(), libraries()
    everything = reachable(needs)
    foreign = {name for name, _ in everything} - OURS
    asked = {need[0] for crate in list(needs) if crate[0] in OURS for need in needs[crate]} - OURS
    rows = {}
    for name in sorted(asked):
        alone = len(everything - reachable(needs, unasked=name))
        brought = {crate for crate, _ in everything - reachable(needs, without=name)}
        rows[name] = (alone, sum(size[library[crate]] for crate in brought) / 1e3, sum(time[crate] for crate in brought))
        print(f"{name:22} alone {rows[name][0]:3} {rows[name][1]:8.0f} KB {rows[name][2]:8.1f} s")
    kinds = {"ours": sum(size[library[name]] for name in OURS), "crates": sum(size[library[name]] for name in foreign),
             "standard library": size["std"]}
    kinds["unknown"] = sum(size.values()) - sum(kinds.values())
    print(f"crates besides ours: {len(everything) - len(OURS)}")
    print("symbols, MB:", ", ".join(f"{name} {bytes / 1e6:.1f}" for name, bytes in kinds.items()))
    print(f"seconds: crates {sum(time[name] for name in foreign):.0f}, ours {sum(time[name] for name in OURS):.0f}")
    if write:
        page = re.sub(r"(?m)^\| `([\w-]+)` \|.*$", lambda line: renewed(line[0], rows.get(line[1])), PAGE.read_text())
        PAGE.write_text(page)


def renewed(line, row):
    """A row of a table with its last columns as they were measured."""
    cells = line.split(" | ")
    if row is None or len(cells) < 4:
        return line
    return " | ".join(cells[:3] + [str(row[0]), f"{row[1]:.0f}", f"{row[2]:.1f} |"])


if __name__ == "__main__":
    main()
