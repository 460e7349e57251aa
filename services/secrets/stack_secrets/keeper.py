"""Settles which value every secret has, and brings the values to their readers.

A value comes from the user's folder, else from the master volume, else it is made. Where data was
made with another value, nothing is changed until the user says `rotate`.
"""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from stack_secrets import elsewhere, files, fingerprint
from stack_secrets.catalogue import (
    BY_GROUP,
    CERTIFICATE,
    EXTERNAL,
    GIVEN_ONLY,
    OVERLAYS,
    READERS,
    SECRETS,
    SHOWN,
    VOLUMES,
    External,
    Secret,
)
from stack_secrets.elsewhere import LONGEST
from stack_secrets.errors import RefusedError

ROTATE = "docker compose run --rm secrets rotate"
RESTART = "docker compose up -d --force-recreate"
PREVIOUS = "kek-passphrase.previous"
AUTHORITIES = [part.certificate for part in EXTERNAL.values()]
RECOVERY_KEY = "backup-password"
PREVIOUS_KEY = f"{RECOVERY_KEY}.previous"
PEM_LIMIT = 64 * 1024
KNOWN = SECRETS | GIVEN_ONLY
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")  # what URLs, .ini files and libpq take as it is
_FOREIGN = re.compile(r"[A-Za-z0-9._~+/=-]*")  # and those that other makers of keys use


@dataclass(frozen=True)
class Keeper:
    """The folders it works on, and how a file gets its owner.

    chosen: the user's files. master: every value, the truth. readers: one folder a reader.
    volumes: one folder a volume, as in the catalogue. external: parts that are the team's own.
    """

    chosen: Path
    master: Path
    readers: Path
    volumes: Path
    give: files.Give = files.give
    external: frozenset[str] = frozenset()

    def keep(self) -> str:
        """Bring every secret to its readers; refuse if that would part data from its secret.

        Returns one line on what was done. Raises RefusedError before anything is changed.
        """
        chosen, known = self._chosen(), self._known()
        values = known | chosen
        self._want(values)
        unrecorded = self._unrecorded(values)
        if strange := self._with_data(unrecorded) | self._with_data_elsewhere(values, known):
            raise RefusedError(_reason(strange, values))
        made = {name: _new(name) for name in self._makes if name not in values}
        self._settle(values | made, unrecorded)
        origin = ", ".join(
            f"{len(names)} {what}"
            for what, names in (
                ("kept", known.keys() - chosen.keys()),
                ("from ./secrets", chosen.keys()),
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
        chosen, known = self._chosen(), self._known()
        for name in names:
            if name not in self._makes:
                there = ", ".join(self._makes)
                raise RefusedError(f"no secret is called {name}; there are {there}")
            if name == RECOVERY_KEY:
                raise RefusedError(
                    f"{name} opens the backups that there are: for another one, put it into "
                    f"secrets/{name}, and back up to a new place"
                )
            if name in chosen:
                raise RefusedError(f"{name} is what secrets/{name} says: change that file instead")
        kept = {name: value for name, value in known.items() if name not in names}
        values = kept | chosen
        values |= {name: _new(name) for name in self._makes if name not in values}
        self._want(values)
        unrecorded = self._unrecorded(values)
        strange = self._with_data(unrecorded) | self._with_data_elsewhere(values, known)
        changed = sorted(name for name in self._makes if known.get(name) != values[name])

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

    def adopt(self, passphrase: str, previous: str | None) -> None:
        """Take the kek-passphrase that restored data was written with, and the one before it.

        Raises RefusedError, with nothing changed, as does `may_adopt`.
        """
        self.may_adopt(passphrase)
        values = self._known() | self._chosen() | {"kek-passphrase": passphrase}
        if previous:
            files.write(self.master / PREVIOUS, previous, give=self.give)
        self._settle(values, self._unrecorded(values))

    def may_adopt(self, passphrase: str) -> None:
        """Refuse what `adopt` would refuse."""
        if fault := _fault("kek-passphrase", passphrase):
            raise RefusedError(f"the backup's kek-passphrase {fault}")
        if self._chosen().get("kek-passphrase", passphrase) != passphrase:
            raise RefusedError(
                "secrets/kek-passphrase is another one than the backup's, which comes with it: "
                "move that file away"
            )

    @property
    def _makes(self) -> dict[str, Secret]:
        """The secrets of what runs here; those of other servers are not this stack's to make."""
        theirs = {name for part in self._parts for name in (*part.wanted, *part.unused)}
        return {name: secret for name, secret in SECRETS.items() if name not in theirs}

    @property
    def _parts(self) -> list[External]:
        return [EXTERNAL[name] for name in sorted(self.external)]

    def _want(self, values: dict[str, str]) -> None:
        """Raises RefusedError naming the first file that a server elsewhere needs."""
        for part in self._parts:
            for name, what in part.wanted.items():
                if name not in values:
                    raise RefusedError(f"secrets/{name} is missing: put {what} there")
        # Made here it would be lost with this machine, and the database with the keys would not.
        if "postgres" in self.external and "kek-passphrase" not in values:
            raise RefusedError(
                "secrets/kek-passphrase is missing: it encrypts API keys in your PostgreSQL, so "
                "put the one in use there, or for a new database: "
                "openssl rand -hex 32 > secrets/kek-passphrase (and keep a copy)"
            )

    def _with_data_elsewhere(self, values: dict[str, str], known: dict[str, str]) -> dict[str, str]:
        """What data in no volume was made with, as far as this stack remembers: name to place."""
        name = "kek-passphrase"
        changed = "postgres" in self.external and known.get(name, values[name]) != values[name]
        return {name: "your PostgreSQL"} if changed else {}

    def show(self, name: str) -> str:
        """The value of a secret that people need. Raises RefusedError."""
        if name not in SHOWN:
            raise RefusedError(f"{name} is not for showing; these are: {', '.join(SHOWN)}")
        values = self._known() | self._chosen()
        if name not in values:
            raise RefusedError(f"{name} is not made yet: docker compose up -d")
        return values[name]

    def _chosen(self) -> dict[str, str]:
        """The user's values. Raises RefusedError naming the first file that cannot be taken."""
        values = {}
        wanted = {name: what for part in self._parts for name, what in part.wanted.items()}
        for path in sorted(self.chosen.iterdir()):
            name = path.name
            if name.startswith(".") or name == "README.md":
                continue
            if name not in [*KNOWN, *CERTIFICATE, *AUTHORITIES]:
                there = ", ".join([*KNOWN, *CERTIFICATE, *AUTHORITIES])
                raise RefusedError(
                    f"secrets/{name} is no secret of this stack (there are {there}): "
                    "rename or remove it"
                )
            if not path.is_file():
                raise RefusedError(f"secrets/{name} is not a file: put the value itself there")
            if name in CERTIFICATE:
                values[name] = _pem(name, path)
                continue
            value = _read(path) or ""
            if name in AUTHORITIES:
                if fault := elsewhere.fault_of_certificate(value):
                    raise RefusedError(f"secrets/{name} {fault}")
            elif name in wanted:
                if fault := elsewhere.fault_of_secret(value):
                    raise RefusedError(f"secrets/{name} {fault}: put {wanted[name]} there")
            elif fault := _fault(name, value):
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
        values = {name: _read(self.master / name) for name in self._makes}
        return {name: value for name, value in values.items() if value and not _fault(name, value)}

    def _unrecorded(self, values: dict[str, str]) -> dict[str, str]:
        """The secrets that the record beside their data does not know: name to volume."""
        records = {volume: fingerprint.read(self.volumes / volume) for volume in VOLUMES}
        without = {part.volume for part in self._parts}
        return {
            name: secret.guards
            for name, secret in self._makes.items()
            if secret.guards
            and secret.guards not in without
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
        key = _read(self.master / RECOVERY_KEY)
        if key and key != values[RECOVERY_KEY]:
            self._write(self.master / PREVIOUS_KEY, key)
        for name in self._makes:  # those of before stay, for the way back
            self._write(self.master / name, values[name])
        files.keep_only(self.master, {*SECRETS, PREVIOUS, PREVIOUS_KEY, ".lock"})
        for volume in set(unrecorded.values()):
            guarded = {name: values[name] for name in SECRETS if SECRETS[name].guards == volume}
            fingerprint.write(self.volumes / volume, guarded, self.give)
        for volume, user in VOLUMES.items():
            if _mounted(self.volumes / volume):
                mode = 0o770 if volume in BY_GROUP else 0o700
                self._own(self.volumes / volume, user, mode)
        values = dict.fromkeys((*GIVEN_ONLY, *CERTIFICATE), "") | values
        texts = {name: elsewhere.Text(value) for name, value in values.items()}
        absent = {reader for part in self._parts for reader in part.readers}
        for reader, wants in READERS.items():
            folder = self.readers / reader
            if not _mounted(folder):
                continue
            templates = {} if reader in absent else dict(wants.files)
            certificates = {}
            if wants.uses_stores:
                for part in self._parts:
                    templates |= part.files
                    if part.certificate in values:
                        certificates[part.certificate] = values[part.certificate]
            filled = {file: text.format_map(texts) for file, text in templates.items()}
            for file, text in (filled | certificates).items():
                self._write(folder / file, text, wants.user, 0o440 if wants.by_group else 0o400)
            files.keep_only(folder, {*filled, *certificates})
            self._own(folder, wants.user, 0o750 if wants.by_group else 0o700)

    def _write(self, path: Path, text: str, user: int = 0, mode: int = 0o400) -> None:
        if _read(path, strip=False) != text:
            files.write(path, text, user, self.give, mode)

    def _own(self, folder: Path, user: int, mode: int) -> None:
        """Give a folder away, with all that is in it where an older version had another user."""
        folder.chmod(mode)
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
    """A PEM file of the user's. Raises RefusedError for any other."""
    text = _read(path) or ""
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
    foreign = KNOWN[name].foreign
    if not (_FOREIGN if foreign else _PLAIN).fullmatch(value):
        return f"may hold letters, digits and {'._~+/=-' if foreign else '._~-'} only, in one line"
    if not KNOWN[name].minimum <= len(value) <= LONGEST:
        return f"needs {KNOWN[name].minimum} to {LONGEST} characters, has {len(value)}"
    return None
