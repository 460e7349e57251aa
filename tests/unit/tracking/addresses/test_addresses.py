"""What addresses name, whose permissions hold for that, and what MLflow calls what is guarded."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Span
from mlflow.exceptions import MlflowException
from mlflow.prompt import constants
from mlflow.server import artifact_router, auth, handlers
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
)
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from mlflow.tracing.constant import SpanAttributeKey, SpansLocation, TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from sqlalchemy import event
from sqlalchemy.orm import Session

from tracking_server.addresses import command, meaning
from tracking_server.addresses.caller import NoLogins
from tracking_server.addresses.guard import TRACE_TAGS, Guard
from tracking_server.addresses.meaning import (
    Elsewhere,
    LoggedModel,
    NoFiles,
    Place,
    Run,
    UnsoundError,
    Version,
)
from tracking_server.addresses.owners import Experiment, Model, OutsideError, Owners, UnownedError
from tracking_server.addresses.rows import Rows
from tracking_server.errors import RefusedError

RUN, OTHER_RUN, STRAY, LOGGED = "a" * 32, "b" * 32, "c" * 32, "m-" + "d" * 32
SHARED, BUCKET = "mlflow-artifacts:/shared", "s3://theirs/folder"

# One that is no number, as an experiment's own folder is.
parts = st.text(st.characters(categories=["L", "N"], include_characters=" -_.@"), min_size=1)
sound_parts = parts.filter(lambda part: part not in (".", "..") and part == part.strip())


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("mlflow-artifacts:/1/x/artifacts/model", Place("1/x/artifacts/model")),
        ("mlflow-artifacts:/1/", Place("1")),
        (f"runs:/{RUN}/model", Run(RUN, "model")),
        (f"runs:/{RUN}", Run(RUN, "")),
        (f"models:/{LOGGED}", LoggedModel(LOGGED)),
        ("models:/wine/3", Version("wine", "3")),
        ("models:/wine/latest", Version("wine", "latest")),
        ("models:/a b@champion", Version("a b", "@champion")),
        ("models:/100%20/1", Version("100%20", "1")),
        ("dummy-source", NoFiles()),
        ("mlflow-artifacts:/1/100%", Place("1/100%")),
        ("s3://bucket/1", Elsewhere("s3://bucket/1")),
        ("S3://bucket/1", Elsewhere("S3://bucket/1")),
        ("MLflow-Artifacts:/1/x", Elsewhere("MLflow-Artifacts:/1/x")),
        ("/srv/folder", Elsewhere("/srv/folder")),
        ("relative", Elsewhere("relative")),
        ("", Elsewhere("")),
    ],
)
def test_an_address_names_one_thing(address, named):
    assert meaning.parse(address) == named


@pytest.mark.parametrize(
    "address",
    [
        "mlflow-artifacts:/",
        "mlflow-artifacts:1/x",
        "mlflow-artifacts://host/1/x",
        "mlflow-artifacts:///1/x",
        "mlflow-artifacts:/1//x",
        "mlflow-artifacts:/1/./x",
        "mlflow-artifacts:/1/../2",
        "mlflow-artifacts:/1/%2e%2e/2",
        "mlflow-artifacts:/1/%252e",
        "mlflow-artifacts:/1/a%20b",
        "mlflow-artifacts:/1/x?y",
        "mlflow-artifacts:/1/x#y",
        "mlflow-artifacts:/1\\x",
        "mlflow-artifacts:/1/x\n",
        " mlflow-artifacts:/1/x",
        f"runs:/{RUN}/../{OTHER_RUN}",
        "models:/wine/1/2",
        "models:/@x",
        "models://host/wine/1",
        "models:/wine/..",
    ],
)
def test_what_can_be_read_in_several_ways_is_refused(address):
    with pytest.raises(UnsoundError):
        meaning.parse(address)


@given(st.lists(sound_parts, min_size=1))
def test_a_sound_path_is_what_every_reader_makes_of_it(inside):
    path = "/".join(inside)
    assert meaning.sound(path) == path
    assert handlers.validate_path_is_safe(path) == path  # MLflow's own reading
    assert meaning.parse(f"mlflow-artifacts:/{path}") == Place(path)
    proxied = handlers._get_proxied_run_artifact_destination_path(f"mlflow-artifacts:/{path}")
    assert proxied == path


@given(st.text())
def test_a_path_is_sound_or_refused_and_stays_below_its_root(path):
    try:
        sound = meaning.sound(path)
    except UnsoundError:
        return
    assert sound == path
    assert not sound.startswith("/")
    assert ".." not in sound.split("/")


@given(st.text())
def test_any_string_means_something_or_is_refused(address):
    try:
        named = meaning.parse(address)
    except UnsoundError:
        return
    if isinstance(named, Place):
        assert named.address.rstrip("/") == address.rstrip("/")


def test_mlflows_placeholders_are_known():
    assert meaning.PLACEHOLDERS == constants._PROMPT_SOURCE_PLACEHOLDERS


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Two experiments in their own folders, one whose artifacts were moved, one that an old row
    puts into the first's folder."""
    database = f"sqlite:///{tmp_path_factory.mktemp('addresses')}/mlflow.db"
    engine = TrackingStore(database, "mlflow-artifacts:/").engine
    with Session(engine) as session:
        for experiment, location in (
            (1, "mlflow-artifacts:/1"),
            (2, "mlflow-artifacts:/2"),
            (3, "mlflow-artifacts:/shared/three"),
            (4, "mlflow-artifacts:/1"),
            (5, f"{BUCKET}/five"),
        ):
            session.add(
                SqlExperiment(
                    experiment_id=experiment,
                    name=f"number {experiment}",
                    artifact_location=location,
                )
            )
        for run, experiment, address in (
            (RUN, 1, f"mlflow-artifacts:/1/{RUN}/artifacts"),
            (OTHER_RUN, 3, f"mlflow-artifacts:/shared/three/{OTHER_RUN}/artifacts"),
            (STRAY, 4, f"mlflow-artifacts:/1/{STRAY}/artifacts"),
        ):
            session.add(SqlRun(run_uuid=run, experiment_id=experiment, artifact_uri=address))
        session.add(
            SqlLoggedModel(
                model_id=LOGGED,
                experiment_id=2,
                name="kept",
                artifact_location=f"mlflow-artifacts:/2/models/{LOGGED}/artifacts",
                creation_timestamp_ms=1,
                last_updated_timestamp_ms=1,
                status=2,
            )
        )
        session.add(SqlRegisteredModel(name="wine", workspace="default"))
        session.flush()
        for number, source, storage in (
            (1, f"mlflow-artifacts:/1/{RUN}/artifacts/model", None),
            (2, f"models:/{LOGGED}", f"mlflow-artifacts:/2/models/{LOGGED}/artifacts"),
            (3, "models:/wine/1", f"runs:/{RUN}/model"),
            (4, "s3://elsewhere/x", "s3://elsewhere/x"),
            (5, "models:/wine/5", "models:/wine/5"),
            (6, "dummy-source", "dummy-source"),
            (7, f"{BUCKET}/five/x", None),
        ):
            session.add(
                SqlModelVersion(
                    name="wine",
                    version=number,
                    source=source,
                    storage_location=storage,
                    workspace="default",
                    current_stage="Production" if number == 2 else "None",
                )
            )
        session.add(
            SqlRegisteredModelAlias(name="wine", alias="best", version=3, workspace="default")
        )
        session.commit()
        yield session
    engine.dispose()


@pytest.fixture
def owners(session):
    return Owners(Rows(session), (SHARED, BUCKET))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"mlflow-artifacts:/1/{RUN}/artifacts/x", [Experiment("1", f"{RUN}/artifacts/x")]),
        ("mlflow-artifacts:/1", [Experiment("1", "")]),
        (
            f"runs:/{RUN}/model",
            [Experiment("1", f"{RUN}/artifacts"), Experiment("1", f"{RUN}/artifacts/model")],
        ),
        (
            f"mlflow-artifacts:/shared/three/{OTHER_RUN}/artifacts",
            [Experiment("3", f"{OTHER_RUN}/artifacts")],
        ),
        ("mlflow-artifacts:/shared/three", [Experiment("3", "")]),
        ("mlflow-artifacts:/shared/threefold", []),
        (f"models:/{LOGGED}", [Experiment("2", f"models/{LOGGED}")] * 2),
        ("models:/wine/1", [Model("wine"), Experiment("1", f"{RUN}/artifacts/model")]),
        ("models:/wine/Production", [Model("wine"), Experiment("2", f"models/{LOGGED}")]),
        ("models:/wine@best", [Model("wine"), *[Experiment("1", f"{RUN}/artifacts")] * 2]),
        ("models:/wine/6", [Model("wine")]),
        ("models:/wine/7", [Model("wine"), Experiment("5", "x")]),
        (f"{BUCKET}/five/x", [Experiment("5", "x")]),
        ("prompt-template", []),
    ],
)
def test_whose_permissions_hold(owners, address, expected):
    def outline(owner):
        inside = getattr(owner, "inside", "").removesuffix("/artifacts").removesuffix("/model")
        return type(owner), getattr(owner, "id", ""), inside.removesuffix("/artifacts")

    assert list(map(outline, owners.of(address))) == list(map(outline, expected))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("mlflow-artifacts:/99/x", "no experiment 99"),
        ("mlflow-artifacts:/01/x", "no experiment 01"),
        (f"mlflow-artifacts:/{'9' * 5000}/x", "no experiment 9"),
        (f"models:/wine/{'9' * 30}", "no version 9"),
        ("mlflow-artifacts:/٣/x", "no experiment"),
        ("mlflow-artifacts:/free/x", "no experiment's folder"),
        (SHARED, "experiment 3, and perhaps others, lie below it"),
        (BUCKET, "experiment 5, and perhaps others, lie below it"),
        (f"mlflow-artifacts:/1/{STRAY}/artifacts/x", "not in its own"),
        (f"mlflow-artifacts:/1/models/{LOGGED}/artifacts", "not in its own"),
        (f"runs:/{STRAY}/x", "not in its own"),
        (f"runs:/{'e' * 32}/x", "no such run"),
        ("models:/m-none", "no such run or logged model"),
        ("models:/wine/99", "no version 99"),
        ("models:/wine@none", "no version @none"),
        ("models:/beer/1", "no version 1"),
        ("models:/wine/5", "too many"),
    ],
)
def test_what_nobody_owns(owners, address, why):
    with pytest.raises(UnownedError, match=why) as caught:
        owners.of(address)
    assert not isinstance(caught.value, OutsideError)


@pytest.mark.parametrize(
    "address",
    ["s3://elsewhere/x", "/srv/x", "file:///srv/x", "models:/wine/4", "s3://theirs/folderol", ""],
)
def test_what_lies_outside(owners, address):
    with pytest.raises(OutsideError):
        owners.of(address)


@pytest.mark.parametrize("address", [f"{BUCKET}/../x", f"{BUCKET}//x", f"{SHARED}/./x"])
def test_a_prefix_allows_no_way_out_of_it(owners, address):
    with pytest.raises(UnsoundError):
        owners.of(address)


def test_the_command_lists_what_would_be_refused(session):
    refused = {(row.kind, row.id) for row in command.refused(session, (SHARED, BUCKET))}
    assert refused == {("experiment", "4"), ("run", STRAY), ("version", "4"), ("version", "5")}
    # Without the prefix, also what lies below it.
    more = {(row.kind, row.id) for row in command.refused(session, (SHARED,))} - refused
    assert more == {("experiment", "5"), ("version", "7")}


def test_the_command_asks_no_more_for_more_versions(tmp_path):
    engine = TrackingStore(f"sqlite:///{tmp_path}/mlflow.db", "mlflow-artifacts:/").engine
    with Session(engine) as session:
        session.add(SqlRegisteredModel(name="wine", workspace="default"))
        for number in range(1, 101):
            run, address = f"{number:032x}", f"mlflow-artifacts:/0/{number:032x}/artifacts"
            session.add(SqlRun(run_uuid=run, experiment_id=0, artifact_uri=address))
            session.flush()
            session.add(
                SqlModelVersion(
                    name="wine",
                    version=number,
                    run_id=run,
                    source=f"{address}/model" if number % 2 else f"runs:/{run}/model",
                    workspace="default",
                    current_stage="None",
                )
            )
        session.commit()
        asked = []
        event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        assert list(command.refused(session, ())) == []
        assert len(asked) < 20
    engine.dispose()


class Somebody:
    """A user with permission on experiment 1 alone."""

    has_logins = True

    def is_administrator(self) -> bool:
        return False

    def allow(self, owner, action) -> bool:
        return owner == Model("wine") or (owner.id == "1" and action == "read")


class Administrator(Somebody):
    def is_administrator(self) -> bool:
        return True


@pytest.fixture
def guard(session):
    def for_caller(permissions):
        return Guard(session.get_bind, permissions, (SHARED,))

    return for_caller


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        (f"runs:/{RUN}/x", None),
        ("models:/wine/1", None),
        ("models:/wine/2", "PERMISSION_DENIED"),
        (f"models:/{LOGGED}", "PERMISSION_DENIED"),
        ("mlflow-artifacts:/99/x", "PERMISSION_DENIED"),
        ("models:/wine/4", "INVALID_PARAMETER_VALUE"),
        ("/srv/x", "INVALID_PARAMETER_VALUE"),
        ("mlflow-artifacts:/1/../2", "INVALID_PARAMETER_VALUE"),
    ],
)
def test_sources_are_asked_about(guard, address, refused):
    if refused is None:
        guard(Somebody()).source(address)
        return
    with pytest.raises(MlflowException) as caught:
        guard(Somebody()).source(address)
    assert caught.value.error_code == refused
    assert len(caught.value.message.splitlines()) == 1


def test_without_logins_all_that_lies_in_the_store_may_be_a_source(guard):
    for address in ("mlflow-artifacts:/99/x", f"runs:/{STRAY}/x", f"models:/{LOGGED}"):
        guard(NoLogins()).source(address)
        guard(NoLogins()).use(address)
    for address in ("s3://elsewhere/x", "/srv/x", "models:/wine/4", "mlflow-artifacts:/1/./x"):
        with pytest.raises(MlflowException, match="Invalid model version source"):
            guard(NoLogins()).source(address)
        with pytest.raises(MlflowException, match="Permission denied"):
            guard(NoLogins()).use(address)


def test_locations_are_the_servers_to_choose(guard):
    guard(Somebody()).location("")
    guard(Administrator()).location(f"{SHARED}/x")
    guard(NoLogins()).location(f"{SHARED}/x")
    with pytest.raises(MlflowException, match="for administrators"):
        guard(Somebody()).location(f"{SHARED}/x")
    for address in ("mlflow-artifacts:/1", "s3://b/x", "/srv", f"{SHARED}/../1", f"{SHARED}//x"):
        with pytest.raises(MlflowException, match="TRACKING_ARTIFACT_PREFIXES"):
            guard(Administrator()).location(address)


def test_no_prefix_lets_artifacts_be_put_on_the_servers_disk(session):
    guard = Guard(session.get_bind, Administrator(), ("/srv/old",))
    with pytest.raises(MlflowException, match="this server chooses it"):
        guard.location("/srv/old/x")
    reads = Guard(session.get_bind, NoLogins(), ("/srv/old",))
    reads.use("/srv/old/1/x")
    with pytest.raises(MlflowException, match="Permission denied"):
        reads.use("/srv/older/1/x")


def test_a_prompt_has_no_files(guard):
    guard(Somebody()).use("dummy-source")
    with pytest.raises(MlflowException, match="no artifacts") as caught:
        guard(Somebody()).files("dummy-source")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("prefixes", "taken"),
    [
        ("mlflow-artifacts:/team, s3://bucket/a/ ,", ("mlflow-artifacts:/team", "s3://bucket/a")),
        ("/srv/mlruns,file:///srv/mlruns", ("/srv/mlruns", "file:///srv/mlruns")),
        ("", ()),
    ],
)
def test_prefixes_are_split(load, prefixes, taken):
    assert load(TRACKING_ARTIFACT_PREFIXES=prefixes).artifact_prefixes == taken


@pytest.mark.parametrize(
    "prefix",
    [
        "mlflow-artifacts:/",
        "mlflow-artifacts:/7",
        "mlflow-artifacts:/7/x",
        "mlflow-artifacts:/a/../7",
        "mlflow-artifacts://host/x",
        "s3://",
        "s3:///x",
        "/",
        "relative",
        "/srv/%2e",
        "gs://bucket",
    ],
)
def test_a_prefix_that_allows_too_much_is_refused(load, prefix):
    with pytest.raises(RefusedError, match="TRACKING_ARTIFACT_PREFIXES"):
        load(TRACKING_ARTIFACT_PREFIXES=prefix)


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (auth, "_artifact_proxy_path_from_request_path", ["path", "query_path"]),
        (auth, "_canonical_artifact_proxy_path", ["artifact_path"]),
        (auth, "_artifact_proxy_path", []),
        (auth, "_artifact_proxy_child", ["artifact_path", "action"]),
        (
            auth,
            "_authorize_artifact_proxy_resolved",
            ["child", "username", "action", "experiment_permission"],
        ),
        (auth, "_get_experiment_permission", ["experiment_id", "username"]),
        (auth, "authorize", ["username", "anchor", "requirements"]),
        (TrackingStore, "_delete_archived_trace_payloads", ["self", "selected_traces"]),
        (TrackingStore, "create_experiment", ["self", "name", "artifact_location", "tags"]),
        (TrackingStore, "start_trace", ["self", "trace_info"]),
        (TrackingStore, "set_trace_tag", ["self", "trace_id", "key", "value"]),
        (TrackingStore, "delete_trace_tag", ["self", "trace_id", "key"]),
        (TrackingStore, "link_traces_to_run", ["self", "trace_ids", "run_id"]),
        (TrackingStore, "log_spans", ["self", "location", "spans", "tracking_uri"]),
        (RegistryStore, "get_model_version_download_uri", ["self", "name", "version"]),
        (Span, "get_attribute", ["self", "key"]),
    ],
)
def test_mlflow_still_has_what_is_overridden_or_called(owner, name, parameters):
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_mlflow_still_reaches_for_files_where_it_is_stopped():
    """Each route that touches the artifact store goes through one of the functions above."""
    proxied = [
        handlers._download_artifact,
        handlers._upload_artifact,
        handlers._list_artifacts_mlflow_artifacts,
        handlers._delete_artifact_mlflow_artifacts,
        handlers._create_multipart_upload_artifact,
        handlers._complete_multipart_upload_artifact,
        handlers._abort_multipart_upload_artifact,
        handlers._get_presigned_download_url,
        handlers.get_artifact_handler,
        handlers.get_model_version_artifact_handler,
        handlers.get_logged_model_artifact_handler,
        handlers._list_artifacts_for_proxied_run_artifact_root,
        handlers.upload_artifact_handler,
    ]
    for route in proxied:
        assert "_get_workspace_scoped_repo_path_if_enabled(" in inspect.getsource(route)
    reaching = inspect.getsource(handlers).split("\ndef ")
    through = [
        text.partition("(")[0] for text in reaching if " get_artifact_repository(" in f" {text}"
    ]
    assert set(through) == {
        "_get_artifact_repo_mlflow_artifacts",
        "_get_trace_repo_from_uri",
        "_get_artifact_repository_for_uri",
    }
    assert inspect.getsource(artifact_router).count("_get_workspace_scoped_path(") == 3
    archived = inspect.getsource(TrackingStore._get_spans_with_trace_info)
    assert "get_artifact_repository(get_archive_uri_for_trace(" in archived


def test_the_tags_of_traces_are_mlflows():
    archive = {TraceTagKey.ARCHIVE_LOCATION, TraceTagKey.SPANS_LOCATION}
    assert archive | {MLFLOW_ARTIFACT_LOCATION} == TRACE_TAGS
    assert SpansLocation.ARCHIVE_REPO.value == "ARCHIVE_REPO"
    assert SpanAttributeKey.TRACE_TAG_PREFIX == "mlflow.traceTag."
    blocked = handlers._HANDLER_BLOCKED_TRACE_TAGS  # of one route alone
    assert archive <= blocked
