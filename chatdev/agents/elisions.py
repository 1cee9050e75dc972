"""Lines that stand for code that was left out, in the languages in which models write comments."""

import re

from chatdev.lazy_pattern import LazyPattern

_THINGS = (
    r"(?:app\w*|class(?:es)?|code|fields|file|functions?|game|implementations?|imports?|logic|methods?|module|program"
    r"|routes|rules|script|styles)"
)
_ELIDED = re.compile(
    rf"\b(?:rest|remainder) of (?:the |your |my |this |original |existing |previous )*{_THINGS}\b"
    rf"|\b(?:{_THINGS}|rest|everything else|others?) (?:(?:above|below) )?(?:remains?|stays?|is|are|unchanged)\b"
    r".{0,20}\b(?:same|unchanged|as is|as before|omitted)\b"
    r"|\b(?:remains?|stays?) (?:the same|unchanged|as (?:is|before))\b"
    r"|\bsame as (?:before|above|previous(?:ly)?|in the original)\b"
    rf"|\bomitted for brevity\b|\b{_THINGS} omitted\b|\bunchanged {_THINGS}\b|\((?:unchanged|no changes?)\)"
    r"|\bno changes? (?:here|made|needed|required|to this file)\b",
    re.I,
)
_ELLIPSIS = re.compile(
    rf"(?:\.\.\.|…).{{0,60}}\b(?:{_THINGS}|existing|previous|other|rest|same|unchanged|remaining|omitted|as before)\b"
    rf"|\b(?:existing|previous|other|remaining|rest|original|more) (?:[\w'-]+ ){{0,3}}{_THINGS}.{{0,30}}(?:\.\.\.|…)"
    r"|^(?:#|//|/\*|<!--)\W*(?:\.\.\.|…)\W*$",
    re.I,
)
_BODILESS = re.compile(r"^[^\n]{0,200}[:{][ \t]*(?:#|//|/\*)[ \t]*(?:\.\.\.|…)[ \t*/}]*$", re.M)
_COMMENT = re.compile(r"^[^\S\n]*(?:#|//|/\*|<!--|--\s|;|%|\*\s|\.\.\.|…|\(\*|\{/\*|（|【).*", re.M)
_MAX_LINE = 400

_CJK_THINGS = r"(?:代码|代碼|程式碼|部分|内容|內容|方法|函数|函數|逻辑|邏輯|实现|實現|功能|导入|類|类|样式)"
_UNCHANGED = r"(?:保持不[变變]|不[变變](?:\W|$)|相同|同上|同前|照旧|省略(?!号)|未[变變修]|无需修改|没有变化)"
_CHINESE = (
    rf"(?:其余|其餘|其他|其它|剩余|剩下|余下|原有|原来|之前|现有|上面|上方|下面).{{0,10}}{_CJK_THINGS}.{{0,8}}{_UNCHANGED}"
    rf"|{_CJK_THINGS}.{{0,6}}(?:保持不[变變]|同上|同前|省略(?!号)|与(?:之前|原来|上面).{{0,4}}(?:相同|一致))"
    rf"|^\W*(?:其余|其餘|其他|其它|剩余)的?(?:均|都)?(?:略|{_UNCHANGED})"
    r"|(?:此处|这里|以下)省略(?!号)|^\W*(?:同上|省略|略)\W*$"
    rf"|(?:其余|其餘|其他|其它|剩余|原有|现有).{{0,4}}{_CJK_THINGS}.{{0,4}}(?:\.\.\.|…)"
)
_JAPANESE = (
    r"(?:残り|その他|他の|以降|既存|元の).{0,8}(?:コード|部分|メソッド|関数|処理|実装|内容|ロジック|インポート).{0,10}"
    r"(?:同じ|変更な[しく]|変更(?:あり|し)ません|そのまま|省略|変わ(?:らず|りません)|\.\.\.|…)"
    r"|以下(?:同様|同じ|省略)|^\W*(?:中略|後略|前略|省略)\W*$|(?:コード|部分|処理)は?省略"
)
_KOREAN = (
    r"(?:나머지|기존|다른|이하|이전).{0,10}(?:코드|부분|메서드|메소드|함수|내용|로직|구현|클래스).{0,12}"
    r"(?:동일|같|그대로|변경 ?없|유지|생략|\.\.\.|…)|이하 ?(?:동일|생략)|^\W*(?:생략|중략)\W*$"
    r"|(?:코드|부분)[은는이가]? ?생략"
)
_RUSSIAN = (
    r"\b(?:остальн\w+|оставш\w+|прочи[ей]|решта|інш\w+|существующ\w+) (?:[\w-]+ ){0,2}"
    r"(?:код\w*|част\w+|метод\w*|функци\w*|логик\w*|класс\w*|импорт\w*|файл\w*)"
    r"|\b(?:остальное|код|методы|функции|файл) .{0,20}(?:без (?:изменений|змін)|не измен\w+|прежн\w+)"
)
_GERMAN = (
    r"\brest (?:des|der|vom) (?:[\w-]+ )?(?:code\w*|quellcodes?|klasse|datei|programms?|methoden|funktionen)\b"
    r"|\b(?:restlich|übrig|bestehend|vorhanden)e[rsnm]? (?:[\w-]+ )?"
    r"(?:code|quellcode|klassen?|methoden?|funktionen?|importe?|logik|teile?)\b.{0,30}"
    r"(?:unverändert|gleich|wie (?:zuvor|vorher|bisher|oben)|[ao]usgelassen|weggelassen|\.\.\.|…)"
    r"|\b(?:code|rest|datei|klasse) .{0,12}(?:bleib\w+|ist|wie) .{0,12}(?:unverändert|gleich|zuvor|vorher|bisher)\b"
)
_ROMANCE = (
    r"\brest[eo] (?:d[eou]|del|della|dei|de la|de los|de las|das?|dos?|des) (?:[\w'-]+ )?"
    r"(?:code|código|codice|archivo|arquivo|fichier|file|programme?|programma|programa|class[ei]|clase|métod\w+"
    r"|méthodes?|metodi|fun[cç]\w+|fonctions?|funzioni|lógica|logique|logica|módulo|module)\b"
    r"|\b(?:code|código|codice|clase|class[ei]|métod\w+|méthodes?|metodi|fun[cç]\w+|fonctions?|archivo|arquivo|fichier)\b"
    r".{0,25}\b(?:rest\w+|permanec\w+|sigu\w+|qued\w+|continu\w+|mantien\w+|mantém|riman\w+|demeur\w+|se manten\w*)"
    r"\b.{0,6}\b(?:igual\w*|iguais|sin cambios|sem altera\w+|o mesmo|os mesmos|l[oa]s? mism[oa]s?|inalterad\w+"
    r"|invariat\w+|inchangée?s?|identiques?|les? mêmes?|uguali?)\b"
    r"|\b(?:sin cambios|sem alterações|sans changement|senza modifiche)\s*\W*$"
)
_OTHERS = (
    r"\breszta (?:kodu|pliku|klasy|programu|metod)\b|\brest van (?:de |het )?(?:code|bestand|klasse|programma)\b"
    r"|\bkod\w* (?:geri )?kalan\w*|\bphần còn lại.{0,20}(?:giữ nguyên|không đổi)|\bzbytek (?:kódu|souboru)\b"
    r"|\bresten av koden\b|\bsisa kode\b|(?:بقية|باقي) (?:الكود|الشيفرة|الملف)|बाकी कोड"
)
_FOREIGN = LazyPattern("|".join((_RUSSIAN, _GERMAN, _ROMANCE, _OTHERS)), re.I)
_ASIAN = LazyPattern("|".join((_CHINESE, _JAPANESE, _KOREAN)))
"""Each alternative contains a character beyond ASCII."""
_DOTS = re.compile(
    r"^(?:#|//|/\*|<!--|--)\W{0,4}(?:\.\.\.|…)(?:.{0,80}(?:\.\.\.|…)\W*$|\W{0,3}[^\x00-\x7f])|^(?:\.\.\.|…+)\s*[^\x00-\x7f]"
)
_ANY_DOTS = re.compile(r"(?:\.\.\.|…)")
_LONG = 15
_SHORTER = 3


def elided(text: str, before: str = "") -> str:
    """The first line that replaces omitted code (``# rest of the code unchanged``), else an empty string.

    ``before`` is the file's previous text: in a text that is much shorter, any comment with dots counts.
    """
    lines = before.count("\n")
    shortened = lines >= _LONG and _SHORTER * text.count("\n") <= lines
    for line in _COMMENT.findall(text):
        if len(line) <= _MAX_LINE:
            words: str = line.strip()
            if any(pattern.search(words) for pattern in (_ELIDED, _ELLIPSIS, _DOTS, _FOREIGN)):
                return words
            if not words.isascii() and _ASIAN.search(words):
                return words
            if shortened and _ANY_DOTS.search(words):
                return words
    bodiless = _BODILESS.search(text) if "..." in text or "…" in text else None
    return bodiless[0].strip() if bodiless else ""
