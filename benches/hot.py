#!/usr/bin/env python3
"""Prints medians, in milliseconds, from saving a file to its effect: in the container (sync), as a new process (sync+restart), as a reloaded
environment (compose file). Nothing here is a test: figures are read by people.
usage: benches/hot.py [RUNS]     RCOMPOSE=path (default target/release/rcompose)  IMAGE_TAR=root file system with a busybox"""
import json, os, pathlib, statistics, subprocess, sys, tempfile, time

here = pathlib.Path(__file__).resolve().parent.parent
rcompose = os.environ.get("RCOMPOSE", str(here / "target/release/rcompose"))
runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
work = pathlib.Path(tempfile.mkdtemp(prefix="rcompose-hot-"))
env = {**os.environ, "RCOMPOSE_DATA_ROOT": str(work / "data"), "RCOMPOSE_RUN_ROOT": str(work / "run")}


def call(*arguments):
    return subprocess.run([rcompose, *arguments], cwd=work, env=env, capture_output=True, text=True, check=True).stdout


def save(path, text):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    start = time.monotonic()
    temporary.rename(path)
    return start


def until(condition):
    while not condition():
        time.sleep(0.0005)
    return time.monotonic()


def state():
    for path in (work / "run/containers").glob("*/state.json"):
        try:
            record = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if record["status"] == "running":
            return record
    return {"pid": 0}


def compose(colour):
    return f"""name: hot
services:
  web:
    image: busybox:test
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.01; done"]
    environment: {{COLOUR: {colour}}}
    develop:
      watch:
        - {{path: ./src, action: sync, target: /site}}
        - {{path: ./conf, action: sync+restart, target: /conf}}
"""


def environment(pid, text):
    try:
        return text in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


(work / "src").mkdir()
(work / "conf").mkdir()
(work / "compose.yaml").write_text(compose("start"))
call("image", "import", os.environ["IMAGE_TAR"], "busybox:test")
call("up", "-d")
time.sleep(1)
figures = {"save -> file in the container": [], "save -> new process": [], "save -> reloaded": []}
for run in range(runs):
    root = pathlib.Path(f"/proc/{state()['pid']}/root")
    wanted = f"content {run}"
    start = save(work / "src/index.html", wanted)
    seen = root / "site/index.html"
    figures["save -> file in the container"].append(until(lambda: seen.exists() and seen.read_text() == wanted) - start)
    time.sleep(0.3)
    before = state()["pid"]
    start = save(work / "conf/a", wanted)
    figures["save -> new process"].append(until(lambda: state()["pid"] not in (0, before)) - start)
    time.sleep(0.3)
    start = save(work / "compose.yaml", compose(f"run{run}"))
    figures["save -> reloaded"].append(until(lambda: environment(state()["pid"], f"COLOUR=run{run}".encode())) - start)
    time.sleep(0.5)
call("down", "-v", "-t", "0")
for name, seconds in figures.items():
    print(f"{name:32} {statistics.median(seconds) * 1000:8.1f}   min {min(seconds) * 1000:.1f}  max {max(seconds) * 1000:.1f}")
time.sleep(2)
subprocess.run(["rm", "-rf", str(work)], check=True)
