"""What each way out of mailer.toml makes of the message on its way: what is not as it is seen here."""

from ..config import Config
from ..edition import Edition
from ..errors import ConfigError
from ..transports import Traits, refuse_pictures, transport_module


def ways(config: Config, edition: Edition) -> list[tuple[str, str]]:
    """Each transport's name, and its notes in one text; none of those that change nothing."""
    found = []
    for name, way in config.transports.items():
        traits: Traits = transport_module(way.use).TRAITS
        notes = list(traits.notes)
        try:
            refuse_pictures(way.use, edition)
        except ConfigError as error:
            notes.append(str(error))
        if notes:
            found.append((f"{name} ({way.use})", "; ".join(notes)))
    return found
