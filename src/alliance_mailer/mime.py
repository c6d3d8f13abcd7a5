"""The wire's spelling: header fields (RFC 5322, 2047), quoted-printable and base64 (RFC 2045), multipart (RFC 2046).

Our own, where the standard library has an `email` package: it composes each message anew, in milliseconds, and it
folds a long List-Unsubscribe into encoded-words, which RFC 2047 section 5 forbids and which costs the unsubscribe
button in Gmail (python/cpython#85725). Here everything is ASCII, CRLF, lines of at most 76 characters in bodies.
"""

import base64
import itertools
import re
from collections.abc import Callable, Sequence
from hashlib import sha256

CRLF = "\r\n"
SOFT_BREAK = "=\r\n"  # RFC 2045, 6.7 (5): decodes to nothing, so that pieces can be encoded apart and joined

# A line may hold 76 characters (RFC 2045, 6.7 (5)); 75 leaves room for the soft break's "=".
_QP_WIDTH = 75
_QP = [chr(byte) if (33 <= byte <= 126 and byte != 61) or byte in (9, 32) else f"={byte:02X}" for byte in range(256)]

_QP_PLAIN = re.compile(r"(?!\.|From )(?:[ -<>-~]*[!-<>-~])?")


def quoted_printable(text: str) -> str:
    """Encode text; line feeds become CRLF. The result starts at the beginning of a line.

    `binascii.b2a_qp` can emit 78 columns (a trailing blank at the edge), hence our own. A leading dot
    and a leading "From " are encoded too, so that neither SMTP (RFC 5321, 4.5.2) nor an mbox file changes a byte.
    """
    if len(text) <= _QP_WIDTH and _QP_PLAIN.fullmatch(text):
        return text  # nearly every person's value: 0.4 µs instead of 6
    return CRLF.join(_qp_line(line) for line in text.replace("\r\n", "\n").split("\n"))


def _qp_line(line: str) -> str:
    data = line.encode()
    tokens = [_QP[byte] for byte in data]
    if tokens and tokens[-1] in " \t":  # RFC 2045, 6.7 (3): no blank at a line's end
        tokens[-1] = f"={ord(tokens[-1]):02X}"
    whole = "".join(tokens)
    if len(whole) <= _QP_WIDTH and not data.startswith((b".", b"From ")):
        return whole
    lines, current = [], ""
    for index, encoded in enumerate(tokens):
        if len(current) + len(encoded) > _QP_WIDTH:
            lines.append(current + "=")
            current = ""
        escape = not current and (encoded == "." or data[index : index + 5] == b"From ")
        current += f"={data[index]:02X}" if escape else encoded
    return CRLF.join([*lines, current])


def base64_body(data: bytes) -> str:
    """Encode bytes in lines of 76 characters, without a final line end."""
    return base64.encodebytes(data).decode("ascii").rstrip("\n").replace("\n", CRLF)


# Header fields ----------------------------------------------------------------------------------------------------

_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_PLAIN_MAILBOX = re.compile(r"[A-Za-z-]+:(?: [A-Za-z0-9'-]{1,60})+ <[!-;=?-~]+>")  # no word that might need encoding
_WORD_BYTES = 39  # 52 characters of base64, 64 with "=?utf-8?b?" and "?=": 76 hold it behind "Reply-To: " (RFC 2047, 2)


def header_text(name: str, text: str) -> str:
    """An unstructured field (Subject), folded. Raises ValueError for a line break or control character in it."""
    return _field(name, _encode(_words(_clean(name, text)), _plain))


def mailbox(name: str, display_name: str, address: str) -> str:
    """A field of one mailbox (From, To, Reply-To), any script in the display name. Raises as `header_text`."""
    field = f"{name}: {display_name} <{address}>"
    if len(field) <= 76 and _PLAIN_MAILBOX.fullmatch(field):
        return field + CRLF  # nearly every person's: 0.7 µs instead of 6
    display_name, address = _clean(name, display_name), _clean(name, address)
    return _field(name, [*phrase(display_name), f"<{address}>"] if display_name else [address])


def phrase(text: str) -> list[str]:
    """A display name (RFC 5322, 3.2.5) as words to fold between: atoms, a quoted string, or encoded-words."""
    words = _words(text)
    if all(map(_ATOM.fullmatch, words)) and all(map(_plain, words)):
        return words
    if all(map(_plain, words)):
        return ('"' + re.sub(r'(["\\])', r"\\\1", text) + '"').split(" ")
    return _encode(words, lambda word: bool(_ATOM.fullmatch(word)) and _plain(word))


def structured(name: str, *parts: str) -> str:
    """A field of tokens and URIs (List-*, Message-ID, Feedback-ID), folded only between `parts`.

    Raises ValueError for anything but printable ASCII: such a field holds no encoded-word (RFC 2047, 5).
    """
    for part in parts:
        if not (part.isascii() and part.isprintable()):
            raise ValueError(f"{name}: {part!r} is not printable ASCII")
    return f"{name}: {(',' + CRLF + ' ').join(parts)}{CRLF}"


def encoded_words(text: str) -> list[str]:
    """RFC 2047 encoded-words of at most 75 characters, none of which splits a character.

    They break at a blank where there is one: some decoders put a blank between encoded-words that should be joined.
    """
    words, chunk = [], ""
    for piece in re.findall(r"[^ ]* *", text):
        for part in [piece] if len(piece.encode()) <= _WORD_BYTES else piece:
            if len((chunk + part).encode()) > _WORD_BYTES:
                words.append(chunk)
                chunk = ""
            chunk += part
    return [f"=?utf-8?b?{base64.b64encode(word.encode()).decode('ascii')}?=" for word in [*words, chunk]]


def _encode(words: Sequence[str], is_plain: Callable[[str], bool]) -> list[str]:
    """Runs of words that need it as encoded-words, the others as they are: the blank between them is a real one."""
    runs = [(plain, list(run)) for plain, run in itertools.groupby(words, is_plain)]
    return [word for plain, run in runs for word in (run if plain else encoded_words(" ".join(run)))]


def _words(text: str) -> list[str]:
    # Between two blanks is no word: folding there could lose one.
    return re.split("(?<! ) (?! )", text) if text else []


def _plain(word: str) -> bool:
    # A very long one cannot be folded (RFC 5322, 2.1.1).
    return word.isascii() and len(word) <= 60 and not re.search(r"=\?|[ \t]", word)


def _clean(name: str, text: str) -> str:
    if _FORBIDDEN.search(text):
        raise ValueError(f"{name}: a line break or control character in {text!r}")
    return text.strip()


def _field(name: str, words: Sequence[str]) -> str:
    # The first word stays beside the name: a first line without a value is legal, yet some servers refuse it.
    lines, current = [], f"{name}: {next(iter(words), '')}"
    for word in words[1:]:
        if len(current) + 1 + len(word) > 76:
            lines.append(current)
            current = ""
        current += f" {word}"
    return CRLF.join([*lines, current]) + CRLF


# Parts -------------------------------------------------------------------------------------------------------------


def boundary(*contents: str) -> str:
    """A boundary (RFC 2046, 5.1.1) that derives from the content, so that the same input gives the same bytes.

    "=_" cannot occur in quoted-printable, nor in base64, hence not in an encoded body.
    """
    return "=_" + sha256("\0".join(contents).encode()).hexdigest()[:32]


def part(content_type: str, encoding: str, body: str = "", *headers: str) -> str:
    """One body part: its header fields, an empty line, and its encoded body."""
    fields = [f"Content-Type: {content_type}", f"Content-Transfer-Encoding: {encoding}", *headers]
    return CRLF.join([*fields, "", body])


def delimiter(limit: str) -> str:
    """The line before each part of a multipart; `closing` is the one after the last (RFC 2046, 5.1.1)."""
    return f"{CRLF}--{limit}{CRLF}"


def closing(limit: str) -> str:
    """See `delimiter`."""
    return f"{CRLF}--{limit}--{CRLF}"
