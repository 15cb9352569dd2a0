"""Where and with what a figure was made, and no word of whose machine it was."""

import json
import os
import subprocess

from dmlbook.records import origin as module
from tests.records.examples import filled


def test_provenance_names_machine_versions_commit_and_no_host(tmp_path):
    found = json.loads(filled().save(tmp_path).read_text())["provenance"]
    assert set(found) == {"machine", "device", "threads", "versions", "commit", "mode", "time"}
    assert found["versions"]["torch"].startswith("2.")
    assert found["mode"] in ("smoke", "class", "full")
    if hasattr(os, "uname"):
        assert os.uname().nodename not in json.dumps(found)


def test_the_commit_says_whether_the_package_was_changed_since(tmp_path, monkeypatch):
    def git(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    git("init", "-q")
    assert module._commit() == "unknown"
    (tmp_path / "dmlbook").mkdir()
    (tmp_path / "dmlbook" / "a.py").write_text("a = 1\n")
    (tmp_path / "README.md").write_text("A\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (tmp_path / "README.md").write_text("B\n")  # no figure depends on it
    assert module._commit() == git("rev-parse", "HEAD")[:12]
    (tmp_path / "dmlbook" / "a.py").write_text("a = 2\n")
    assert module._commit() == git("rev-parse", "HEAD")[:12] + " with changes"
