"""What the tests of the mail transports share."""

import smtplib
import ssl
from contextlib import ExitStack

import pytest
import trustme

from alliance_mailer.transports._smtp_session import Options, check, open_session

from .scripted import ScriptedServer


@pytest.fixture
def scripted():
    with ExitStack() as stack:

        def scripted(**script) -> ScriptedServer:
            server = ScriptedServer(**script)
            stack.callback(server.stop)
            return server

        yield scripted


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return "ca.pem"


@pytest.fixture
def certified(authority):
    """A server's TLS, with a certificate for a name."""

    def certified(name="localhost", *, by=authority, **dates) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        by.issue_cert(name, **dates).configure_cert(context)
        return context

    return certified


@pytest.fixture
def opened(tmp_path):
    """A session with a server, as far as the settings lead to one."""
    with ExitStack() as stack:

        def opened(port, environ=None, **options) -> smtplib.SMTP:
            options = Options(**{"host": "localhost", "port": port, "timeout": 2.0, **options})
            environ = environ or {}
            check(options, project=tmp_path, issue="2.6", environ=environ)
            smtp = open_session(options, tmp_path, environ)
            stack.callback(smtp.close)
            return smtp

        yield opened
