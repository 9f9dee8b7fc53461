"""The products of the shop. They are made up from lists of words and are the same every time."""

from __future__ import annotations

from collections.abc import Iterator


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PER_CATEGORY = 50
NOUNS = _words(
    "lamp kettle carpet mirror blanket bicycle guitar drawer pillow teapot candle curtain bucket ladder cushion "
    "hammock notebook umbrella backpack wardrobe armchair bookcase saucepan toaster doormat lantern basket compass "
    "telescope trumpet microscope keyboard headset speaker printer thermos sandal jacket sweater helmet"
)
ADJECTIVES = _words(
    "amber ancient bright calm classic compact curved dark elegant folding gentle golden heavy honest large light "
    "modern narrow plain portable quiet robust rustic sturdy"
)
MATERIALS = _words(
    "bamboo brass canvas ceramic copper cotton glass leather linen marble oak pine silk steel velvet wool"
)
WORDS = _words(
    "balcony bedroom birthday breakfast camping children cleaning cottage craft daily dinner durable evening family "
    "festival garden gift handmade holiday kitchen library limited morning mountain office outdoor picnic recycled "
    "repair seaside school season studio summer travel vintage warranty weekend winter workshop"
)


def catalogue() -> Iterator[tuple[int, int, str, list[str]]]:
    """Yield each product: id, category, name, and its search words. The noun of its name counts three times."""
    for category, noun in enumerate(NOUNS):
        for place in range(PER_CATEGORY):
            number = category * PER_CATEGORY + place
            adjective = ADJECTIVES[(place * 7 + category) % len(ADJECTIVES)]
            material = MATERIALS[(place * 5 + category * 3) % len(MATERIALS)]
            about = [WORDS[(number * 11 + step * step * 7 + step) % len(WORDS)] for step in range(8)]
            yield (
                number + 1,
                category,
                f"{adjective} {material} {noun}",
                [adjective, material, noun, noun, noun, *about],
            )
