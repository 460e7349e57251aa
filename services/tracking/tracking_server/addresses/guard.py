"""Lets an address pass, or refuses it in one line that MLflow's clients show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from mlflow.entities import Span
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.tracing.constant import SpanAttributeKey, SpansLocation, TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from tracking_server.addresses import meaning
from tracking_server.addresses.caller import Action, Permissions
from tracking_server.addresses.meaning import Elsewhere, Place, UnsoundError
from tracking_server.addresses.owners import (
    Experiment,
    OutsideError,
    Owner,
    Owners,
    UnownedError,
)
from tracking_server.addresses.rows import Rows

SETTING = "TRACKING_ARTIFACT_PREFIXES"
TRACE_TAGS = frozenset(
    {MLFLOW_ARTIFACT_LOCATION, TraceTagKey.ARCHIVE_LOCATION, TraceTagKey.SPANS_LOCATION}
)
"""Tags by which MLflow finds a trace's data."""
ADMINISTRATORS = "only administrators may use it"
MOVE = "move it there, and run `tracking-server adopt`"

T = TypeVar("T")


class Guard:
    """Decides about addresses.

    engine: gives the backend store's, once there is one. prefixes: addresses below which the
    operator lets artifacts lie.
    """

    def __init__(
        self, engine: Callable[[], Engine], permissions: Permissions, prefixes: tuple[str, ...]
    ) -> None:
        self._engine = engine
        self._permissions = permissions
        self._prefixes = prefixes

    # What is about to be used. All raise MlflowException: PERMISSION_DENIED.

    def use(self, address: str, action: Action = "read") -> None:
        """Refuse unless the caller may do that with what an address in the backend store names."""
        if self._permissions.is_administrator():
            return
        try:
            owners = self._owners_of(address)
        except (UnsoundError, UnownedError) as error:
            raise _denied(f"the address {address!r} is refused: {error}; {self._way_out}") from None
        self._demand(owners, action, f"what lies at {address!r}")

    def files(self, address: str, action: Action = "read") -> None:
        """Do as `use`, where files are about to be; RESOURCE_DOES_NOT_EXIST for a prompt."""
        if address in meaning.PLACEHOLDERS:
            raise MlflowException("A prompt has no artifacts.", RESOURCE_DOES_NOT_EXIST)
        self.use(address, action)

    def path(self, path: str, action: Action) -> None:
        """Refuse unless the caller may do that at a path below the artifact store's root, "" for
        the root. INVALID_PARAMETER_VALUE for one that can be read in several ways."""
        place = self.place(path)
        if not self._permissions.has_logins or self._permissions.is_administrator():
            return
        try:
            owners = self._ask(lambda owners: owners.of_place(place)) if place else []
        except UnownedError as error:
            raise _denied(f"no artifacts at {path!r}: {error}; {ADMINISTRATORS}") from None
        if not owners:
            raise _denied(f"{path!r} belongs to no experiment; {ADMINISTRATORS}")
        self._demand(owners, action, f"artifacts at {path!r}")

    def place(self, path: str) -> Place | None:
        """The place at a path below the artifact store's root, None for the root itself."""
        path = path.removesuffix("/")
        try:
            return Place(meaning.sound(path)) if path else None
        except UnsoundError as error:
            raise _invalid(f"Invalid path {path!r}: {error}.") from None

    # What is about to be stored. All raise MlflowException: PERMISSION_DENIED, or
    # INVALID_PARAMETER_VALUE for what nobody may store.

    def source(self, address: str) -> None:
        """Refuse a model version's source unless the caller may read what it names."""
        administrator = self._permissions.is_administrator()
        try:
            owners = self._owners_of(address)
        except (UnsoundError, OutsideError) as error:
            raise _invalid(
                f"Invalid model version source {address!r}: {error}. Expected runs:/, models:/ or "
                "mlflow-artifacts:/, and what is stored here."
            ) from None
        except UnownedError as error:
            if not administrator:
                raise _denied(f"no permission to read what {address!r} names") from None
            raise _invalid(f"Invalid model version source {address!r}: {error}.") from None
        if isinstance(meaning.parse(address), Elsewhere):
            self._administrators_alone(f"the source {address!r}")
        if not administrator:
            self._demand(owners, "read", f"what {address!r} names")

    def location(self, address: str | None) -> None:
        """Refuse an experiment's artifact location that the operator does not allow."""
        if not address:
            return
        if not self._allows(address):
            raise _invalid(
                f"Invalid artifact_location {address!r}: this server chooses it; leave it out. "
                f"Operators allow others by {SETTING}."
            )
        self._administrators_alone(f"the artifact location {address!r}")

    def new_trace(self, trace_id: str, tags: dict[str, str]) -> None:
        """Refuse an id that is no name of a folder, and what says where the data lies; what the
        server gave for another trace, and a client copied, is taken out of `tags`."""
        try:
            if "/" in meaning.sound(trace_id):
                raise UnsoundError("it has a slash")
        except UnsoundError as error:
            raise _invalid(f"Invalid trace id {trace_id!r}: {error}.") from None
        if tags.keys().isdisjoint(TRACE_TAGS):
            return
        if _is_traces_folder(tags.get(MLFLOW_ARTIFACT_LOCATION)):
            del tags[MLFLOW_ARTIFACT_LOCATION]
        for key in TRACE_TAGS & tags.keys():
            self._trace_tag(key, tags[key], None)

    def trace_tags(self, trace_id: str, tags: Mapping[str, str]) -> None:
        """Refuse tags of a trace that would move its data."""
        for key in TRACE_TAGS & tags.keys():
            self._trace_tag(key, tags[key], trace_id)

    def kept_trace_tag(self, key: str) -> None:
        """Refuse to delete a tag by which a trace's data is found."""
        if key == MLFLOW_ARTIFACT_LOCATION:
            raise _invalid(f"The tag {key!r} of a trace is this server's.")

    def spans(self, spans: list[Span]) -> None:
        """Refuse spans that would give their trace such tags."""
        for span in spans:
            if span.parent_id is None:
                for key in TRACE_TAGS:
                    value = span.get_attribute(f"{SpanAttributeKey.TRACE_TAG_PREFIX}{key}")
                    if value is not None:
                        self._trace_tag(key, str(value), None)

    def traces(self, ids: Collection[str], experiment: str | None, action: Action) -> None:
        """Refuse what reaches for traces of other experiments than the one it is sent to, unless
        the caller may do that with them: "update" adds to them, "manage" takes them away."""
        if not self._permissions.has_logins:
            return
        experiments = self._ask_rows(lambda rows: rows.experiments_of_traces(ids))
        others = [
            Experiment(other, f"traces/{trace}/artifacts")
            for trace, other in experiments.items()
            if other != experiment
        ]
        if others and not self._permissions.is_administrator():
            self._demand(others, action, "a trace of another experiment")

    def assessments(self, ids: Collection[str], trace_id: str) -> None:
        """Refuse assessments that a client numbers as those of another trace."""
        if any(one != trace_id for one in self._ask_rows(lambda rows: rows.assessed(ids))):
            raise _invalid("An assessment has the id of one that another trace has: leave it out.")

    def run(self, run_id: str) -> None:
        """Refuse what changes a run unless the caller may."""
        if not self._permissions.has_logins or self._permissions.is_administrator():
            return
        row = self._ask_rows(lambda rows: rows.run(run_id))
        if row is not None:  # MLflow says that there is none
            self._demand([Experiment(row[0], f"{run_id}/artifacts")], "update", f"run {run_id}")

    # How it is decided.

    def _trace_tag(self, key: str, value: str, trace_id: str | None) -> None:
        if key == TraceTagKey.SPANS_LOCATION:
            if value != SpansLocation.ARCHIVE_REPO.value:
                return
        elif key == MLFLOW_ARTIFACT_LOCATION and trace_id is not None:
            if value == self._ask_rows(lambda rows: rows.trace_folder(trace_id)):
                return
            if self._allows(value):
                self._administrators_alone(f"the tag {key!r} with {value!r}")
                return
        raise _invalid(f"Invalid tag {key!r} of a trace, {value!r}: this server chooses it.")

    def _allows(self, address: str) -> bool:
        """Whether the operator lets new artifacts lie there; never on this machine's own disk."""
        try:
            named = meaning.parse(address)
        except UnsoundError:
            return False
        if isinstance(named, Elsewhere) and named.on_disk:
            return False
        try:
            return self._ask(lambda owners: owners.allows(address))
        except UnsoundError:
            return False

    def _administrators_alone(self, what: str) -> None:
        if self._permissions.has_logins and not self._permissions.is_administrator():
            raise _denied(f"{what} is for administrators")

    def _demand(self, owners: Sequence[Owner], action: Action, what: str) -> None:
        if not all(self._permissions.allow(owner, action) for owner in owners):
            raise _denied(f"no permission to {action} {what}")

    def _owners_of(self, address: str) -> list[Owner]:
        try:
            return self._ask(lambda owners: owners.of(address))
        except OutsideError:
            raise
        except UnownedError:
            if self._permissions.has_logins:
                raise
            return []

    def _ask(self, question: Callable[[Owners], T]) -> T:
        return self._ask_rows(lambda rows: question(Owners(rows, self._prefixes)))

    def _ask_rows(self, question: Callable[[Rows], T]) -> T:
        try:
            with Session(self._engine()) as session:
                return question(Rows(session))
        except (OperationalError, InterfaceError):
            raise MlflowException(
                "The backend store does not answer; see the tracking server's log.",
                TEMPORARILY_UNAVAILABLE,
            ) from None

    @property
    def _way_out(self) -> str:
        return ADMINISTRATORS if self._permissions.has_logins else MOVE


def _is_traces_folder(address: str | None) -> bool:
    """Whether it looks as this server writes it for some trace."""
    try:
        named = meaning.parse(address or "")
    except UnsoundError:
        return False
    parts = named.path.split("/") if isinstance(named, Place) else []
    return len(parts) > 3 and parts[-3] == "traces" and parts[-1] == "artifacts"


def _denied(message: str) -> MlflowException:
    return MlflowException(f"Permission denied: {message}.", PERMISSION_DENIED)


def _invalid(message: str) -> MlflowException:
    return MlflowException(message, INVALID_PARAMETER_VALUE)
