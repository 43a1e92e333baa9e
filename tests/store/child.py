"""A process that uses a store until it is killed: `python -m tests.store.child PATH ROLE`.

Role `hold`: takes the lock, claims one turn, waits. Role `work`: accepts and finishes turns as
fast as it can and says each promise after the store gave it.
"""

import asyncio
import sys
from pathlib import Path

from gateway.contract import Address
from gateway.store.protocol import Store
from gateway.store.sqlite.store import open_sqlite
from tests.store.builders import accept_one, chat_turn, claimed_turn, commit, reply, terms


def say(line: str) -> None:
    """Tell the parent."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def work(store: Store, number: int) -> None:
    """Turns of one chat, one after the other."""
    while True:
        new = chat_turn("hi", address=Address("tg", str(number)))
        accepted = await accept_one(store, new, claim=terms("child", limit=1))
        say(f"accepted {accepted.turn_id}")
        for claimed in [accepted.claimed] if accepted.claimed else await store.claim(terms()):
            committed = await commit(store, claimed, reply(parts=2))
            if committed.is_committed:
                say(f"done {claimed.turn.id}")


async def main() -> None:
    """Play the role until killed."""
    path, role = sys.argv[1:]
    async with open_sqlite(Path(path), lock=True, owner="child") as store:
        if role == "hold":
            await claimed_turn(store)
            say("ready")
            await asyncio.Event().wait()
        say("ready")
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(work(store, number))


if __name__ == "__main__":
    asyncio.run(main())
