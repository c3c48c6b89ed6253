"""What the benchmarks share: contenders run in turn, medians, ratios, a table, JSON.

A case is a file cases/NAME.py: its docstring says what it measures, run(b) does it. NEEDS_ROOT = True and
NEEDS = ["tool", ...] make a named skip where these are missing. b is a Bench:

    b.smoke             True: the inputs are small, one run each, only that all works is of interest
    b.size(full, small) the one that fits
    b.nsimg             path of the program; b.limit("X"): of tests/bench/limit/X.c; b.tool("gen"), ...
    b.dir               a folder of the case's own, removed at the end
    b.image(**options)  a folder written by gen, cached for the run
    b.check(cond, what) fails the benchmark: the contenders must have done the same work
    b.compare(work, [Run(...), ...], targets={"limit": 1.5}, per=N, unit="record")
                        runs each in turn, several times; the first is ours. targets: our median divided by
                        that contender's is at most this. Returns {label: median seconds}.
    b.value(work, value, unit, at_most=..., at_least=...)
                        one figure with a target of its own
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


class Skip(Exception):
    """The benchmark cannot run here; says why."""


class Failed(Exception):
    """The contenders did not do the same, or one failed."""


class Run:
    """A contender: argv, run as a child; or call, a function (its wall time is taken, or the seconds it
    returns). before and after are not measured. share: the part of the work this contender is given, its
    time is divided by it (a peer that would take hours). extra(stdout): {name: number} out of what it
    printed."""

    def __init__(self, label, argv=None, call=None, before=None, after=None, share=1.0, extra=None,
                 env=None, cwd=None, runs=None, ok=(0,)):
        self.label, self.argv, self.call = label, argv, call
        self.before, self.after, self.share, self.extra = before, after, share, extra
        self.env, self.cwd, self.runs, self.ok = env, cwd, runs, ok
        self.seconds, self.cpu, self.rss, self.values = [], [], [], {}

    def once(self):
        if self.before:
            self.before()
        if self.call:
            start = time.monotonic()
            given = self.call()
            seconds = given if isinstance(given, float) else time.monotonic() - start
            self.seconds.append(seconds / self.share)
        else:
            self._child()
        if self.after:
            self.after()

    def _child(self):
        with tempfile.TemporaryFile() as out:
            start = time.monotonic()
            child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                     env={**os.environ, **(self.env or {})}, cwd=self.cwd)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.monotonic() - start
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            text = out.read().decode(errors="replace") if self.extra or child.returncode not in self.ok else ""
        if child.returncode not in self.ok:
            raise Failed(f"{self.label}: {' '.join(map(str, self.argv))}: exit status {child.returncode}\n"
                         f"{text[-2000:]}")
        self.seconds.append(seconds / self.share)
        self.cpu.append((usage.ru_utime + usage.ru_stime) / self.share)
        self.rss.append(usage.ru_maxrss)
        for name, value in (self.extra(text) if self.extra else {}).items():
            self.values.setdefault(name, []).append(value)

    def median(self):
        return statistics.median(self.seconds)

    def as_json(self):
        row = {"label": self.label, "median_s": self.median(), "seconds": self.seconds, "share": self.share}
        if self.cpu:
            row |= {"median_cpu_s": statistics.median(self.cpu), "max_rss_kib": max(self.rss)}
        if self.values:
            row["values"] = {name: statistics.median(list_) for name, list_ in self.values.items()}
        return row


def amount(seconds):
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} us"


class Bench:
    def __init__(self, name, build, smoke, runs):
        self.name, self.build, self.smoke = name, build, smoke
        self.runs = 1 if smoke else runs
        self.nsimg = os.path.join(build, "nsimg")
        self.dir = tempfile.mkdtemp(prefix=f"bench-{name}-", dir=os.environ.get("NSIMG_BENCH_DIR"))
        self.rows, self.quiet, self._images = [], False, {}

    # ---- what a case uses ----

    def size(self, full, small):
        return small if self.smoke else full

    def tool(self, name):
        path = os.path.join(self.build, "tests", "bench", name)
        if not os.path.exists(path):
            raise Failed(f"{path} is not built")
        return path

    def limit(self, name):
        return self.tool(os.path.join("limit", name))

    def path(self, name):
        return os.path.join(self.dir, name)

    def image(self, **options):
        words = [f"{key.replace('_', '-')}={value}" for key, value in sorted(options.items())]
        key = " ".join(words)
        if key not in self._images:
            folder = self.path("image-" + "-".join(words).replace("=", ""))
            self.sh([self.tool("gen"), folder, *words])
            self._images[key] = folder
        return self._images[key]

    def remove(self, *names):
        for name in names:
            path = self.path(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            for end in ("", "-journal"):
                if os.path.exists(path + end):
                    os.unlink(path + end)

    def sh(self, argv, **options):
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, **options)
        if done.returncode:
            raise Failed(f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{done.stdout[-2000:]}")
        return done.stdout

    def check(self, condition, what):
        if not condition:
            raise Failed(what)

    def compare(self, work, contenders, targets=None, per=None, unit="record", runs=None):
        rounds = 1 if self.smoke else runs or self.runs
        for turn in range(rounds):
            for run in contenders:
                if turn < (run.runs or rounds):
                    run.once()
        ours, ratios = contenders[0], []
        for label, at_most in (targets or {}).items():
            other = next(run for run in contenders if run.label == label)
            ratio = ours.median() / other.median()
            ratios.append({"against": label, "ratio": ratio, "at_most": at_most, "met": ratio <= at_most})
        self.rows.append({"work": work, "per": per, "unit": unit,
                          "contenders": [run.as_json() for run in contenders], "ratios": ratios})
        self._print(work, contenders, ratios, per, unit)
        return {run.label: run.median() for run in contenders}

    def value(self, work, value, unit, at_most=None, at_least=None):
        met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        self.rows.append({"work": work, "value": value, "unit": unit, "at_most": at_most, "at_least": at_least,
                          "met": met})
        if self.quiet:
            return
        target = f"  target <= {at_most:g}" if at_most is not None else ""
        target += f"  target >= {at_least:g}" if at_least is not None else ""
        if target:
            target += "  met" if met else "  MISSED"
        print(f"{work}: {value:.4g} {unit}{target}\n", flush=True)

    # ---- output ----

    def _print(self, work, contenders, ratios, per, unit):
        if self.quiet:
            return
        head = f"{'':24} {'median':>11} {'min .. max':>24} {'cpu':>10} {'memory':>9}"
        print(work + "\n" + head + (f" {'a ' + unit:>12}" if per else "") + f" {'ours / it':>10} {'target':>8}")
        ours = contenders[0]
        for run in contenders:
            row = run.as_json()
            line = f"  {run.label:22} {amount(run.median()):>11}"
            line += f" {amount(min(run.seconds)) + ' .. ' + amount(max(run.seconds)):>24}"
            line += f" {amount(row['median_cpu_s']) if run.cpu else '':>10}"
            line += f" {str(row['max_rss_kib'] // 1024) + ' MiB' if run.rss else '':>9}"
            if per:
                line += f" {amount(run.median() / per):>12}"
            if run is not ours:
                line += f" {ours.median() / run.median():>10.3f}"
                ratio = next((r for r in ratios if r["against"] == run.label), None)
                if ratio:
                    line += f" {ratio['at_most']:>8.3g} {'met' if ratio['met'] else 'MISSED'}"
            print(line)
            for name, list_ in run.values.items():
                print(f"      {name}: {statistics.median(list_):.4g}")
        print(flush=True)

    def write_json(self, folder):
        os.makedirs(folder, exist_ok=True)
        uname = os.uname()
        text = {"benchmark": self.name, "smoke": self.smoke, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "kernel": uname.release, "arch": uname.machine, "cpus": os.cpu_count(), "rows": self.rows}
        path = os.path.join(folder, self.name + ".json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(text, out, indent=1)
            out.write("\n")
        return path

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def warn(text):
    print(text, file=sys.stderr, flush=True)
