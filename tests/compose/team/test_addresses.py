"""The same on the stack, over TLS: no address is a way around permissions."""

import pytest

from tests import addresses
from tests.addresses import PROBES, USERS, Door, OldRows


@pytest.fixture(scope="module")
def world(team):
    def client(login):
        return team.client(base_url=team.tracking, auth=login)

    def run(*arguments: str) -> str:
        return team.stack.execute("tracking", "tracking-server", *arguments)

    admin = "admin", team.admin
    yield from addresses.world(Door(client, admin, "s3://mlflow", team.stack.sql, run))


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", PROBES)
def test_an_address_opens_what_its_caller_may_have(world, name, user):
    addresses.check(world, name, user)


@pytest.mark.parametrize("user", USERS)
def test_graphql_lists_what_its_caller_may_have(world, user):
    addresses.check_graphql(world, user)


def test_old_rows_are_for_administrators_and_are_listed(world):
    addresses.check_old_rows(world, OldRows(world, "denied"))
