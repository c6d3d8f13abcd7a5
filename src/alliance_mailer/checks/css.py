"""Style sheets: what makes a mail program drop one of them whole."""

import re
from collections.abc import Iterator

from ._proof import Proof
from ._rule import Flaw, Place, rule
from ._styles import Sheet, blocks, declared, sheets, where

_ROOM = 16_384  # bytes of <style> that Gmail reads; email-bugs#90


def _at(proof: Proof, sheet: Sheet, line: int, needle: str = "") -> Place:
    return proof.at(sheet.file, sheet.before + line, needle)


@rule(
    "C001",
    "error",
    fix="move what is not needed on a phone or in the dark into inline.css",
    source="hteumeuleu/email-bugs#90",
)
def sheets_fit_into_gmail(proof: Proof) -> Iterator[Flaw]:
    """All style sheets together have at most 16 KB.

    Gmail reads so much and drops the rest, the last block whole.
    """
    size = sum(len(css.encode()) for css in blocks(proof))
    place = proof.at(f"templates/{proof.issue.template}/client.css", None)
    if size > _ROOM:
        yield Flaw(f"the style sheets have {size:,} bytes; Gmail reads {_ROOM:,}", place)
    elif size > 0.75 * _ROOM:
        yield Flaw(f"the style sheets have {size:,} bytes of the {_ROOM:,} that Gmail reads", place, severity="warning")


@rule(
    "C002",
    "error",
    fix="write the two conditions as one: @media screen and (…) and (…)",
    source="hteumeuleu/email-bugs#21",
)
def no_at_rule_in_another(proof: Proof) -> Iterator[Flaw]:
    """No at-rule stands inside another.

    Gmail drops the whole style sheet for it.
    """
    for sheet in sheets(proof):
        for name, prelude, depth, line in sheet.at_rules:
            if depth:
                yield Flaw(
                    f"@{name} {prelude} inside another at-rule".replace("  ", " "), _at(proof, sheet, line, f"@{name}")
                )


@rule(
    "C003",
    "error",
    fix="write rgb(255, 0, 0), rgba(255, 0, 0, 0.5), or six digits: #ff0000",
    source="hteumeuleu/email-bugs#160",
)
def colours_have_commas(proof: Proof) -> Iterator[Flaw]:
    """Colours are written with commas, or as six digits.

    Gmail drops a whole sheet, or a whole style attribute, for rgb(255 0 0).
    """
    modern = re.compile(r"(?:rgb|hsl)a?\(\s*[^,()]+\s[^,()]*\)|\b(?:lab|lch|oklab|oklch|color-mix|hwb)\(")
    for sheet in sheets(proof):
        for each in sheet.rules:
            for declaration in each.declarations:
                if found := modern.search(declaration.value):
                    yield Flaw(
                        f"{declaration.name}: {declaration.value}", _at(proof, sheet, declaration.line, found[0])
                    )
    for element in proof.elements:
        if found := modern.search(element.get("style") or ""):
            yield Flaw(f"{found[0]} in a style", proof.of(element, found[0]))


@rule("C004", "warning", fix="put a blank between the two braces: } }", source="hteumeuleu/email-bugs#92")
def braces_stand_apart(proof: Proof) -> Iterator[Flaw]:
    """No two closing braces stand side by side.

    Outlook.com and Outlook on phones drop all that follows.
    """
    for sheet in sheets(proof):
        for number, line in enumerate(sheet.css.split("\n"), 1):
            if "}}" in line and not sheet.file.endswith("inline.css"):
                yield Flaw("two closing braces without a blank", _at(proof, sheet, number, "}}"))


@rule("C005", "warning", fix="delete it, or say it in inline.css, which is not sent", source="hteumeuleu/email-bugs#25")
def no_comment_in_a_sheet(proof: Proof) -> Iterator[Flaw]:
    """No comment stands in a style sheet that is sent.

    Yahoo and AOL ignore the rule that follows one.
    """
    for sheet in sheets(proof):
        if not sheet.file.endswith("inline.css"):
            for found in re.finditer(r"/\*(?!.*check: ignore)", sheet.css):
                line = sheet.css.count("\n", 0, found.start()) + 1
                yield Flaw("a comment in a style sheet that is sent", _at(proof, sheet, line, "/*"))


@rule("C006", "error", fix="mend it; the line is where the parser stopped", source="CSS Syntax Level 3; Gmail")
def css_can_be_read(proof: Proof) -> Iterator[Flaw]:
    """Style sheets have no syntax error.

    A browser skips the one declaration; Gmail drops the whole sheet, and premailer the rule.
    """
    for sheet in sheets(proof):
        for message, line, column in sheet.errors:
            text = proof.at(sheet.file, sheet.before + line).excerpt
            yield Flaw(f"CSS: {message}", Place(sheet.file, sheet.before + line, column, 1, text))
        if sheet.css.count("{") > sheet.css.count("}"):
            line = sheet.css.count("\n", 0, sheet.css.rfind("{")) + 1
            yield Flaw("CSS: a brace is not closed", _at(proof, sheet, line, "{"))
    for element in proof.elements:
        style = element.get("style") or ""
        if style and not declared(element):
            yield Flaw(f'style="{style[:40]}" says nothing', proof.of(element, "style="))


@rule(
    "C007",
    "warning",
    fix="name a font that every system has behind it: Georgia, serif",
    source="privacy; T5 of our measurements",
)
def fonts_have_a_fallback(proof: Proof) -> Iterator[Flaw]:
    """Nothing is fetched for a style sheet, and each font has one behind it that every system has.

    Most mail programs load no web font; Outlook for Windows then shows Times, unless another is named.
    """
    generic = re.compile(r"(?i)\b(serif|sans-serif|monospace|cursive|fantasy|system-ui|inherit|initial|unset)\b")
    for sheet in sheets(proof):
        for name, prelude, _, line in sheet.at_rules:
            if name in ("import", "font-face"):
                yield Flaw(
                    f"@{name} {prelude}".strip() + " is fetched by a reader's program, if at all",
                    _at(proof, sheet, line, f"@{name}"),
                )
        for each in sheet.rules:
            for declaration in each.declarations:
                if declaration.name == "font-family" and not generic.search(declaration.value):
                    yield Flaw(
                        f"font-family: {declaration.value} has nothing behind it",
                        _at(proof, sheet, declaration.line, "font-family"),
                    )
    for element in proof.elements:
        if element.tag == "link" and "stylesheet" in element.get("rel", ""):
            yield Flaw("<link> to a style sheet", proof.of(element))


@rule(
    "C010",
    "error",
    fix="close each <!--[if mso]> with <![endif]-->; the others are <!--[if !mso]><!--> … <!--<![endif]-->",
    source="Outlook for Windows",
)
def conditional_comments_balance(proof: Proof) -> Iterator[Flaw]:
    """Outlook's conditional comments are opened and closed in pairs, and so are the tables inside.

    One that is left open hides the rest of the mail from Outlook, or from everybody else.
    """
    page = re.sub(r'\sdata-at="[^"]*"', "", proof.page)
    place = proof.template
    marks = re.findall(r"<!--\[if [^\]]*\]>(?:<!-->|-->)?|<!--<!\[endif\]-->|<!\[endif\]-->|<!\[if[^\]]*\]>", page)
    opened = 0
    for mark in marks:
        if mark.startswith("<![if"):
            yield Flaw(f"{mark} does not survive the CSS inliner", place)
        opened += 1 if "[if" in mark and not mark.startswith("<![if") else -1
        if opened not in (0, 1):
            break
    if opened:
        yield Flaw("a conditional comment is not closed, or closed twice", place)
        return
    word = "".join(
        re.findall(r"<!--\[if (?:mso|gte mso|mso \| IE|IE \| mso)[^\]]*\]>(.*?)<!\[endif\]-->", page, re.DOTALL)
    )
    for tag in ("table", "tr", "td", "v:rect", "v:roundrect", "v:textbox"):
        begun, ended = len(re.findall(rf"<{tag}[\s>]", word)), word.count(f"</{tag}>")
        if begun != ended:
            yield Flaw(f"Outlook sees {begun} <{tag}> and {ended} </{tag}>", place)


@rule(
    "C011",
    "warning",
    fix='xmlns:v="urn:schemas-microsoft-com:vml" on <html>, and <o:PixelsPerInch>96',
    source="Outlook for Windows",
)
def vml_is_declared(proof: Proof) -> Iterator[Flaw]:
    """Where Outlook's own drawing (VML) is used, the page declares it, and its resolution.

    Without, the shapes are not drawn, or on a laptop half as large again.
    """
    if "<v:" in proof.page:
        place = proof.template
        for needle in ("xmlns:v=", "xmlns:o=", "PixelsPerInch"):
            if needle not in proof.page:
                yield Flaw(f"VML without {needle.rstrip('=')}", place)


@rule(
    "C014",
    "warning",
    fix="quote the address, and name a colour behind it: background-color: #ffffff",
    source="hteumeuleu/email-bugs#79",
)
def backgrounds_are_safe(proof: Proof) -> Iterator[Flaw]:
    """The address of a background picture is in quotes, and a colour stands behind the picture.

    Yahoo drops the one, and with pictures switched off white text on white is left of the other.
    """
    for element in proof.elements:
        style = element.get("style") or ""
        for found in re.finditer(r"url\(\s*(?!['\"\s])", style):
            yield Flaw(f"{style[found.start() : found.start() + 40]}… is not in quotes", proof.of(element, "url("))
        has_colour = "background-color" in declared(element) or element.get("bgcolor")
        if (re.search(r"background(-image)?\s*:[^;]*url\(", style) or element.get("background")) and not has_colour:
            yield Flaw("a background picture without a background-color", proof.of(element))


@rule("C015", "info", fix="leave !important to client.css", source="caniemail: css-important")
def important_stands_in_sheets(proof: Proof) -> Iterator[Flaw]:
    """!important is for style sheets that are sent, not for style attributes.

    Outlook for Windows drops the declaration, and the dark style sheet can no longer change the colour.
    """
    for sheet in sheets(proof):
        if sheet.file.endswith("inline.css"):
            for each in sheet.rules:
                for declaration in each.declarations:
                    if declaration.important:
                        yield Flaw(
                            f"{declaration.name} is !important in a style attribute",
                            _at(proof, sheet, declaration.line, declaration.name),
                        )


@rule("C016", "warning", fix="name classes with letters, digits and hyphens", source="hteumeuleu/email-bugs#11, #19")
def selectors_are_ascii(proof: Proof) -> Iterator[Flaw]:
    """Selectors are plain ASCII.

    Outlook.com drops rules with other characters.
    """
    for sheet in sheets(proof):
        for each in sheet.rules:
            if not each.selectors.isascii():
                yield Flaw(f"the selector {each.selectors}", _at(proof, sheet, each.line, each.selectors))


@rule(
    "C018",
    "warning",
    fix="write it small, and with a blank before: color: #16181d !important",
    source="caniemail: css-important; hteumeuleu/email-bugs#13",
)
def important_is_spelt_out(proof: Proof) -> Iterator[Flaw]:
    """A blank stands before !important, and it is written small.

    Outlook for Windows and Orange drop the declaration without the blank, Gmail in capitals.
    """
    for sheet in sheets(proof):
        if not sheet.file.endswith("inline.css"):
            for number, line in enumerate(sheet.css.split("\n"), 1):
                if found := re.search(r"\S!\s*(?i:important)|!\s*(?!important)(?i:important)", line):
                    yield Flaw(f"{found[0]} in a style sheet", _at(proof, sheet, number, found[0]))


@rule("C019", "info", fix="take 8px, or a cell with a background", source="caniemail: css-border")
def borders_are_thin(proof: Proof) -> Iterator[Flaw]:
    """A border has at most 8 px.

    Outlook for Windows draws none that is wider.
    """
    for element in proof.elements:
        for name, value in declared(element).items():
            if re.fullmatch(r"border(-(top|right|bottom|left))?(-width)?", name):
                wide = [each for each in re.findall(r"(?<![\w.])([0-9.]+)px", value) if float(each) > 8]
                if wide:
                    yield Flaw(f"{name}: {value}", where(proof, element, name))
