"""Every word that the client says, in each language: a language that lacks one does not load."""

from api.resources import Language
from texts.en import EN
from texts.words import Words
from texts.zh import ZH

WORDS: dict[Language, Words] = {"en": EN, "zh": ZH}
