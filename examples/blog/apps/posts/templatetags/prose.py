"""`{{ post.body|prose }}`: plain text to paragraphs, headings and code, with everything escaped."""

import re
from textwrap import dedent

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def prose(text: str) -> SafeString:
    blocks = re.split(r"\n(?:[ \t]*\n)+", text.replace("\r\n", "\n").strip("\n"))
    return mark_safe("\n".join(_block(block) for block in blocks if block.strip()))


def _block(block: str) -> str:
    lines = block.split("\n")
    if all(line.startswith("    ") for line in lines):
        return f"<pre><code>{escape(dedent(block))}</code></pre>"
    if len(lines) == 1 and block.startswith("## "):
        return f"<h2>{_inline(block[3:])}</h2>"
    return f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
