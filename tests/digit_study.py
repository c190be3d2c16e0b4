"""Categories, groups and codes of study digits, as its publication has them."""

KINDS = {
    "digit": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "object": ["bed", "bird", "cat", "dog", "house", "tree"],
}
CATEGORIES = [category for members in KINDS.values() for category in members]
GROUPS = {
    "high": ["seven", "eight", "nine"],
    "low": ["one", "two", "three"],
    "inanimate": ["house", "tree", "bed"],
    "animate": ["bird", "cat", "dog"],
}
CODES = {
    "Digit": [["digit", "digit"]],
    "Object": [["object", "object"]],
    "Versus": [["digit", "object"]],
    "Magnitude": [["high", "low"]],
    "Animacy": [["animate", "inanimate"]],
}
CONTRASTS = {
    "Digit - Object": {"Digit": 1, "Object": -1},
    **{code: {code: 1} for code in ("Versus", "Magnitude", "Animacy")},
}
