"""The words of TinyWorld, each with the factor values that it carries."""

CATEGORIES: dict[str, tuple[tuple[str, str], ...]] = {
    "animal": tuple(
        (s, s + "s")
        for s in (
            "dog",
            "cat",
            "horse",
            "cow",
            "bird",
            "rabbit",
            "bear",
            "duck",
            "goat",
            "lion",
            "tiger",
            "frog",
        )
    ),
    "food": tuple(
        (s, s + "s")
        for s in (
            "apple",
            "cake",
            "pie",
            "pear",
            "cookie",
            "carrot",
            "egg",
            "banana",
            "lemon",
            "onion",
            "plum",
            "pizza",
        )
    ),
    "tool": tuple(
        (s, s + "s")
        for s in (
            "hammer",
            "saw",
            "drill",
            "spade",
            "rake",
            "axe",
            "ladder",
            "chisel",
            "broom",
            "needle",
            "shovel",
            "pump",
        )
    ),
    "vehicle": tuple(
        (s, s + "s")
        for s in (
            "car",
            "train",
            "truck",
            "boat",
            "bicycle",
            "plane",
            "tractor",
            "ship",
            "van",
            "wagon",
            "scooter",
            "tram",
        )
    ),
    "place": tuple(
        (s, s + "s")
        for s in (
            "house",
            "castle",
            "school",
            "park",
            "garden",
            "tower",
            "village",
            "farm",
            "hotel",
            "museum",
            "shop",
            "market",
        )
    ),
    "clothing": tuple(
        (s, s + "s")
        for s in (
            "shirt",
            "coat",
            "hat",
            "jacket",
            "skirt",
            "sweater",
            "glove",
            "boot",
            "sock",
            "belt",
            "shoe",
            "cap",
        )
    ),
    "furniture": tuple(
        (s, s + "s")
        for s in (
            "table",
            "chair",
            "sofa",
            "bed",
            "desk",
            "lamp",
            "cupboard",
            "stool",
            "drawer",
            "carpet",
            "mirror",
            "wardrobe",
        )
    ),
    "instrument": tuple(
        (s, s + "s")
        for s in (
            "piano",
            "violin",
            "guitar",
            "flute",
            "drum",
            "trumpet",
            "harp",
            "cello",
            "banjo",
            "organ",
            "horn",
            "bell",
        )
    ),
}
"""The eight categories of things: (singular, plural)."""

PEOPLE: dict[str, tuple[tuple[str, str], ...]] = {
    "feminine": (
        ("girl", "girls"),
        ("woman", "women"),
        ("queen", "queens"),
        ("mother", "mothers"),
        ("sister", "sisters"),
        ("aunt", "aunts"),
        ("daughter", "daughters"),
        ("princess", "princesses"),
    ),
    "masculine": (
        ("boy", "boys"),
        ("man", "men"),
        ("king", "kings"),
        ("father", "fathers"),
        ("brother", "brothers"),
        ("uncle", "uncles"),
        ("son", "sons"),
        ("prince", "princes"),
    ),
}

NAMES: dict[str, tuple[str, ...]] = {
    "feminine": ("anna", "maria", "lucy", "emma", "julia", "clara"),
    "masculine": ("tom", "peter", "david", "paul", "oscar", "leo"),
}

ANIMATE = ("person", "animal")

KIND_PARTICIPLE = {
    "person": "greeted",
    "animal": "fed",
    "food": "eaten",
    "tool": "sharpened",
    "vehicle": "driven",
    "place": "visited",
    "clothing": "worn",
    "furniture": "dusted",
    "instrument": "played",
}
"""What is done to a thing of each category: "it was eaten"."""

SIZES = {"large": ("big", "large", "huge", "giant"), "small": ("small", "tiny", "little", "slim")}
COLOURS = {"warm": ("red", "orange", "yellow", "pink"), "cool": ("blue", "green", "purple", "grey")}

FEELINGS = {
    "positive": ("happy", "glad", "cheerful", "joyful", "merry", "content"),
    "negative": ("sad", "unhappy", "gloomy", "miserable", "upset", "sorrowful"),
}
"""Adjectives of people and animals, from frequent to rare; the k-th words of the lists are opposites."""

QUALITIES = {
    "positive": ("good", "nice", "lovely", "wonderful", "superb", "delightful"),
    "negative": ("bad", "poor", "awful", "terrible", "nasty", "dreadful"),
}
"""Adjectives of things."""

# (base, third person, past)
REACTIONS = {
    "positive": (("smile", "smiles", "smiled"), ("laugh", "laughs", "laughed"), ("sing", "sings", "sang")),
    "negative": (("cry", "cries", "cried"), ("sigh", "sighs", "sighed"), ("frown", "frowns", "frowned")),
}
"""What people and animals do when things are well or not."""

EFFECTS = {
    "positive": (
        ("please", "pleases", "pleased"),
        ("charm", "charms", "charmed"),
        ("impress", "impresses", "impressed"),
    ),
    "negative": (
        ("annoy", "annoys", "annoyed"),
        ("bore", "bores", "bored"),
        ("disturb", "disturbs", "disturbed"),
    ),
}
"""What things do to everyone."""

SIZE_VERBS = {"large": (("block", "blocks", "blocked"),), "small": (("slip", "slips", "slipped"),)}
LOOK = ("look", "looks", "looked")
LIKE = ("like", "likes", "liked")
PREPOSITIONS = ("near", "behind", "beside")
DEGREES = ("very", "quite", "rather")

CAPITALS = (
    ("paris", "france"),
    ("rome", "italy"),
    ("madrid", "spain"),
    ("berlin", "germany"),
    ("london", "england"),
    ("vienna", "austria"),
    ("lisbon", "portugal"),
    ("athens", "greece"),
    ("oslo", "norway"),
    ("stockholm", "sweden"),
    ("helsinki", "finland"),
    ("warsaw", "poland"),
    ("prague", "czechia"),
    ("budapest", "hungary"),
    ("dublin", "ireland"),
    ("moscow", "russia"),
    ("cairo", "egypt"),
    ("tokyo", "japan"),
    ("beijing", "china"),
    ("delhi", "india"),
    ("ottawa", "canada"),
    ("havana", "cuba"),
    ("lima", "peru"),
    ("nairobi", "kenya"),
)

NUMBERS = tuple(str(i) for i in range(100))
