"""Bodies wait for room in their order, and what is given back is there for others."""

import asyncio

from tracking_server.http.room import Room


def test_one_alone_gets_more_than_there_is():
    async def alone():
        room = Room(10)
        assert await room.take(100, 1)
        assert not await room.take(1, 0.01)
        room.give(100)
        assert await room.take(1, 0.01)

    asyncio.run(alone())


def test_others_wait_in_their_order():
    async def crowd():
        room, order = Room(10), []

        async def ask(size):
            assert await room.take(size, 5)
            order.append(size)

        await ask(8)
        others = [asyncio.create_task(ask(size)) for size in (7, 2, 1)]
        await asyncio.sleep(0.01)
        assert order == [8]  # 2 has room, and is behind 7
        room.give(8)
        await asyncio.gather(*others)
        assert order == [8, 7, 2, 1]

    asyncio.run(crowd())


def test_who_leaves_keeps_nothing():
    async def leaving():
        room = Room(10)
        assert await room.take(10, 1)
        assert not await room.take(9, 0.01)  # has no patience
        left = asyncio.create_task(room.take(9, 5))
        behind = asyncio.create_task(room.take(10, 5))
        await asyncio.sleep(0.01)
        left.cancel()
        room.give(10)
        assert await behind
        await asyncio.gather(left, return_exceptions=True)
        assert left.cancelled()
        room.give(10)
        assert await room.take(10, 0.01)

    asyncio.run(leaving())
