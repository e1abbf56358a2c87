"""Pages of Markdown, taken apart: blocks of code, and commands inside sentences and tables."""
import pathlib
import re
from dataclasses import dataclass

COMMAND_WORDS = ("isnet ", "launch/", "tests/", "slurm/", "sbatch ", "mpirun ", "./setup.sh", "cmake ", "ctest ",
                 "build/", "CC=", "squeue", "scancel")


@dataclass
class Block:
    page: str
    line: int  # of its first line
    language: str  # python, cpp, sh, json, cmake, ini, text
    text: str
    reason: str = ""  # why it is not run; of a comment <!-- not run: … --> before it

    def __str__(self):
        return f"{self.page}:{self.line}"


def pages(source):
    """README and the pages that it leads to."""
    source = pathlib.Path(source)
    yield "README.md"
    for folder in ("docs", "examples", "bench", "recipes", "tests/fuzz"):
        for file in sorted((source / folder).glob("*.md")):
            yield str(file.relative_to(source))


def guessed_language(text):
    """Of an indented block, which names none."""
    first = next((line for line in text.splitlines() if not line.startswith("#")), "")
    return "sh" if first.startswith(COMMAND_WORDS) else "text"


def blocks(page, text):
    """All blocks of a page, in their order."""
    lines = text.splitlines()
    reason, place = "", 0
    in_list = False
    while place < len(lines):
        line = lines[place]
        comment = re.match(r"<!-- not run: (.*?) ?-->$", line)
        fence = re.match(r"```(\w*)$", line)
        if comment:
            reason = comment.group(1)
        elif fence:
            end = next(i for i in range(place + 1, len(lines)) if lines[i].startswith("```"))
            yield Block(page, place + 2, fence.group(1) or "text", "\n".join(lines[place + 1:end]) + "\n", reason)
            place, reason = end, ""
        elif line.startswith("    ") and not in_list and (place == 0 or not lines[place - 1].strip()):
            end = place
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            while not lines[end - 1].strip():
                end -= 1
            body = "\n".join(line[4:] for line in lines[place:end]) + "\n"
            yield Block(page, place + 1, guessed_language(body), body, reason)
            place, reason = end - 1, ""
        elif line.strip():
            reason = ""
            in_list = bool(re.match(r"(- |\d+\. |  )", line))
        place += 1


def outside_of_blocks(text):
    """The lines of a page that are no code, with their numbers."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, line


def inline_code(text):
    """(line, code) of every span of code in sentences and tables."""
    for number, line in outside_of_blocks(text):
        for span in re.findall(r"`([^`]+)`", line):
            yield number, span.replace("\\|", "|")


def logical_lines(text):
    """Commands of a shell block: continued lines joined, comments and empty lines left out; (line offset, command)."""
    start, joined = 0, ""
    for offset, line in enumerate(text.splitlines()):
        if not joined:
            start = offset
        joined += line
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if joined.strip() and not joined.lstrip().startswith("#"):
            yield start, joined.strip()
        joined = ""


def anchors(text):
    """Names by which links reach the headings of a page, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def broken_links(source, page, text):
    """(line, link) of links that lead to no file, or to no heading."""
    place = pathlib.Path(source) / page
    for number, line in outside_of_blocks(text):
        for link, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", line):
            if link.startswith(("http:", "https:")):
                continue
            target = (place.parent / link).resolve() if link else place
            if not target.exists() or (anchor and target.suffix == ".md" and anchor[1:] not in anchors(target.read_text())):
                yield number, link + anchor
