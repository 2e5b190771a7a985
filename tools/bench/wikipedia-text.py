"""
English Wikipedia as calibration text: articles in the test data of gensim, without tables, lists, headings and references.

  pip download gensim==4.3.3 --no-deps && python wikipedia-text.py gensim-*.whl FOLDER

Writes `wikipedia.txt`, and every third article to `held-out.txt`, which is to be calibrated on by nothing.
"""
import bz2
import html
import re
import sys
import zipfile
import xml.etree.ElementTree as ET
from pathlib import Path

DUMP = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
SHORTEST_PARAGRAPH = 250
SHORTEST_ARTICLE = 4000
NO_PROSE = ("*", "|", "{", "}", ":", "#", "!", "=")


def prose(markup: str) -> str:
    """The paragraphs of an article in wiki markup."""
    text = html.unescape(markup)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"<ref[^>]*/>", "", text)
    text = re.sub(r"<ref.*?</ref>", "", text, flags=re.S)
    for _ in range(6):  # from the innermost outwards
        text = re.sub(r"\{\{[^{}]*\}\}", "", text)
        text = re.sub(r"\{\|[^{}]*?\|\}", "", text, flags=re.S)
    for _ in range(3):
        text = re.sub(r"\[\[(?:File|Image|Category)[^\[\]]*(?:\[\[[^\]]*\]\][^\[\]]*)*\]\]", "", text)
    text = re.sub(r"\[\[(?:[^\]|]*\|)?([^\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?://\S+ ([^\]]*)\]", r"\1", text)
    text = re.sub(r"'{2,}", "", text)
    text = re.sub(r"<[^>]+>", "", text)
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(x for x in lines if len(x) > SHORTEST_PARAGRAPH and not x.startswith(NO_PROSE))


def articles(wheel: str):
    with zipfile.ZipFile(wheel) as files, files.open(DUMP) as packed, bz2.open(packed) as dump:
        for _, element in ET.iterparse(dump):
            if not element.tag.endswith("}page"):
                continue
            if element.findtext("{*}ns", "0") == "0":
                text = prose(element.findtext(".//{*}text") or "")
                if len(text) >= SHORTEST_ARTICLE:
                    yield text
            element.clear()


wheel, folder = sys.argv[1:]
texts = list(articles(wheel))
parts = {"wikipedia.txt": [t for i, t in enumerate(texts) if i % 3 != 2], "held-out.txt": texts[2::3]}
for name, part in parts.items():
    Path(folder, name).write_text("\n\n".join(part) + "\n")
    print(name, len(part), "articles", sum(map(len, part)), "characters")
