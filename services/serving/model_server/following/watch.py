"""When a folder of this machine counts as another version."""

from model_server.models.folder import Look, look


class Watch:
    """Looks at one folder again and again."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._last: Look | None = None
        self.taken: Look | None = None
        """The version's that is to be served; None until it is known."""

    def look(self, *, works: bool, own: frozenset[str] = frozenset()) -> None:
        """A change is taken when two looks in a row see the same. `works`: whether what was taken
        is served, so that files beside it may be its own; `own` are known to be."""
        now = look(self._folder).without(own)
        same = now == self.taken or (works and self.taken and self.taken.is_within(now))
        if not same and (now == self._last or (self.taken is None and now.is_settled)):
            self.taken = now
        self._last = now
