"""Pace: how many messages may go now, and when the next may; whether to go on at all."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` messages in any `period` seconds, such as 50 in 1 or 2000 in 86400."""

    count: int
    period: int

    def __str__(self) -> str:
        return f"{self.count}/{ {1: 's', 60: 'min', 3600: 'h', 86400: 'd'}[self.period] }"


@dataclass(frozen=True, slots=True)
class Policy:
    """[delivery] of mailer.toml: when a deferred message is tried again, and when a run stops."""

    retry: tuple[float, ...] = (60, 300, 1800, 7200)  # seconds after the first, second … and every further deferral
    max_attempts: int = 10
    give_up_after: float = 86400  # seconds since the plan
    wait: float = 120  # seconds that a run waits for people who are due again, or for a rate; longer: exit 75
    brake: float = 0.05  # stop when more than this part of the answers are refusals; 1: never
