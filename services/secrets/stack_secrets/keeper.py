"""Settles which value every secret has, and brings the values to their readers.

A value comes from the user's folder, else from the master volume, else it is made. Where data was
made with another value, nothing is changed until the user says `rotate`.
"""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from stack_secrets import files, fingerprint
from stack_secrets.catalogue import (
    CERTIFICATE,
    GIVEN_ONLY,
    OVERLAYS,
    READERS,
    SECRETS,
    SHOWN,
    VOLUMES,
)

ROTATE = "docker compose run --rm secrets rotate"
RESTART = "docker compose up -d --force-recreate"
PREVIOUS = "kek-passphrase.previous"
LONGEST = 128
PEM_LIMIT = 64 * 1024
KNOWN = SECRETS | GIVEN_ONLY
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")  # what URLs, .ini files and libpq take as it is


class RefusedError(Exception):
    """The stack must not start; the message is one line that says why, and the way out."""


@dataclass(frozen=True)
class Keeper:
    """The folders it works on, and how a file gets its owner.

    given: the user's files. master: every value, the truth. readers: one folder a reader.
    volumes: one folder a volume, as in the catalogue.
    """

    given: Path
    master: Path
    readers: Path
    volumes: Path
    give: files.Give = files.give

    def keep(self) -> str:
        """Bring every secret to its readers; refuse if that would part data from its secret.

        Returns one line on what was done. Raises RefusedError before anything is changed.
        """
        given, known = self._given(), self._known()
        values = known | given
        unrecorded = self._unrecorded(values)
        if strange := self._with_data(unrecorded):
            raise RefusedError(_reason(strange, values))
        made = {name: _new(name) for name in SECRETS if name not in values}
        self._settle(values | made, unrecorded)
        origin = ", ".join(
            f"{len(names)} {what}"
            for what, names in (
                ("kept", known.keys() - given.keys()),
                ("from ./secrets", given.keys()),
                ("made", made.keys()),
            )
            if names
        )
        return f"ready: {origin}"

    def rotate(self, names: list[str]) -> list[str]:
        """Take every missing or changed secret as it is now, and make `names` anew.

        The one-shots `database` and `bucket` apply what changed at the next `up`.
        Returns lines for the user. Raises RefusedError, with nothing changed.
        """
        given, known = self._given(), self._known()
        for name in names:
            if name not in SECRETS:
                raise RefusedError(f"no secret is called {name}; there are {', '.join(SECRETS)}")
            if name in given:
                raise RefusedError(f"{name} is what secrets/{name} says: change that file instead")
        kept = {name: value for name, value in known.items() if name not in names}
        values = kept | given
        values |= {name: _new(name) for name in SECRETS if name not in values}
        unrecorded = self._unrecorded(values)
        strange = self._with_data(unrecorded)
        changed = sorted(name for name in SECRETS if known.get(name) != values[name])

        said = [f"rotated: {', '.join(dict.fromkeys(changed + sorted(strange))) or 'nothing'}"]
        if "kek-passphrase" in strange:
            old = known.get("kek-passphrase")
            if old and old != values["kek-passphrase"]:
                files.write(self.master / PREVIOUS, old, give=self.give)
                kept_where = f"the old one is kept as {PREVIOUS} in the volume secrets"
            else:
                kept_where = f"to get them back, put the old one into secrets/ and run '{ROTATE}'"
            said.append(
                "warning: API keys stored in MLflow's AI gateway were encrypted with the old "
                f"kek-passphrase and cannot be read with the new one; {kept_where}"
            )
        self._settle(values, unrecorded)
        return [*said, f"next: {RESTART}"]

    def show(self, name: str) -> str:
        """The value of a secret that people need. Raises RefusedError."""
        if name not in SHOWN:
            raise RefusedError(f"{name} is not for showing; these are: {', '.join(SHOWN)}")
        values = self._known() | self._given()
        if name not in values:
            raise RefusedError(f"{name} is not made yet: docker compose up -d")
        return values[name]

    def _given(self) -> dict[str, str]:
        """The user's values. Raises RefusedError naming the first file that cannot be taken."""
        values = {}
        for path in sorted(self.given.iterdir()):
            name = path.name
            if name.startswith(".") or name == "README.md":
                continue
            if name not in KNOWN and name not in CERTIFICATE:
                names = ", ".join([*KNOWN, *CERTIFICATE])
                raise RefusedError(
                    f"secrets/{name} is no secret of this stack (there are {names}): "
                    "rename or remove it"
                )
            if not path.is_file():
                raise RefusedError(f"secrets/{name} is not a file: put the value itself there")
            if name in CERTIFICATE:
                values[name] = _pem(name, path)
                continue
            if fault := _fault(name, value := _read(path)):
                raise RefusedError(
                    f"secrets/{name} {fault}: for a good one, openssl rand -hex "
                    f"{KNOWN[name].length // 2} > secrets/{name}"
                )
            values[name] = value
        missing = [name for name in CERTIFICATE if name not in values]
        if len(missing) == 1:
            raise RefusedError(f"secrets/{missing[0]} is missing: the other needs it")
        return values

    def _known(self) -> dict[str, str]:
        """The values of earlier starts; a damaged one counts as lost."""
        found = {name: _read(self.master / name) for name in SECRETS}
        return {name: value for name, value in found.items() if not _fault(name, value)}

    def _unrecorded(self, values: dict[str, str]) -> dict[str, str]:
        """The secrets that the record beside their data does not know: name to volume."""
        records = {volume: fingerprint.read(self.volumes / volume) for volume in VOLUMES}
        return {
            name: secret.guards
            for name, secret in SECRETS.items()
            if secret.guards
            and not (
                name in values
                and fingerprint.matches(values[name], records[secret.guards].get(name))
            )
        }

    def _with_data(self, guarded: dict[str, str]) -> dict[str, str]:
        filled = {v for v in guarded.values() if fingerprint.has_data(self.volumes / v)}
        return {name: volume for name, volume in guarded.items() if volume in filled}

    def _settle(self, values: dict[str, str], unrecorded: dict[str, str]) -> None:
        """Write the master, the records beside the data, then each reader's files."""
        for name in SECRETS:
            self._write(self.master / name, values[name])
        files.keep_only(self.master, {*SECRETS, PREVIOUS, ".lock"})
        for volume in set(unrecorded.values()):
            guarded = {name: values[name] for name in SECRETS if SECRETS[name].guards == volume}
            fingerprint.write(self.volumes / volume, guarded, self.give)
        for volume, user in VOLUMES.items():
            if _mounted(self.volumes / volume):
                self._own(self.volumes / volume, user)
        values = dict.fromkeys((*GIVEN_ONLY, *CERTIFICATE), "") | values
        for reader, wants in READERS.items():
            folder = self.readers / reader
            if not _mounted(folder):
                continue
            for file, template in wants.files.items():
                self._write(folder / file, template.format_map(values), wants.user)
            files.keep_only(folder, set(wants.files))
            self._own(folder, wants.user)

    def _write(self, path: Path, text: str, user: int = 0) -> None:
        if _read(path, strip=False) != text:
            files.write(path, text, user, self.give)

    def _own(self, folder: Path, user: int) -> None:
        """With all that is in it where it was another's: an older version had other users."""
        folder.chmod(0o700)
        if folder.stat().st_uid != user:
            for path in folder.rglob("*"):
                self.give(path, user)
        self.give(folder, user)


def _reason(strange: dict[str, str], values: dict[str, str]) -> str:
    fates = {
        "lost": [name for name in strange if name not in values],
        "changed": [name for name in strange if name in values],
    }
    what = " and ".join(f"{', '.join(names)} {fate}" for fate, names in fates.items() if names)
    return (
        f"{what}, and the data in {' and '.join(sorted(set(strange.values())))} was made with "
        f"other values: put those into secrets/, or take new ones with '{ROTATE}' "
        f"and then '{RESTART}'"
    )


def _mounted(folder: Path) -> bool:
    """Whether it is to be filled: what overlays mount may not be there."""
    return folder.name not in OVERLAYS or folder.is_dir()


def _pem(name: str, path: Path) -> str:
    """Raises RefusedError."""
    text = _read(path)
    what = "PRIVATE KEY" if name == CERTIFICATE[1] else "CERTIFICATE"
    if len(text) > PEM_LIMIT or not re.search(rf"^-----BEGIN [A-Z ]*{what}-----$", text, re.M):
        raise RefusedError(f"secrets/{name} is no PEM file of a {what.lower()}: put one there")
    return text + "\n"


def _new(name: str) -> str:
    return secrets.token_hex(SECRETS[name].length // 2)


def _read(path: Path, *, strip: bool = True) -> str | None:
    """The text of a file, None where there is none; what is not text reads as characters
    that no secret may have."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    return text.strip("\r\n") if strip else text


def _fault(name: str, value: str | None) -> str | None:
    """What is wrong with `value` as the secret `name`, or None."""
    if value is None:
        return "is missing"
    if not value:
        return "is empty"
    if not _PLAIN.fullmatch(value):
        return "may hold letters, digits and ._~- only, in one line"
    if not KNOWN[name].minimum <= len(value) <= LONGEST:
        return f"needs {KNOWN[name].minimum} to {LONGEST} characters, has {len(value)}"
    return None
