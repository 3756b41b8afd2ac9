"""What a benchmark ran on, and how busy other processes kept it."""

import os
import platform
import resource
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Clock:
    """Time since it was made, and how many cores other processes kept busy meanwhile."""

    begun: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), busy_of_others()))

    def wall(self) -> float:
        return time.perf_counter() - self.begun[0]

    def others(self) -> float:
        return max(0.0, (busy_of_others() - self.begun[1]) / self.wall())


def busy_of_others() -> float:
    """Seconds of CPU time since the machine started, without those of this process and its children."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, *_ = map(int, path.read_text().split("\n")[0].split()[1:])
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(one.ru_utime + one.ru_stime for one in spent)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK") - own


def machine() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def commit() -> str:
    """The commit that was measured, with a + where files were changed after it."""

    def git(*words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True)
        return ran.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + "+" * bool(changed)
