"""What is decided before any matching: nothing said, and text that talks to the grader."""

import re

from freerecall.grading.text import normalise

_DONT_KNOW = re.compile(
    r"""(?:well |um+ |sorry |honestly |hmm+ )*(?:
    i\ ?d\ ?k|dk|dunno|no\ (?:idea|clue)|i\ have\ no\ (?:idea|clue)(?:\ .{0,30})?|not\ (?:sure|certain)|i\ am\ not\ sure|im\ not\ sure
    |(?:i\ )?(?:do\ not|dont|do\ nt|cant|cannot|can\ not)\ (?:really\ )?(?:know|kno|knwo|knpw|remember|recall|say|answer)(?:\ .{0,30})?
    |(?:i\ )?(?:forgot|forget|have\ forgotten)(?:\ .{0,20})?|pass|skip|next|na|n\ ?a|none|nothing|blank|no\ answer|just\ guessing|beats\ me
    |(?:ich\ )?wei(?:ß|ss)\ (?:ich\ |es\ )?nicht|keine\ ahnung|je\ ne\ sais\ pas|aucune\ idee|aucune\ idée|no\ (?:lo\ )?s[eé]|non\ (?:lo\ )?so
    |n[aã]o\ sei|ik\ weet\ het\ niet|nie\ wiem|не\ знаю|知らない|わかりません|不知道|모르겠어요
    )(?:\ (?:sorry|at\ all|yet|tbh|lol|sry))*""",
    re.VERBOSE,
)
_NOT_WORD = re.compile(r"[^\w\s]+|_+")


def is_dont_know(answer: str) -> bool:
    """Say whether the whole answer is only a way of saying that the learner does not know."""
    plain = " ".join(_NOT_WORD.sub(lambda m: "" if m.group() in "'’`´" else " ", normalise(answer)).split())
    return bool(_DONT_KNOW.fullmatch(plain))


_AT_GRADER = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # orders about instructions, rubric, rating
        r"\b(?:ignore|disregard|forget|override|bypass|skip|overrule|neglect)\b[^.\n]{0,60}\b(?:instruction|rubric|rule|prompt|"
        r"guideline|criteria|criterion|reference|above|previous|prior|earlier|grading|grader|key points?)",
        r"\b(?:give|award|grant|assign|mark|rate|grade|score|return|output|set|print|respond|reply|answer|deserves?|merits?|earns?)\b"
        r"[^.\n]{0,60}\b(?:full (?:marks?|credit|points|score)|top (?:marks?|score|grade)|max(?:imum)? (?:marks?|score|points|rating)|"
        r"perfect(?:ly)?(?: score| rating| mark)?|5 ?/ ?5|10 ?/ ?10|100 ?%|(?:rating|score|grade|mark) (?:of |as |to |= ?)?(?:a )?(?:5|five|1\.0|100)|"
        r"a (?:5|five)\b|(?:all|every) (?:points? |key ?points? )?(?:as )?(?:covered|correct))",
        r"\b(?:rating|score|grade|verdict|mark)s?[\"']?\s*(?::|=|is|are|should be|must be|->)\s*[\"']?(?:5|five|1\.0\b|100|full|perfect|covered|correct|max)",
        r"\b(?:all|every|each)(?: of the)? (?:key ?)?points?\b[^.\n]{0,30}\b(?:covered|present|correct|met|satisfied)",
        r"\b(?:this|the|my|learner'?s?|student'?s?)\s+(?:answer|response|learner|student)\s+(?:is|was|should be|must be|deserves?|gets?|has|answered|covers?)\b"
        r"[^.\n]{0,40}\b(?:perfect(?:ly)?|correct(?:ly)?|complete(?:ly)?|full|5|five|all|everything|covered)",
        r"\b(?:learner|student|user)\b[^.\n]{0,25}\b(?:answered|responded|knows?|passed)\b[^.\n]{0,25}\b(?:perfect(?:ly)?|correct(?:ly)?|fully|everything)",
        r"\b(?:as|you are|act as|pretend|imagine|dear|hey|hello|attention|note to|message to|to the)\b[^.\n]{0,25}\b(?:grader|examiner|assistant|evaluator|"
        r"language model|llm|ai model|ai|teacher|marker|judge|chatgpt|gpt)\b[^.\n]*",
        r"(?:^|\n|[\[<#*\s])(?:system|assistant|developer|user|admin|grader|evaluator)\s*(?:message|prompt|note|override)?\s*[\]>*#]*\s*:[^\n]*",
        r"<\|?/?\s*(?:im_start|im_end|system|assistant|user|answer|learner_answer|end_of_answer|endoftext|s)\s*\|?>[^\n<]*",
        r"\[/?(?:INST|SYS|SYSTEM|ANSWER|END)[^\]]*\]",
        r"\{[^{}]{0,400}[\"'](?:verdicts?|ratings?|scores?|grade|covered|points?|evidence|v|q)[\"']\s*:[^{}]{0,400}\}?\s*[\]}]*",
        r"(?:---+|===+|#{2,}|\"\"\"|```)\s*(?:end|begin|new|start|json|system|answer|instructions?)\b[^\n]*",
        r"\b(?:jailbreak|developer mode|debug mode|sudo|admin override)\b[^.\n]*",
        # the same in the languages met most often
        r"\b(?:ignoriere|vergiss|ignorez|oubliez?|ignora|olvida|ignorar|negeer)\b[^.\n]{0,60}\b(?:anweisung\w*|bewertung\w*|regeln|instructions?|"
        r"consignes?|r[eè]gles|barème|instrucciones|reglas|rúbrica|istruzioni|regole|instruções|instructies)",
        r"\b(?:gib|gebe|vergib|bewerte|donne[zr]?|attribue[zr]?|mets|mettez|da|dame|pon|otorga|califica|dai|dê)\b[^.\n]{0,50}"
        r"\b(?:5|f[üu]nf|cinq|cinco|cinque|volle punktzahl|note maximale|puntuación máxima|note|nota|punkte|points|puntos|bestnote)\b[^.\n]*",
    )
]
_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?](?!\d)|\n|$)+")


def without_manipulation(answer: str) -> str:
    """Return `answer` without the passages that address the grader instead of the question.

    Removed text is replaced by spaces, so places in the rest stay what they were. Only a
    whole sentence is removed: what stands beside an order in its sentence is not evidence.
    """
    plain = answer
    spans = [match.span() for pattern in _AT_GRADER for match in pattern.finditer(plain)]
    if not spans:
        return answer
    keep = list(plain)
    sentences = [m.span() for m in _SENTENCE.finditer(plain) if m.end() > m.start()]
    for start, end in spans:
        touched = [s for s in sentences if s[0] < end and s[1] > start]
        for first, last in [(start, end), *touched]:
            for i in range(first, last):
                if keep[i] != "\n":
                    keep[i] = " "
    return "".join(keep)
