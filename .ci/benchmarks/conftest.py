"""What the stored figures say of where they come from: the processor and Python, and no names."""

from __future__ import annotations

from typing import Any

_KEPT = ("python_version", "python_implementation", "system", "machine")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Keep what explains a figure; a host's name does not."""
    kept = {key: machine_info[key] for key in _KEPT if key in machine_info}
    kept["cpu"] = {"brand_raw": machine_info.get("cpu", {}).get("brand_raw", "")}
    machine_info.clear()
    machine_info.update(kept)


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Keep the commit's id and time of what git says."""
    commit = output_json.get("commit_info", {})
    output_json["commit_info"] = {key: commit.get(key) for key in ("id", "time", "dirty")}
