"""Landscapes drawn by code, for the sample posts: the site ships no pictures of its own."""

import io
import math
import random

from PIL import Image, ImageColor, ImageDraw, ImageOps

WIDTH, HEIGHT = 1280, 720
OVERSAMPLING = 2  # drawn larger and scaled down, for smooth edges

# sky at the top, sky at the horizon, sun, nearest ridge
PALETTES = {
    "dawn": ("#7f5a83", "#ffc9a0", "#fff0cf", "#3a1c33"),
    "rust": ("#f2a25c", "#ffe3b8", "#fff6e0", "#5e1f0c"),
    "noon": ("#5aa3c8", "#dff0ec", "#fffbe8", "#17434f"),
    "moss": ("#a9c6a0", "#eff3d6", "#fffce9", "#1f3d2b"),
    "dusk": ("#2a2f5e", "#e58a7b", "#ffd8b0", "#191833"),
    "night": ("#0c1330", "#3d5a80", "#f3f1e4", "#070b1c"),
    "snow": ("#b9c9d9", "#f6f4f2", "#ffffff", "#46586b"),
}
RIDGES = 5


def landscape(palette: str, seed: int) -> bytes:
    """A PNG of hills under a low sun; the same arguments always draw the same hills."""
    chance = random.Random(seed)
    high, low, sun, near = PALETTES[palette]
    width, height = WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING

    sky = Image.linear_gradient("L").resize((width, height))
    picture = ImageOps.colorize(sky, high, low)
    draw = ImageDraw.Draw(picture)

    if palette == "night":
        for _ in range(160):
            x, y = chance.randrange(width), chance.randrange(int(height * 0.6))
            size = chance.choice((2, 3, 4))
            draw.ellipse((x, y, x + size, y + size), fill=_blend(high, sun, chance.random()))

    x, y = width * chance.uniform(0.2, 0.8), height * chance.uniform(0.28, 0.46)
    radius = height * chance.uniform(0.07, 0.11)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=sun)

    for ridge in range(RIDGES):
        nearness = (ridge + 1) / RIDGES
        base = height * (0.46 + 0.42 * nearness)
        colour = _blend(low, near, 0.16 + 0.84 * nearness**1.3)
        draw.polygon(_ridge(chance, width, height, base), fill=colour)

    file = io.BytesIO()
    picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _ridge(chance: random.Random, width: int, height: int, base: float) -> list[tuple]:
    waves = [
        (height * 0.09 / n, n * chance.uniform(0.8, 1.4), chance.uniform(0, math.tau))
        for n in (1, 2, 3, 5, 9)
    ]
    outline = [
        (x, base + sum(a * math.sin(math.tau * f * x / width + p) for a, f, p in waves))
        for x in range(0, width + 8, 8)
    ]
    return [(0, height), *outline, (width, height)]


def _blend(start: str, end: str, share: float) -> tuple[int, ...]:
    pairs = zip(ImageColor.getrgb(start), ImageColor.getrgb(end), strict=True)
    return tuple(round(a + (b - a) * share) for a, b in pairs)
