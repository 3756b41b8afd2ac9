"""TinyWorld's prompts whose next word the sentiment determines."""

from conceptscope._flips import Question
from conceptscope.worlds import tinyworld


def sentiment_questions(n: int, generator: int) -> list[Question]:
    """n prompts from fresh texts, each cut before a word that its sentiment alone determines."""
    questions: list[Question] = []
    for text in tinyworld.sample(100 * n, generator=generator):
        for mark in text.marks:
            if mark.factor == "sentiment":
                prompt = " ".join(text.words[: mark.position])
                up = text.factors["sentiment"] == "negative"
                questions.append(Question(prompt, mark.right, mark.wrong, up))
        if len(questions) >= n:
            break
    return questions[:n]
