"""What the tests of the mail transports share."""

from contextlib import ExitStack

import pytest

from .scripted import ScriptedServer


@pytest.fixture
def scripted():
    with ExitStack() as stack:

        def scripted(**script) -> ScriptedServer:
            server = ScriptedServer(**script)
            stack.callback(server.stop)
            return server

        yield scripted
