"""Passages of an answer that address the grader instead of the question: they are never evidence."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from freerecall.cards import Card
from freerecall.grading.text import normalise, tokenise

Span = tuple[int, int]

_SENTENCE = re.compile(r"(?:[^.!?;\n]|\.(?=\d))+(?:[.!?;]+|\n|$)")

_ABOUT_GRADING = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override|overrule|bypass|skip|neglect)\b.{0,60}
        \b(?:instructions?|rubrics?|prompts?|rules?|guidelines?|criteri(?:a|on)
        |above|previous|prior|earlier|grading|grader|key\ points?|reference)\b
    | \b(?:give|award|grant|assign|grade|rate|score|mark|treat|consider|accept|count|evaluate|deem)\b.{0,40}
        \b(?:me|(?:my|this|the|that|his|her)\ (?:answer|response|reply|submission|learner|student))\b
    | \b(?:full|top|maximum|max|highest|perfect)\ (?:marks?|credits?|scores?|ratings?|points|grades?)\b
    | \b(?:give|award|grant|assign|rate|score|mark|grade|return|output|deserves?|merits?|earns?)\b.{0,40}
        \b(?:a\ )?(?:5|five|100|10)\b(?:\ ?(?:/|out\ of|points?|stars?|%))?\W*$
    | \b(?:learner|student|candidate)(?:'s\ (?:answer|response))?\ (?:has\ |have\ |had\ |clearly\ |fully\ )*
        (?:answered|covered|covers|knows|deserves|gets|passed|is\ (?:right|correct)|mentioned|demonstrated)\b
    | \b(?:my|this|the|that)\ (?:answer|response|submission)\ (?:covers|deserves|should|must
        |(?:is|was)\ (?:\w+\ )?
        (?:right|correct|complete|perfect|enough|fully|excellent|checked|accepted|graded|exactly))\b
    | \b(?:all|every|each|any)\b.{0,15}\bpoints?\b.{0,30}\b(?:cover(?:ed|s)?|present|correct|met|satisfied)\b
    | \b(?:dear|hey|hello|attention|note\ to|message\ (?:to|for))\b.{0,10}
        \b(?:grader|examiner|evaluator|assistant|ai|model|llm|teacher|chatgpt|gpt)\b
    | \b(?:rate|grade|mark|score|treat|count)\ (?:the\ following|what\ follows|everything|whatever)\b
    | \bimagine\ (?:that\ )?you\ (?:are|were)\ (?:me|us|in\ my|the|a|an)\b | \bgrade\ on\ the\ line\b
    | ^\W*\w*(?:check|penalt\w+|mark|result|status|grade|score|verdict)s?\s*:\s*
        (?:pass\w*|none|ok|excellent|full|perfect|true|yes|no\b)
    | \b(?:student|learner|candidate)(?:'s)?\ (?:text|answer|response|reply)\ (?:follows|below|is|was|for)\b
    | \b(?:grader|examiner|marker)\s*: | \b(?:role|content)\s*:\s*\w+
    | \b(?:model|sample|official|reference|expected)\ (?:solution|answer)(?:'s|s')?\ (?:wording|words|text)\b
    | \b(?:evidence|feedback|verdict|quote|score|rating)\ (?:field|box|column)s?\b | \binstead\ of\ mine\b
    | \b(?:my|the|missing)\ quote\b | \bas\ (?:my|the)\ (?:quote|evidence)\b
    | \b(?:whatever|what)\ (?:is\ (?:in|on)\ )?(?:your|the)\ (?:key|card|reference|solution)
        \ (?:says?|is|wants?)\b
    | \b(?:swap|replace|exchange|overwrite)\ (?:the|your)
        \ (?:stored|model|sample|official|reference|expected)\ (?:solution|answer)\b
    | \bwhat\ (?:do|would|will)\ you\ (?:write|put|enter|click|tick)\ ?(?:down)?\b
    | \bthe\ (?:grader|examiner|marker|teacher)\ (?:shall|must|should|will|may|is\ to)\b
    | \byou\ are\ (?:now|no\ longer)\ (?:an?|in|the|my|free|bound|required|grading)\b
    | \b(?:hi|hello|hey|good\ \w+)\W+(?:this\ is|i\ am|i'm|it's)\ (?:dr|prof\w*|mr|mrs|ms|the|your)\b
    | \b(?:beside|next\ to|vouch\w*\ for|behalf\ of)\ (?:the|this|my)\ (?:student|learner|candidate)\b
    | \b(?:you\ are|act\ as|pretend\ to\ be|imagine)\ (?:an?|the|my)\ (?:\w+\ )?
        (?:grader|examiner|evaluator|assistant|ai|llm|teacher|judge)\b
    | \b(?:new|system|updated)\ (?:instructions?|prompts?)\b
    | \b(?:enter|put|write|fill\ in|type)\ (?:an?\ |the\ (?:digit|number)\ )?(?:five|5)\b(?!\ or)
    | \bcount\ (?:it|them|these|those)\ as\ (?:mine|said|given|typed)\b
    | \bsupply\ the\ rest\b | \bcredit\ (?:it|them|me|him|her)\b | \b(?:the|your)\ key\ (?:wants|needs|asks)\b
    | \b(?:key|rubric|solution|reference|card)\ (?:was|is|has\ been)
        \ (?:changed|corrected|updated|wrong|revised)\b
    | \banything\ is\ (?:right|correct|accepted|fine)\b | \byou\ (?:wake\ up|are\ reborn)\ as\b
    | \bgives?n?\ (?:only\ )?fives\b
    | \b(?:jailbreak|developer\ mode|debug\ mode|admin\ override|sudo)\b
    | ^\W*(?:now\ |please\ |just\ )*(?:respond|reply|answer|output|return|print|write|say)\ (?:only\ )?
        (?:with|the\ following|json|"?covered)\b
    | \bverdicts?\b
    | \b(?:rating|score|grade|mark)s?["']?\s*(?:[:=]|is|are|should\ be|must\ be|of|to|->)\s*["']?
        (?:[1-5]\b|five\b|1\.0|100|full|max|perfect)
    | \b(\d+)\s*(?:/|out\ of)\s*\1\b
    | ["'](?:p\d+|quote|wrong|feedback|rating|score|grade|covered|points?|evidence)["']\s*:
    | ^\W*(?:system|assistant|developer|grader|admin)(?:\ (?:message|note|override|prompt))?\s*[:>\]|]
    | <\|?/?\s*(?:system|user|assistant|im_start|im_end|inst|answer|learner|end)
    | \[/?(?:inst|sys|system|answer|end)\b
    | (?:-{3,}|={3,}|\#{2,}|"{3}|`{3})\s*(?:end|begin|new|start|json|system|answer|instructions?)\b
    | \b(?:mark|count|treat|accept)\b.{0,30}\bas\b.{0,20}
        \b(?:correct|right|complete|covered|true|passed|fully)\b
    | (?:^\W*|[,:\-]\ *|\b(?:just|now|only|please|you\ may)\ )
        (?:say|reply|respond|answer|output|return|write)\b.{0,40}\b(?:yes|covered|it\ means)\b
    | \bparrot\b.{0,40}\byes\b
    | \b(?:copy|replace|insert|repeat|swap|assume|read\ the|use\ the)\b.{0,60}
        \b(?:reference|key|quote|key\ points?|missing\ points?|correct\ answer|my\ answer|my\ words)\b
    | \b(?:pay|bribe|report|sue)\ you\b
    | \bdoes\ (?:it|this|that)\ mean\b.{0,10}\bsame\b
    | \bas\ the\ (?:author|teacher|owner|examiner|professor)\ of\ (?:this|the)\ (?:card|deck|course|exam)\b
    | \bwhat\ i\ (?:typed|wrote|said)\ (?:is|was)\b
    | \bcounts?\ as\b.{0,20}\b(?:right|correct|complete|full)
    | (?:\\n|\b)(?:human|assistant|user)\s*:
    | \b(?:do\ not|don['’]?t|never)\ (?:compare|grade|judge|check|evaluate)\b
    | \b(?:decode|decrypt)\ (?:this|that|it|and\ (?:obey|follow|do))\b | \b(?:base64|rot13)\s*:
    | \b(?:drop|update|delete|insert\ into)\ (?:table\s)?\w+.{0,20}(?:;|\bset\b)
    | \breturn\ +\d
    | \b(?:record|file|register|enter|log)\b.{0,20}\b(?:my|this|the)\ (?:answer|response|submission)\b
    | \bi\ (?:hereby\ )?(?:instruct|order|tell|command|ask)\ (?:the|this|you)\b.{0,20}
        \b(?:program|grader|system|software|machine|marker)\b
    | \b(?:grading|comparison|check)\ (?:is\ )?(?:disabled|off|skipped|over)\b
    | (?:^|\s)(?:yes\W+){2,}yes
    | <!-- | /\* | \[?CDATA\[ | <!\[ | \]\]> | </?(?:rating|score|grade|result|verdict|answer|instruction)s?\b
    | [★✅⭐💯] | \#(?:perfect|full\w*|allcorrect|\w*marks)
    | ^\W*\|.*\|\W*$
    | \b(?:ignoriere?n?|vergiss|ignorez|oubliez?|ignora|olvida|ignore[zr]?|negeer)\b.{0,60}
        \b(?:anweisung\w*|bewertung\w*|regeln|instructions?|consignes?|r[eè]gles|bar[eè]me
        |instrucciones|reglas|r[uú]brica|istruzioni|regole|instru[cç][oõ]es|instructies)\b
    | \b(?:gib|gebe|vergib|bewerte|donne[zr]?|attribue[zr]?|mettez|dame|otorga|califica|dai|d[eê])\b.{0,50}
        \b(?:5|f[üu]nf|cinq|cinco|cinque|punktzahl|maximale|m[aá]xima|massimo|bestnote|note|nota|punkte
        |puntos)\b
    | \b(?:volle|beste|maximale|h[öo]chste)\w*\ (?:punkt|note|bewertung)\w*
    | \bbewerte\w*\b | \bcalifi\w+\b.{0,30}\bnota\b | \bmeilleure\ note\b | \bnota\ m[aá]xima\b
    | \b(?:por\ favor|s'il\ (?:vous|te)\ pla[iî]t|bitte|per\ favore
        |v[aæ]r\ s[aå]\ snill|alsjeblieft|prosz[eę])\b
    | \b(?:r[eé]ponds?|di|sag|antworte?|dites?)\b.{0,15}\b(?:oui|s[ií]|ja|yes)\b
    | \b(?:\w+\ )?(?:po[aä]ng|beoordeling|notam?\ maximam?|puanlar?|pontua[cç]\w+|punktów|klaus)\b
    | \b(?:allt\ [aä]r\ r[aä]tt|alles\ klopt|wszystko\ (?:jest\ )?(?:poprawne|dobrze)|recte\ dict\w+
        |est[aá]\ tudo\ cert\w+|pontos\ como\ cobertos|b[uü]t[uü]n\ maddeler)\b
    | \b(?:think|imagine|suppose|assume|consider|pretend|picture)\b.{0,60}
        \b(?:full\ answer|whole\ card|reference|i\ (?:wrote|typed|said)|wrote\ (?:it|this)|typed\ it)\b
    | (?:^\W*|\b(?:now|then)\ )(?:rate|grade|mark|judge)\ (?:that|only\ that|accordingly|instead)\b
    | ^\W*(?:user|grader|score|feedback|missing|final\ verdict|debug|decided\ by)\s*(?::|>|\|)
    | \b(?:tool_(?:result|call)|function_call|set_rating|check_answer|default\s*\(\s*5)\b
    | \\(?:boxed|checkmark) | <\s*(?:span|div|b|p|script|style)\b | ^\W*(?:points\W*)?covered\W*$
    | ^\W*points\W*$
    | \blet's\ play\b | \bgame\W+you\ are\b | \b\d+\ ?%\ (?:correct|right)\b | \bconfidence\W+(?:1|0\.9)
    | \bauthor\ of\ this\b | \bnext\ learner\b | \bdecided\ by\b
    | \b(?:5|five)\ means\b | \bend\ of\ (?:answer|grading)\b | \bmarking\ policy\b | \btick\ all\b
    | \b(?:partial\ answers|synonyms\ of\ anything|every\ submission|skip\ comparison)\b
    | \bif\ you\ (?:mark|grade|rate)\b | \byou\ will\ be\ switched\ off\b | \bhappy\ if\ this\b
    | \b(?:tam\ puan|ocen[eęa]\b|leerling|cijfer|voti\b|massimo\ dei)
    | (?:балл|оценк|игнорир|правильн)\w* | 满分|忽略|评分|满点|満点|点をください|正确
    | (?:الدرجة|العلامة|تجاهل) | (?:अंक|नंबर)
    """,
    re.IGNORECASE | re.VERBOSE,
)


_ORDER_WORDS = frozenset(
    """ignore disregard forget override overrule bypass skip neglect give award grant assign grade grades rate
    rating ratings score scores mark marks treat consider accept count counts evaluate deem return output
    deserve deserves merit merits earn earns credit credits points point learner student candidate answer
    response submission dear hey hello hi attention note message now longer act pretend imagine instruction
    instructions prompt prompts jailbreak developer debug admin sudo respond reply print write say verdict
    verdicts grader examiner marker teacher ignoriere ignorieren vergiss ignorez oubliez oublie ignora olvida
    ignorer negeer gib gebe parrot copy replace insert repeat swap assume pay bribe sue decode decrypt drop
    grading comparison yes reference instruct order tell command ask beside vouch behalf whatever quote next
    differ rest full maximum top highest perfect key solution card anything wake play act fives
    evidence penalties penalty typed wrote said mean author owner professor record file register enter log
    disabled rubric word click tick put role content differ
    think imagine suppose wszystko allt alles poäng poang beoordeling notam puan pontos pontuação maddeler
    recte tool_result function_call user five tick submission synonyms partial switched means end policy
    rate score feedback missing debug decided tool function set final happy play game confidence author
    covered points span
    réponds reponds di sag antworte dites tam ocenę ocena leerling cijfer voti massimo nota note volle beste
    maximale höchste vergib bewerte donne donnez donner attribue attribuez mettez dame otorga califica dai dê
    de por s'il bitte per vær alsjeblieft proszę""".split()
)
_ROT13 = frozenset(codecs.encode(word, "rot13") for word in _ORDER_WORDS if len(word) > 3)
_CLAIM_WORDS = frozenset(
    """answer solution response key reference points point means words card nothing right correct complete
    know knew mentioned typed wrote studied deserve worked see covers cover contains contain book textbook
    keyboard dog mother grandmother scholarship teacher professor nice kind generous proud please pls plz
    sorry others remaining missing rest other official original printed master marking heart verbatim
    general letter lecturer prof tutor instructor course task slide slides notes makes completes identical
    set boxes halves aspects parts sides thing attempt chance try knees click break five stars exam question
    one attached file above mistake mistakes agree equals same verify contradicted usual belong
    counts solution sheet checklist list back approve coverage contradiction contradictions status lenient
    generously kindly yours checked text definition qed q""".split()
)
_SPEAKING = _ORDER_WORDS | _CLAIM_WORDS
"""What may be written with figures for letters: r4te th1s."""
_HINT_MARKS = re.compile(
    r"[\"'<\[{}/:|\\★✅⭐💯#%=\u0400-\u04ff\u0600-\u06ff\u0900-\u097f\u3040-\u9fff]|-{3}|`{3}|out of"
)
_LONELY = re.compile(r"(?<!\S)[^\w\s]+(?!\S)")
_PLAIN_WORD = re.compile(r"[^\W\d_]+")


_CLAIM = re.compile(
    r"""
    \b(?:(?:same\ )?as\ (?:stated|given|written|said)?\ ?(?:in\ )?|see\ |exactly\ )?(?:the\ |this\ |a\ |my\ )?
        (?:whole\ |complete\ |exact\ |full\ )?(?:correct|right|reference|model|official|sample|expected)
        \ (?:answer|solution|response|key)\b
    | \b(?:whole|complete|see\ the|the)\ reference(?:\ says)?\b
    | \b(?:all|every|each|the\ (?:other|remaining|missing))\ (?:the\ )?(?:key\ )?points?(?:\ (?:is|are))?\b
    | \b(?:and\ |plus\ )?(?:the|all)\ (?:(?:\w+\ )?(?:others|rest)
        |(?:\w+\ )?(?:other|remaining|missing)
        \ (?:(?:one|two|three|four|five|\d)\b(?:\ \w+)?|items|ones|parts|steps))
        \W+(?:(?:are|is|were|come)\b\W*)?(?:all\ |also\ )?
        (?:in\ here|here|as\ (?:well|given|listed|printed)|included|from\ the|like\ in|likewise|above
        |below)\b[^;.]*
    | \b(?:from|in|like|as\ (?:in|per)|per)\ the\ (?:official|original|printed|master|answer|marking)
        \ (?:\w+\ )?(?:list|key|sheet|solution|scheme|version|text|answer|slide)s?\b
    | \b(?:exactly\ |just\ |precisely\ )?(?:like|as)\ (?:\w+\ )?in\ the
        \ (?:solution|key|book|script|task|answer)s?\b
    | \b(?:which\ )?(?:i\ (?:all\ )?know|known|learned|learnt)\ (?:them\ |it\ |all\ )?(?:all\ )?by\ heart\b
    | \bword\ for\ word\b | \bverbatim\b | \bletter\ by\ letter\b | \bthis\ is\ the\ one(?=\W*$)
    | \b(?:as\ )?(?:the|my|our|your)
        \ (?:lecturer|professor|prof|teacher|tutor|instructor|course|task|slides?|notes?)
        \ (?:\w+\ )?(?:said|says|put\ it|states?|stated|told|writes?|wrote|has\ it|confirm\w*)\b
    | \bas\ (?:is\ )?(?:said|stated|written|given)\ in\ the
        \ (?:task|question|card|exam|course|book)(?:\ itself)?\b
    | \b(?:which|that|this)\ (?:makes?|completes?)\ (?:all\ |the\ )?(?:\w+\ )?
        (?:two|three|four|five|six|seven|\d|list|set)\b
    | \bsee\ (?:the\ )?question\b | \bidentical\ (?:with|to)\ the\b[^;.)]* | \bthe\ complete\ set\b[^;.)]*
    | \b(?:precisely\ |exactly\ |so\ )?(?:both|all)\ (?:of\ the\ )?
        (?:\w+\ )?(?:boxes|halves|aspects|parts|sides)
        \ (?:\w+\ ){0,4}(?:ticked|wanted|asked|above|covered|present|required)\b
    | \bwhich\ is\ the\ (?:main|whole|essential|important)\ thing\b[^;.]*
    | \bas\ for\ what\b[^:;.]* | \bwhich\ reference\b
    | \bthis\ covers?\b[^;.]* | \bhow\ well\ i\ know\b[^;.]*
    | \b(?:because\ of\ this,?\ )?(?:and\ )?(?:therefore\ )?(?:also\ )?the\ other\ way\ round,?
        \ in\ general\b[^;.]* | \b(?:and\ )?the\ rest,?\ which\ i\ (?:also\ )?know\b[^;.]*
    | \bin\ general\ and\ in\ particular\b[^;.]*
    | \b(?:it\ )?means\ the\ same\b | \bin\ other\ words\b | \bback\ of\ the\ card\b
    | \b(?:i\ have\ |i've\ )?mentioned\ (?:all|every\w*)\b[^,;.]* | \b(?:made|makes?)\ no\ mistakes?\b
    | \b(?:the\ )?above\ (?:lists?|names?|covers?|says?|has|contains?|mentions?)\b[^;.]*
    | (?:^|(?<=[,;.(]\ ))see\ the\ (?:model|sample|official)?\ ?(?:solution|answer)\b[^;.]*
    | \bi\ agree\ with\ (?:all|it)\b[^;.]*
    | \b(?:equals?|same\ as)\ the\ (?:expected|reference|model)\b[^;.]*
    | \bcounts?\ as\ complete\b | \bas\ you\ can\ verify\b | \bnothing\ is\ contradicted\b
    | \b(?:and\ |plus\ )?(?:the\ |all\ (?:of\ )?)(?:the\ )?(?:remaining|others?|rest)\b[^;.]{0,20}
        \b(?:as\ usual|belong\ here|you\ know)\b[^;.]*
    | \bnothing\ (?:important\ |else\ )?(?:is\ )?(?:missing|wrong)(?:\ here)?\b
    | \b(?:yes,?\ )?(?:this|it|that)\ is\ (?:all\ |fully\ |totally\ )?(?:right|correct|complete)\b
    | \bi\ (?:really\ |already\ |also\ )?(?:know|knew|mentioned|said|typed|wrote)
        \ (?:it\ all|everything|all\ the|the\ (?:others|rest)|this\ perfectly)\b[^,;.]*
    | \bi\ (?:studied|deserve|worked)\b[^,;.]*
    | (?:\band\ so\ on,?\ )?\b(?:which\ (?:as\ )?|(?<!long\ )(?<!far\ )as\ )you\ can\ see\b[^;.]*
    | \b(?:covers?|contains?)\ (?:the\ (?:whole|entire)\ (?:reference|answer|card|key)\b|everything(?=\W*$))
    | \b(?:the\ )?(?:text)?book\ says\b | \bsee\ (?:the\ )?(?:attached|above|below|file)\b
    | \bmy\ (?:keyboard|dog|mother|grandmother|scholarship|words|teacher|professor)\b
    | \b(?:last|final|only)\ (?:attempt|chance|try)\b[^;.]* | \bon\ my\ knees\b[^;.]*
    | [^,;.]{0,50}\b(?:give|gives|gave|deserve)\ (?:me|us)\ an?\ (?:chance|break)\b[^;.]*
    | \b(?:one\ click|and)?,?\ *(?:five|full)\ (?:points|marks|stars)\b | \bone\ click\b[^;.]*
    | \b(?:be|so|very)\ (?:nice|kind|generous|proud)\b(?!\ to\ (?!me|us))
    | \b(?:please|pls|plz|sorry)\b[^,;.]*
    | [^,;.(]{0,30}\bon\ your\ (?:check)?(?:sheet|list)\b[^;.)]*
    | \bevery(?:thing)?\ else\ (?:on|in)\ your\b[^;.)]*
    | \b(?:translation\ of|see|as\ on|like|from)\ the\ card's\ back(?:\ side)?\b
    | \bcontinues?\ on\ the\ back\b[^;.]*
    | \b(?:etc\W+)?(?:i\.?e\.?\W+)?all\ of\ the\ (?:key\ )?points\b | (?<!\S)/\ ?approve\b
    | \b(?:coverage|contradictions?|status|verdict)\s*[=:]\s*(?:(?:all|fully|totally|completely)\ )?
        (?:correct|right|complete|full|perfect|excellent|accept\w*|approved|pass\w*|ok|true|none
        |100|[01](?:\.0+)?)(?!\w)[^;.]*
    | \b(?:be|consider\ \w+|treat\ \w+)\ (?:lenient|generously|kindly)\b[^;.]* | \bidentical\ to\ yours\b
    | [^,;.(]{0,30}\b(?:whatever|anything)\ (?:that\ )?(?:was|is|has\ been|they|we|i)
        \ (?:typed|wrote|written|put|entered)\b[^;.)]*
    | \bchecked\ (?:it|this)\ and\ found\b[^;.]* | \bthe\ expected\ text\b[^;.]* | \bq\.?e\.?d\b[^;.]*
    | \bthis\ is\ the\ (?:textbook|official)\ definition\b
    | \b(?:correct|right|true|perfect)\s*[=%] | \b100\s*%\ (?:correct|right|complete)\b
    | \b(?:total|result|correct|answer|match)\W{1,3}100\s*% | =\s*100\s*%\W*$
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What an answer says of itself: these words alone are no evidence, what stands beside them may be."""

_DISGUISED = re.compile(
    r"""
    [\u202a-\u202e\u2066-\u2069][^\u202c\u2069\n]*[\u202c\u2069]?
    | [\U000e0000-\U000e007f]+ | (?:&\#x?[0-9a-fA-F]{2,5};?\s*){2,}
    | [\uff01-\uff5e][\uff01-\uff5e\s，、]+
    | [\U0001d400-\U0001d7ff][\U0001d400-\U0001d7ff\s]+
    | [\u2460-\u24ff][\u2460-\u24ff\s]+
    | (?:[^\W_][\u0300-\u036f]+[\W\u0300-\u036f]*){4,}
    | (?<!\w)\w*[ʇɹɐɯɟǝʌƃʞɥ]\w*
    | \b(?:[^\W\d_][\ \-._]{1,3}){5,60}[^\W_](?:\W*\d)?(?![^\W_])
    | \b(?:[A-Za-z]+[\u0400-\u04ff]|[\u0400-\u04ff]+[A-Za-z])[^.;!?\n]*
    | \b(?=\w*\d)[A-Za-z0-9+/]{18,}={0,2}(?!\w)
    """,
    re.VERBOSE,
)
"""Letters that look like others, run backwards, stand apart or cannot be seen: nobody types so."""


_LEET = re.compile(r"\b(?=\w*[a-z])(?=\w*\d)[a-z\d]{3,20}\b")
_UNLEET = str.maketrans("013457", "oieast")
"""Digits for the letters that they look like; h2so4 and m1v1 make no word so."""
_REPEATED = re.compile(r"\b([^\W\d_].{7,100}?)(?:\W+\1\b){2,}\W*", re.IGNORECASE)
"""The same words three times in a row and more: said once is said."""
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_OTHER_SCRIPT = re.compile(r"[\u0400-\u1cff\u2c00-\ud7ff\uf900-\ufdff\ufe70-\ufeff][^A-Za-z\u00c0-\u024f\n]*")
"""Beside words in Latin letters these are a translation at best, and the matchers cannot read them."""


_SUSPECT = frozenset(
    """reference rubric grader grading rating ratings grade graded marks verdict author confirm confirmed
    agreed assistant human teacher professor examiner deserve please pls reviewer approved accepted
    perfectly score scored learner student prompt instruction instructions quote lecturer footnote
    scholarship""".split()
)


_ADDRESSES = re.compile(
    r"""\b(?:pretend|imagine|suppose)\b[^.;]{0,20}\byou\b
    | \byou(?:'re|\ are)\ (?:checking|marking|grading|rating|reading|holding|told)\b
    | \bin\ front\ of\ you\b | \{\{ | \}\} | \[\[ | \]\]
    """,
    re.VERBOSE,
)
"""Words to whoever reads, and what templates hold; in an honest answer they are rare."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a card speaks of: the stems of its words, and all its letters and digits in a row."""

    stems: frozenset[str]
    letters: str

    def has(self, passage: str) -> bool:
        """Say whether all that `passage` says is in the card: then it speaks of the subject."""
        letters = _letters(passage)
        if len(letters) > 1 and letters in self.letters:
            return True
        words = {token.stem for token in tokenise(passage) if token.is_content}
        return bool(words) and words <= self.stems


_NOTHING = _Subject(frozenset(), "")


@lru_cache(maxsize=2_048)
def _subject(card: Card | None) -> _Subject:
    if card is None:
        return _NOTHING
    points = (text for point in card.points for text in (point.text, *point.accept))
    text = " ".join((card.question, card.reference, *card.alternatives, *points))
    return _Subject(frozenset(token.stem for token in tokenise(text)), _letters(text))


def _letters(text: str) -> str:
    return "".join(letter for letter in normalise(text) if letter.isalnum())


def _is_rot13(sentence: str) -> bool:
    return len(_ROT13.intersection(_PLAIN_WORD.findall(normalise(sentence)))) > 1


def is_suspect(answer: str, card: Card | None = None) -> bool:
    """Say whether the answer may speak of its own grading, though no known way of doing so was found."""
    if spans(answer, card):
        return True
    subject, plain = _subject(card), normalise(answer)
    words = _SUSPECT.intersection(_PLAIN_WORD.findall(plain))
    addresses = (one.group() for one in _ADDRESSES.finditer(plain))
    return not all(subject.has(passage) for passage in (*words, *addresses))


def speaks_of_grading(text: str) -> bool:
    """Say whether `text` is about grades or graders, or gives them orders."""
    return bool(_ABOUT_GRADING.search(normalise(text)))


def _gives_orders(text: str, subject: _Subject) -> bool:
    return not all(subject.has(one.group()) for one in _ABOUT_GRADING.finditer(normalise(text)))


def spans(answer: str, card: Card | None = None) -> tuple[Span, ...]:
    """Return where the passages stand, in order, that speak of the grading instead of the subject.

    What the card itself speaks of ("the verdict" of a jury) is its subject.
    """
    return _spans(answer, _subject(card))


@lru_cache(maxsize=64)
def _spans(answer: str, subject: _Subject) -> tuple[Span, ...]:
    plain = normalise(answer)
    words = _PLAIN_WORD.findall(plain)
    found = [one.span() for one in _disguised(answer) if not subject.has(one.group())]
    if len(_ROT13.intersection(words)) > 1:
        found += [one.span() for one in _SENTENCE.finditer(answer) if _is_rot13(one.group())]
    found += [(one.end(1), one.end()) for one in _REPEATED.finditer(answer)]
    marked = bool(_HINT_MARKS.search(plain))
    # Whatever the patterns match has one of these words or marks: most answers need no closer look.
    if marked or not _ORDER_WORDS.isdisjoint(words):
        sentences = list(_SENTENCE.finditer(answer))
        orders = [one.span() for one in sentences if _gives_orders(one.group(), subject)]
        if not orders and _gives_orders(answer, subject):  # spread over several sentences
            orders = [(0, len(answer))]
        found += orders
    if marked or not _CLAIM_WORDS.isdisjoint(words):
        found += [one.span() for one in _CLAIM.finditer(answer) if not subject.has(one.group())]
    return tuple(sorted(found))


def _disguised(answer: str) -> Iterator[re.Match[str]]:
    yield from _DISGUISED.finditer(answer)
    words = list(_LEET.finditer(answer))
    if any(one.group().translate(_UNLEET) in _SPEAKING for one in words):
        yield from words
    if len(_LATIN.findall(answer)) > 1:
        yield from _OTHER_SCRIPT.finditer(answer)


def without(answer: str, card: Card | None = None) -> str:
    """Return `answer` with those passages blanked, so that places in the rest stay what they were."""
    kept = answer
    for start, end in spans(answer, card):
        kept = kept[:start] + " " * (end - start) + kept[end:]
    return kept if kept == answer else _LONELY.sub(lambda mark: " " * len(mark.group()), kept)
