"""Who does not see the page, or not well: alternative texts, headings, contrast, sizes."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ._colour import BLACK, DARK, WHITE, Colour, background, contrast_of, foreground
from ._proof import Proof
from ._rule import Flaw, rule
from ._styles import Element, declared, is_hidden, overrides, own_text, sheets, size_of, where

_GENERIC = re.compile(
    r"(?i)(click|tap|press)?\s*(on\s+)?"
    r"(here|this( link)?|link|(read |learn )?more|details|hier|mehr|ici|aquí|こちら|ここ)[.…:]?"
)
_SCRIPTS = (
    (re.compile("[\u3040-\u30ff]"), ("ja",), "Japanese"),
    (re.compile("[\uac00-\ud7af]"), ("ko",), "Korean"),
    (re.compile("[\u4e00-\u9fff]"), ("ja", "zh", "ko"), "Chinese or Japanese"),
    (re.compile("[\u0400-\u04ff]"), ("ru", "uk", "bg", "sr", "mk", "be", "kk", "mn"), "Cyrillic"),
    (re.compile("[\u0600-\u06ff]"), ("ar", "fa", "ur", "ps"), "Arabic"),
)


@rule(
    "A004",
    "error",
    fix='image: {src: …, alt: "what it shows"}, or ![what it shows](…) in the text',
    source="WCAG 2.2, 1.1.1",
)
def pictures_have_a_text(proof: Proof) -> Iterator[Flaw]:
    """Every picture has a text for who does not see it.

    Most mail programs show no picture at first, and Outlook for Windows shows the text in its place.
    """
    for image in proof.issue.images:
        place, alt = proof.picture(image), image.alt.strip()
        if not alt:
            yield Flaw(f"the picture {image.src} has no alt text", place)
        elif alt == PurePosixPath(image.src).name or re.fullmatch(r"(?i)[\w-]+\.(jpe?g|png|gif|webp)", alt):
            yield Flaw(f"the alt text of {image.src} is a file's name", place, severity="warning")
        elif re.fullmatch(r"(?i)(image|img|photo|picture|pic|graphic|foto|bild)?[\s_.-]*[0-9]*", alt):
            yield Flaw(f"the alt text of {image.src} says nothing: “{alt}”", place, severity="warning")
        elif re.match(r"(?i)(an?|the)?\s*(image|picture|photo|graphic)\s+(of|showing)\b", alt):
            yield Flaw(f"“{alt[:30]}…”: a screen reader says already that it is a picture", place, severity="warning")
        elif len(alt) > 150:
            yield Flaw(
                f"the alt text of {image.src} has {len(alt)} characters",
                place,
                "say what matters in one sentence",
                "warning",
            )
    for each in proof.elements:
        file = (each.get("data-at") or "").rpartition(":")[0]
        if each.tag == "img" and file != proof.issue.file and not _is_the_issues(each, proof):
            if each.get("alt") is None:
                yield Flaw("a picture without an alt attribute", proof.of(each), 'alt="…"; alt="" for an ornament')
            elif not (each.get("alt") or "").strip() and any(up.tag == "a" for up in each.iterancestors()):
                yield Flaw("a linked picture with an empty alt text", proof.of(each), 'alt="where it leads"')


def _is_the_issues(element: Element, proof: Proof) -> bool:
    src = element.get("src") or ""
    return any(image.src == src for image in proof.issue.images) or any(
        picture.name in src for picture in proof.issue.pictures.values()
    )


@rule(
    "A005",
    "error",
    fix='role="presentation" on a table for the layout; <th scope="col"> in one with data',
    source="axe: layout-table; Email Markup Consortium, 2024",
)
def tables_say_what_they_are(proof: Proof) -> Iterator[Flaw]:
    """A table for the layout says so, and a table with data has headings.

    A screen reader announces rows and columns of every table that does not.
    """
    for table in proof.elements:
        if table.tag == "table" and table.get("role") not in ("presentation", "none"):
            heads = table.xpath(".//th")
            if not heads or not all(head.get("scope") for head in heads):
                yield Flaw("a table with neither a role nor headings", proof.of(table))


@rule(
    "A006",
    "warning",
    fix="one <h1>, then <h2>, then <h3>; none of them empty",
    source="axe: heading-order, empty-heading",
)
def headings_form_a_tree(proof: Proof) -> Iterator[Flaw]:
    """There is one first heading, no level is skipped, none is empty.

    A screen reader's user jumps from heading to heading, as others let their eyes wander.
    """
    headings = [each for each in proof.elements if re.fullmatch("h[1-6]", each.tag)]
    firsts = [each for each in headings if each.tag == "h1"]
    if len(firsts) != 1:
        place = proof.of(firsts[1]) if firsts else proof.template
        yield Flaw(f"the page has {len(firsts) or 'no'} headings of the first level, expected one", place)
    level = 0
    for each in headings:
        if not each.text_content().strip() and not each.xpath(".//img[@alt!='']"):
            yield Flaw(f"an empty <{each.tag}>", proof.of(each))
        if int(each.tag[1]) > level + 1:
            yield Flaw(
                f"<{each.tag}> follows <h{level}>" if level else f"the first heading is <{each.tag}>", proof.of(each)
            )
        level = int(each.tag[1])


@rule("A007", "warning", fix="link the words that say where it leads", source="WCAG 2.2, 2.4.4")
def links_say_where_they_lead(proof: Proof) -> Iterator[Flaw]:
    """The words of a link say where it leads.

    A list of links is how many who listen find their way; “here, here, more” is none.
    """
    for link, place in proof.links():
        if link.href and _GENERIC.fullmatch(link.text.strip()):
            yield Flaw(f"the link says “{link.text}”", place)
        elif link.href and not link.text.strip():
            yield Flaw(f"the link to {link.href[:50]} has no words", place, "[words](…)", "error")


@rule(
    "A008",
    "error",
    fix="choose a darker or a lighter one, in inline.css; for the dark, in client.css",
    source="WCAG 2.2, 1.4.3",
)
def text_stands_out(proof: Proof) -> Iterator[Flaw]:
    """Text stands out from what is behind it: 4.5 to 1, large text 3 to 1, in the light and in the dark.

    Every twelfth man confuses colours, and everybody reads in the sun at times. Computed from styles, not pictures.
    """
    seen: set[object] = set()
    for dark in (False, True) if _has_dark(proof) else (False,):
        changed = overrides(proof, dark=False) | {} if not dark else _both(proof)
        base, ink = (DARK, WHITE) if dark else (WHITE, BLACK)
        for element in proof.elements:
            if not own_text(element) or element.tag in ("style", "title", "script") or is_hidden(element):
                continue
            large = size_of(element) >= 24 or (size_of(element) >= 18.66 and _is_bold(element))
            ratio, wanted = contrast_of(element, changed, dark=dark), 3 if large else 4.5
            pair = (_hex(foreground(element, changed, ink)), _hex(background(element, changed, base)), dark)
            if ratio < wanted - 0.005 and pair not in seen:
                seen.add(pair)
                scheme = "in the dark, " if dark else ""
                words = f"{scheme}{pair[0]} on {pair[1]} has a contrast of {ratio:.1f}; {wanted:g} can be read"
                yield Flaw(f"“{own_text(element)[:30]}”: {words}", where(proof, element, "color", dark=dark))


def _has_dark(proof: Proof) -> bool:
    return any("prefers-color-scheme: dark" in re.sub(r"\s*:\s*", ": ", sheet.css) for sheet in sheets(proof))


def _both(proof: Proof) -> dict[Element, dict[str, str]]:
    found = {element: dict(values) for element, values in overrides(proof, dark=False).items()}
    for element, values in overrides(proof, dark=True).items():
        found[element] = found.get(element, {}) | values
    return found


def _is_bold(element: Element) -> bool:
    for each in (element, *element.iterancestors()):
        if weight := declared(each).get("font-weight"):
            return weight in ("bold", "bolder") or (weight.isdigit() and int(weight) >= 700)
        if each.tag in ("b", "strong", "th", "h1", "h2", "h3", "h4"):
            return True
    return False


def _hex(value: Colour) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in value[:3])


@rule(
    "A009",
    "warning",
    fix="14 px or more for what is read, 10 px for the small print, lines 1.3 times as high",
    source="Email Markup Consortium, 2024",
)
def text_is_large_enough(proof: Proof) -> Iterator[Flaw]:
    """Paragraphs have 14 px or more and room between their lines; nothing is below 10 px.

    Phones enlarge what is smaller, which breaks the layout, or leave it unreadable.
    """
    seen = set()
    for element in proof.elements:
        words = own_text(element)
        if not words or element.tag in ("style", "title", "script") or is_hidden(element):
            continue
        size = size_of(element)
        if size < (14 if len(words) > 120 else 10) and (place := where(proof, element, "font-size")) not in seen:
            seen.add(place)
            yield Flaw(f"“{words[:30]}…” is {size:g} px high", place)
        height = next(
            (height for each in (element, *element.iterancestors()) if (height := declared(each).get("line-height"))),
            "",
        )
        number = re.fullmatch(r"([0-9.]+)(px|%|em|)", height)
        if number and len(words) > 120:
            factor = {"px": 1 / size, "%": 0.01}.get(number[2], 1)
            times = float(number[1]) * factor
            if times < 1.3 and (place := where(proof, element, "line-height")) not in seen:
                seen.add(place)
                yield Flaw(f"“{words[:30]}…”: lines only {times:.1f} times as high as the letters", place)


@rule("A010", "warning", fix="align to the left; let a style sheet make capitals", source="WCAG 2.2, 1.4.8")
def text_keeps_its_shape(proof: Proof) -> Iterator[Flaw]:
    """Text is not justified, nor typed in capitals, nor dressed by <center> and <font>.

    Rivers of white between words are hard for dyslexic readers; some screen readers spell capitals out.
    """
    for element in proof.elements:
        if element.tag in ("center", "font"):
            yield Flaw(f"<{element.tag}>", proof.of(element))
        if declared(element).get("text-align") == "justify" or element.get("align") == "justify":
            yield Flaw("justified text", where(proof, element, "text-align"))
    for match, place in proof.found(re.compile(r"(?:\b[A-Z]{4,}\b[ ,]+){3,}[A-Z]{4,}\b")):
        yield Flaw(f"“{match[0][:40]}” is typed in capitals", place)


@rule("A011", "warning", fix="take the link out of it, or the aria-hidden away", source="axe: aria-hidden-focus")
def hidden_holds_no_link(proof: Proof) -> Iterator[Flaw]:
    """What is hidden from screen readers holds no link.

    The keyboard reaches it, and nothing is said.
    """
    for element in proof.elements:
        if element.get("aria-hidden") == "true" and element.xpath("descendant-or-self::a[@href]"):
            yield Flaw("a link inside aria-hidden", proof.of(element))


@rule("A013", "info", fix="name it in Latin letters, too", source="WCAG 2.2, 3.1.2")
def other_scripts_are_marked(proof: Proof) -> Iterator[Flaw]:
    """A run of text in another script is one that the page's language can pronounce.

    A screen reader with an English voice is silent at Japanese. One finding a script is enough.
    """
    language = proof.publication.language.lower().split("-")[0]
    for pattern, languages, name in _SCRIPTS:
        if language not in languages:
            runs = re.compile(f"{pattern.pattern}{{4,}}")
            for match, place in proof.found(runs):
                yield Flaw(f"“{match[0][:20]}” is {name} in a text that says it is {language}", place)
                break
