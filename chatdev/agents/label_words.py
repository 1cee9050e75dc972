"""The words of a line that only names a file, or announces what follows, in the languages in which models answer.

English is in ``filenames``; here are the others, each word in lower case.
"""

import re

from chatdev.lazy_pattern import LazyPattern

# German, Spanish, French, Portuguese, Italian, Dutch, Polish, Russian and Ukrainian, Turkish, Vietnamese, Indonesian,
# Arabic: file, name, path, content, code, complete, new, create, save, here is, step, and the small words between them.
_FILE_WORDS = (
    "datei dateien dateiname dateipfad hauptdatei archivo archivos fichero fichier fichiers arquivo ficheiro file"
    " bestand bestandsnaam plik plików файл файла файлы файле dosya dosyası tệp tập berkas ملف الملف"
)
_OTHER_WORDS = (
    "name pfad der die das den dem des code quellcode für inhalt inhalte von vom hier ist neue neuer neues"
    " aktualisierte aktualisierter aktualisiert geändert geänderte vollständige vollständiger vollständig"
    " komplette kompletter korrigierte erstellen erstelle erstellt erzeuge speichern speichere als schritt und"
    " modul hauptprogramm zu nombre del de la el los las ruta código contenido nuevo nueva actualizado completo"
    " completa corregido crear crea creado guarda guardar como aquí está este es para principal módulo paso"
    " llamado nom du le les chemin contenu nouveau nouvelle à jour mis complet complète corrigé créer créez crée"
    " enregistrez voici est pour module étape dans nommé appelé sous nome do da o a os caminho conteúdo novo"
    " atualizado criar crie salve aqui arquivo passo chamado em il lo percorso codice contenuto nuovo aggiornato"
    " ecco creare salva per passaggio naam pad inhoud van het maak nazwa ścieżka zawartość kod utwórz dla nowy имя"
    " название путь код содержимое содержание новый новая обновлённый обновленный обновлённая полный полная"
    " исправленный создать создайте создаём создадим создан вот для в шаг модуль главный основной сохраните как и"
    " имени ім'я назва вміст adı adlı kodu içeriği yol oluştur yeni tên mã nội dung tin mới nama isi kode buat اسم"
    " كود محتوى"
)
WORDS = frozenset((*_FILE_WORDS.split(), *_OTHER_WORDS.split()))
"""Words that may accompany a path on a line that only names the file."""
FILE_WORDS = frozenset(_FILE_WORDS.split())
"""Words that mean a file: what follows one and a colon is a file's name, whatever its ending."""

# Chinese, Japanese and Korean have no spaces between words, so that their words are removed piece by piece.
_PIECES = LazyPattern(
    r"文件名称|文件名|文件路径|文件|檔案名稱|檔案名|檔案|档案|文档|路径|路徑|名称|名稱|代码|代碼|源码|程序|程式碼|程式|内容|內容|如下|创建|創建|新建|新增"
    r"|修改后|修改後|修正后|更新后|更新|完整|最终|以下|下面|这是|這是|保存为|保存|命名为|主|第|个|個|步骤|步驟|步|一|二|三|四|五|六|七|八|九|十|是|的|为|為|在|了|与"
    r"|ファイル名|ファイルパス|ファイル|パス|コード|ソース|内容|作成|更新|修正|新しい|新規|完全|全体|次|名前|として|という|です|する|します|手順|ステップ|の|は|を|に|が|と|で|版"
    r"|파일명|파일|이름|경로|코드|내용|전체|생성|작성|수정된|수정|새로운|새|다음은|다음|입니다|단계|의|은|는|을|를"
)
_CJK = LazyPattern(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CJK_FILE = re.compile(r"(?:文件名称?|文件路径|文件|檔案名?|ファイル名?|파일명?)\s*$")

_ANNOUNCES = LazyPattern(
    r"\b(?:inhalt|vollständig\w*|quellcode|code (?:für|von|der)|erstell\w*|aktualisiert\w*|contenido|código|crea|creado"
    r"|actualizado|complet[oa]?s?|complète|contenu|cré\w+|voici|conteúdo|cri[ae]\w*|contenuto|codice|содерж\w+|код|созда\w+|полн\w+"
    r"|обновл\w+)\b"
    r"|内容|內容|代码|代碼|程式|创建|創建|新建|完整|如下|コード|作成|全体|코드|생성|작성|전체",
    re.I,
)
_PART = LazyPattern(
    r"\b(?:füg\w*|hinzu\w*|ersetz\w*|änder\w*|ausführ\w*|starte\w*|beispiel\w*|ausgabe|añad\w*|agreg\w*|reemplaz\w*"
    r"|modific\w*|cambi\w*|ejecut\w*|ejemplo\w*|salida|ajout\w*|remplac\w*|modifi\w*|changez|exécut\w*|lanc\w*|exemple\w*"
    r"|sortie|adicion\w*|substitu\w*|execut\w*|exemplo\w*|esegu\w*|esempio|добав\w*|замен\w*|измен\w*|запус\w*"
    r"|выполн\w*|пример\w*|вывод\w*)\b"
    r"|添加|加入|替换|修改以下|修改这|插入|运行|執行|执行|示例|例如|输出|安装|追加|変更|置き換え|実行|出力|例えば|추가|변경|실행|예시|출력",
    re.I,
)


def without_pieces(text: str) -> str:
    """The text without the words of Chinese, Japanese and Korean that only name a file."""
    return _PIECES.sub("", text) if not text.isascii() and _CJK.search(text) else text


def without_first(token: str) -> str:
    """The token without such words at its beginning; a name in these scripts stays."""
    rest = token
    while piece := _PIECES.match(rest):
        rest = rest[piece.end() :]
    return rest if rest[:1].isascii() and rest[:1] not in ("", ".") else token


def means_file(before: str) -> bool:
    """Whether the text before a name ends with a word of those languages that means a file."""
    return _CJK_FILE.search(before) is not None


def announces(text: str) -> bool:
    """Whether a sentence in a language other than English announces a whole file."""
    return _ANNOUNCES.search(text) is not None and not is_partial(text)


def is_partial(text: str) -> bool:
    """Whether a line in a language other than English is about a part of a file, its use or its output."""
    return _PART.search(text) is not None
