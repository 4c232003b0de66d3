"""What is decided before any matching: whether anything was said at all."""

import re

from freerecall.grading.text import normalise

_DONT_KNOW = re.compile(
    r"""(?:well\ |um+\ |sorry\ |honestly\ |hmm+\ )*(?:
    i\ ?d\ ?k|dk|dunno|no\ (?:idea|clue)|i\ have\ no\ (?:idea|clue)(?:\ .{0,30})?
    |(?:i\ ?a?m\ )?not\ (?:sure|certain)
    |(?:i\ )?(?:do\ not|dont|do\ nt|cant|cannot|can\ not)\ (?:really\ )?
        (?:know|kno|knwo|knpw|remember|recall|say|answer)(?:\ .{0,30})?
    |(?:i\ )?(?:forgot|forget|have\ forgotten)(?:\ .{0,20})?
    |pass|skip|next|na|n\ ?a|none|nothing|blank|no\ answer|just\ guessing|beats\ me
    |(?:ich\ )?wei(?:ß|ss)\ (?:ich\ |es\ )?nicht|keine\ ahnung|je\ ne\ sais\ pas|aucune\ id[eé]e
    |no\ (?:lo\ )?s[eé]|non\ (?:lo\ )?so|n[aã]o\ sei|ik\ weet\ het\ niet|nie\ wiem|не\ знаю
    |知らない|わかりません|不知道|모르겠어요
    )(?:\ (?:sorry|at\ all|yet|tbh|lol|sry))*""",
    re.VERBOSE,
)
_NOT_WORD = re.compile(r"[^\w\s]+|_+")


def is_dont_know(answer: str) -> bool:
    """Say whether the whole answer is only a way of saying that the learner does not know."""
    plain = " ".join(_NOT_WORD.sub(lambda m: "" if m.group() in "'’`´" else " ", normalise(answer)).split())
    return bool(_DONT_KNOW.fullmatch(plain))
