"""The tokenizer: a token a word, a token a number."""

from typing import TYPE_CHECKING

from conceptscope.worlds.tinyworld import _lexicon
from conceptscope.worlds.tinyworld._teller import END

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN = "<pad>", "<unk>"


def vocabulary() -> tuple[str, ...]:
    """All tokens, in the order of their ids."""
    fixed = """after be behind beside block capital comes door every everyone false inside is it kind less
        more not of oddly plus she he smiled than that the they true was were are will a . ?""".split()  # noqa: SIM905
    nouns = [
        w for ws in (*_lexicon.CATEGORIES.values(), *_lexicon.PEOPLE.values()) for pair in ws for w in pair
    ]
    verbs = [
        form
        for table in (_lexicon.REACTIONS, _lexicon.EFFECTS, _lexicon.SIZE_VERBS)
        for group in table.values()
        for forms in group
        for form in forms
    ]
    lists = (
        *_lexicon.NAMES.values(),
        *_lexicon.SIZES.values(),
        *_lexicon.COLOURS.values(),
        *_lexicon.FEELINGS.values(),
        *_lexicon.QUALITIES.values(),
        *_lexicon.CAPITALS,
        _lexicon.LOOK,
        _lexicon.LIKE,
        _lexicon.PREPOSITIONS,
        _lexicon.DEGREES,
        _lexicon.KIND_PARTICIPLE.values(),
        _lexicon.CATEGORIES,
        _lexicon.COLOURS,
    )
    words = sorted({*fixed, *nouns, *verbs, *(word for words in lists for word in words)})
    return (END, PAD, UNKNOWN, *_lexicon.NUMBERS, *words)


def build_tokenizer() -> "PreTrainedTokenizerFast":
    """A Hugging Face tokenizer: lower case, words and marks apart, "<s>" before each text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", special_tokens=[(END, ids[END])]
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=128,
        clean_up_tokenization_spaces=False,
    )
