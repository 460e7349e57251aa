"""Which snapshot is meant, which are dropped, and what restic's errors come to."""

import json

import pytest

from stack_backup import repository, settings, tools
from stack_backup.errors import RefusedError, ToolError
from tests.unit.backup.variables import VARIABLES

GOOD, LACKING, OTHER = (f"{start}{'0' * 60}" for start in ("aaaa", "aabb", "cccc"))


@pytest.fixture
def restic(monkeypatch):
    return Restic(monkeypatch)


class Restic:
    """Answers as restic would; `asked` are its commands."""

    def __init__(self, monkeypatch):
        self.asked, self.said, self.snapshots = [], {}, []
        monkeypatch.setattr(tools, "run", self.run)
        self.repository = repository.Repository(settings.read(VARIABLES), "backups")

    def run(self, *command, **_):
        self.asked.append(command[1:])
        if said := self.said.get(command[1]):
            raise ToolError(f"restic: {said.splitlines()[-1]}", 1, said)
        return json.dumps(self.snapshots)

    def holds(self, *snapshots):
        self.snapshots = [
            {"id": identity, "time": f"2026-01-0{day}T00:00:00Z", "tags": [tag]}
            for day, (identity, tag) in enumerate(snapshots, start=1)
        ]
        return self.repository


def test_the_newest_that_lacks_nothing_is_meant(restic, capsys):
    held = restic.holds((OTHER, "complete"), (GOOD, "complete"), (LACKING, "lacking"))
    assert held.find("").identity == GOOD
    assert "SNAPSHOT=aabb0000 takes it" in capsys.readouterr().out


def test_one_that_lacks_something_is_better_than_none(restic):
    assert restic.holds((LACKING, "lacking")).find("").identity == LACKING


@pytest.mark.parametrize("wanted", ["aab", LACKING[:8], LACKING])
def test_a_snapshot_is_named_by_how_it_begins(restic, wanted):
    held = restic.holds((GOOD, "complete"), (LACKING, "lacking"), (OTHER, "complete"))
    assert held.find(wanted).identity == LACKING


@pytest.mark.parametrize(
    ("wanted", "why", "listed"),
    [("aa", "more than one", [GOOD, LACKING]), ("b", "none", [GOOD, LACKING, OTHER])],
)
def test_a_name_that_is_not_one_snapshot_shows_those_there(restic, capsys, wanted, why, listed):
    held = restic.holds((GOOD, "complete"), (LACKING, "lacking"), (OTHER, "complete"))
    with pytest.raises(RefusedError, match=f"SNAPSHOT={wanted}: {why} of backups"):
        held.find(wanted)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == [identity[:8] for identity in listed]


def test_snapshots_that_lack_something_take_no_good_ones_place(restic):
    restic.repository.forget(("--keep-last", "2"))
    good, lacking = (" ".join(command) for command in restic.asked)
    assert good.endswith("--tag complete --keep-last 2")
    assert "--tag lacking --keep-last 1" in lacking
    assert lacking.endswith("--prune")


RETRIED = "Stat(<config/>) returned error, retrying after 1.2s: "


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("error\nFatal: repository contains errors", "backups is damaged: use another copy of it"),
        ("Fatal: LoadRaw(<key/7e>): invalid data returned", "is damaged"),
        (f"{RETRIED}Access Denied.\nFatal: canceled", "backups cannot be reached: Access Denied."),
        ("Load(x): open /r/x: permission denied\nFatal: repository contains errors",
         "cannot be used by you: Load"),
        ("Fatal: unable to open: no key\nIs it there?\ns3:x", "backups: unable to open: no key"),
        ("the moon is wrong", "backups: restic: the moon is wrong"),
    ],
)  # fmt: skip
def test_only_damage_is_called_damage(restic, said, meant):
    restic.said["check"] = said
    with pytest.raises(RefusedError) as refused:
        restic.repository.read_all()
    assert meant in str(refused.value)


def test_a_server_that_is_gone_while_it_is_read_is_no_damage(restic):
    restic.said = {"check": "Fatal: repository contains errors", "cat": f"{RETRIED}no such host"}
    with pytest.raises(RefusedError, match="cannot be reached: no such host"):
        restic.repository.read_all()
