from conceptscope._questions import sentiment_questions
from conceptscope.worlds import tinyworld


def test_the_next_word_turns_with_the_sentiment() -> None:
    questions = sentiment_questions(20, generator=0)
    assert len(questions) == 20
    assert {question.up for question in questions} == {True, False}
    for question in questions:
        assert set(question.right).isdisjoint(question.wrong)
        assert question.prompt.split()[-1] in {"he", "she", "it", "they", "will"}


def test_the_answer_is_that_of_the_counterfactual() -> None:
    for text in tinyworld.sample(300, generator=1):
        marks = [mark for mark in text.marks if mark.factor == "sentiment"]
        if marks and text.factors["tense"] != "future":
            turned = tinyworld.counterfactual(text, "sentiment")
            [*_, other] = [mark for mark in turned.marks if mark.factor == "sentiment"]
            assert set(marks[-1].wrong) & set(other.right)


def test_questions_are_the_same_for_the_same_generator() -> None:
    assert sentiment_questions(5, generator=3) == sentiment_questions(5, generator=3)
    assert sentiment_questions(5, generator=3) != sentiment_questions(5, generator=4)
