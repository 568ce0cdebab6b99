"""The words that MILO's loaders leave out: those of the Glasgow list, with howto100m's changes to it (stop_words.py)."""

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

_KEPT = "fill front full get go into move system thick thin under"
_ADDED = """actually better bit can't did different does doesn't don't easy going gonna great guys hey hope i'll i'm i've it'll
it's just kind know let let's like look looks maybe need oh ok okay probably really right say sure thank thanks that's there's
they're today try um video view viewer viewing want we'll we're we've welcome won't wont yeah you'll you're you've
youtube"""

STOP_WORDS = ENGLISH_STOP_WORDS.difference(_KEPT.split()).union(_ADDED.split())
