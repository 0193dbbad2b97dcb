# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The words of the biographies world: names, relations, values, phrasings.

Every word here is plain `[a-z]+`. No name or value occurs in any other list,
and a relation word is a relation word wherever it occurs, so that a token
alone says which list it is from. Professions start with a consonant, since
phrasings end in `a`.
"""


def _words(text: str) -> tuple[str, ...]:
  return tuple(text.split())


FIRST_NAMES = _words(
  'anna bruno clara dmitri elena felix greta hugo irene jonas karla leo'
  ' marta nils olga pavel rosa simon tanja ulrich vera walter yusuf zoe'
)

LAST_NAMES = _words(
  'abbas bergman castro dorsey eklund farkas gruber haddad ivanov jensen'
  ' keller lindqvist moreau novak okafor petrov quinn rossi sandoval'
  ' takeda ueda vargas weber zimmer'
)

VALUES = {
  'language': _words(
    'arabic basque czech danish dutch finnish french german greek'
    ' hungarian italian japanese korean polish spanish swedish turkish'
  ),
  'birthplace': _words(
    'athens boston cairo dublin geneva havana kyoto lima lisbon nairobi'
    ' oslo prague quito riga seoul toronto tunis vienna'
  ),
  'profession': _words(
    'baker barber carpenter chemist dentist farmer gardener judge lawyer'
    ' librarian nurse painter pilot plumber surgeon tailor teacher'
    ' translator'
  ),
  'instrument': _words(
    'accordion banjo bassoon cello clarinet flute guitar harp lute'
    ' mandolin oboe piano trombone trumpet tuba violin'
  ),
  'employer': _words(
    'arvenco belmora cindrel dovantis eltrix fennoway gravexa holmentra'
    ' jorvik kestrelon lumora mirandex norvella pelagona quorbix zandelle'
  ),
}

# What follows the two names and precedes the value; the relation word is the
# one in stars. It is never the last word, so that the two positions differ.
PHRASINGS = {
  'language': (
    '*speaks* fluent',
    'has the *native* language',
    '*dreams* at night in',
  ),
  'birthplace': (
    'was *born* in',
    'comes *originally* from',
    'spent a happy *childhood* in',
  ),
  'profession': (
    '*works* as a',
    '*trained* to be a',
    'makes a *living* as a',
  ),
  'instrument': (
    '*plays* the',
    '*practises* daily on the',
    'gives *concerts* on the',
  ),
  'employer': (
    'is *employed* by',
    'draws a *salary* from',
    'signed a *contract* with',
  ),
}
