"""Keeps plain words: phrases that are not used in anything that people read, with what to write instead (docs/glossary.md
fixes the terms). Looks at README, CHANGELOG, docs, help texts and messages, comments of headers, recipes and scripts.

Usage: words_test.py SOURCE_FOLDER [FILE…]     all of it, or these files only
"""
import pathlib
import re
import sys

PHRASES = {  # regular expression: what to write
    r"for want of": "because … is missing; lacks",
    r"(?:be|been|is|are|not) believed|to be believed": "valid; trusted; plausible",
    r"in vain": "timed out; without success",
    r"(?:it|that|which|rank|net) stands? still": "is frozen; hangs",
    r"(?:trial|run) went through": "succeeded",
    r"(?<![\w-])bears?(?: that| some| it)?(?![\w-])(?! in mind)": "tolerates; allows",
    r"\bborne\b": "tolerated",
    r"whole numbers?": "integer",
    r"(?:number|numbers|integer|integers) from (?:-?[0-9]+|N) on\b": "≥ 0",
    r"go(?:es|ne|ing)? on where": "resumes",
    r"(?:run|training|job) (?:goes|went|go|going) on\b": "continues; resumes",
    r"what is skipped says": "each skipped test says what it lacks",
    r"whose inner life|inner life": "how … works",
    r"settings of your own win|command line wins|line wins|yours win": "takes precedence",
    r"of one's own": "your own",
    r"that it was made with": "starts from random values",
    r"classes?, but \d+ are asked for": "the model has …",
    r"is there twice|comes twice": "appears twice",
    r"\bwants? (?:a|an|the|for|minutes|releases?|numbers?|fixed|Python|each)\b": "needs; requires",
    r"\bdealt\b": "distributed; assigned",
    r"(?:is|are) said(?: aloud)?(?![\w-])": "is reported; a message says",
    r"said aloud": "reported",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"tells? (?:them|it|classes|any number|the class) apart": "distinguishes",
    r"(?:looked|look) (?:through|for) once": "found once",
    r"(?<!un)told from\b": "distinguished from",
    r"as it (?:was|is) (?:gone on|dealt)": "(rewrite)",
    r"\bafresh\b": "again; from the beginning",
    r"(?:made|written|laid|drawn|packed|estimated|loaded|begun) anew|anew (?:in|for|after|from)": "again; for each …",
    r"by way of\b": "through",
    r"nor do(?:es)? (?:it|they) (?:bear|want)": "(rewrite)",
    r"of which a(?:n)? \w+ (?:has|is) \w+ed": "(rewrite)",
    r"who of (?:its|the)": "which of",
    r"has (?:its|their) say": "takes precedence",
    r"as many as it takes": "as needed",
    r"is made for good": "is final",
    r"without a word\b": "without a message",
    r"inside of\b": "inside",
    r"outside of\b": "outside",
    r"(?:settings|programs?) that bear": "tolerate",
    r"in the place of": "instead of",
    r"at the most\b": "at most",
    r"what(?:ever)? (?:came|becomes?|became) of": "what happened to",
    r"is known by the (?:words|names) that": "(rewrite)",
    r"blots? out": "masks; removes",
    r"punish(?:es|ed|ing)?\b": "penalise",
}
UNUSED = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in PHRASES.items()]
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def texts_of_code(text, with_comments):
    """(line, text) of string literals, joined where they are split, and of comments that stand for readers of headers."""
    joined = re.sub(r'"\s*\n\s*"', "", text)  # phrases that a line break splits
    line = 1
    for content in joined.split("\n"):
        for literal in LITERAL.findall(content):
            yield line, literal
        line += 1
    if with_comments:
        comment, start = "", 0
        for number, content in enumerate(text.split("\n") + [""], 1):
            found = re.search(r"//[/<!]*\s?(.*)$", content)
            if found:
                start = start if comment else number
                comment += found.group(1) + " "
            elif comment:
                yield start, comment
                comment = ""


def paragraphs(text):
    """(line, text) of paragraphs, rows and comments, whose lines belong together."""
    block, start = "", 0
    for number, line in enumerate(text.split("\n") + [""], 1):
        bare = re.sub(r"^\s*(#+|//)\s?", "", line).strip()
        if bare and not line.startswith("|"):
            start = start if block else number
            block += bare + " "
            continue
        if block:
            yield start, block
            block = ""
        if line.startswith("|"):
            yield number, line


def readable(root):
    """Files and their texts."""
    for file in [root / "README.md", root / "CHANGELOG.md", root / "NOTICE", *sorted(root.glob("*/*.md")), *sorted(root.glob("tests/fuzz/*.md"))]:
        yield file, paragraphs(file.read_text())
    for file in [*sorted(root.glob("recipes/*/*.ini")), root / "setup.sh", root / "tests/run.sh", *sorted(root.glob("launch/*.sh")),
                 *sorted(root.glob("slurm/*.sh"))]:
        yield file, paragraphs(file.read_text())
    for folder in ("src", "bench", "examples"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in (".h", ".cpp"):
                yield file, texts_of_code(file.read_text(), file.suffix == ".h" or folder == "examples")


def faults_in(name, texts):
    for line, text in texts:
        for pattern, instead in UNUSED:
            found = pattern.search(text)
            if found:
                yield f"{name}:{line}: '{found.group(0)}': write: {instead}"


def check_the_check():
    wrong = ["What is skipped says for want of what.", "It goes on where it was.", "whether it can be believed", "the rank stands still",
             "has waited in vain", "tolerates and bears some losses", "a whole number from 1 on", "a number from 0 on",
             "Settings of your own win", "the training goes on", "this is said once", "the cause has to be mended"]
    for text in wrong:
        assert list(faults_in("x", [(1, text)])), text
    right = ["A bearing is a part.", "It resumes.", "an integer ≥ 1", "Your own settings take precedence", "the amendment of 1999"]
    for text in right:
        assert not list(faults_in("x", [(1, text)])), text
    code = 'fail("has waited in "\n     "vain");\n/// goes on\n/// where it was\nint x;\n'
    assert len({fault.split("'")[1] for fault in faults_in("x.h", texts_of_code(code, True))}) == 2
    assert [line for line, _ in paragraphs("a\nb\n\n| c |\n\nd\n")] == [1, 4, 6]


def main():
    check_the_check()
    root = pathlib.Path(sys.argv[1]).resolve()
    chosen = {pathlib.Path(name).resolve() for name in sys.argv[2:]}
    faults, count = [], 0
    for file, texts in readable(root):
        if chosen and file.resolve() not in chosen:
            continue
        count += 1
        faults += faults_in(str(file.relative_to(root)), texts)
    for fault in faults:
        print(fault)
    print(f"{count} files, {len(PHRASES)} phrases, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
