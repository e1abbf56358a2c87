"""Every block of code and every command of the documentation is true.

  blocks_test.py SOURCE BINARY PYTHON [PAGE=N…]   checks all pages, and prints what was done with each block. PAGE=N: that
                                                  many blocks of C++ of a page are compiled by the build
  blocks_test.py SOURCE --cpp PAGE FOLDER         writes a page's blocks of C++ to FOLDER/1.cpp, FOLDER/2.cpp, …

Blocks of Python run, and those of docs/python.md and of README's section "Your own data" run with their commands, on small
data. Other commands are parsed by the program or the script that they call. A block that cannot run says why in a comment
before it: <!-- not run: REASON -->.
"""
import collections
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import commands
import pages

# Pages whose blocks are run one after the other in one folder.
WALKS = {"docs/python.md": {}}
# README's: what makes its commands small enough.
README_SECTION = "## Your own data"
SMALL = {"pack": ["--size", "32"],
         "train": ["--network", "densenet", "--growth-rate", "4", "--blocks", "2", "--init-features", "4", "--max-epochs", "1",
                   "--batch-size", "4"],
         "explain": ["--limit", "2"]}
# Options of other programs in sentences.
FOREIGN_OPTIONS = {"mpi", "kill-on-bad-exit", "requeue", "signal", "ntasks-per-node", "array", "bind-to", "logdir", "oversubscribe",
                   "prefix", "preset", "build", "target", "install", "option", "name", "help-name", "batchsize", "learning-rate"}


def write_cpp(source, page, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for block in pages.blocks(page, (pathlib.Path(source) / page).read_text()):
        if block.language == "cpp" and not block.reason:
            number += 1
            (folder / f"{number}.cpp").write_text(f'#line {block.line} "{page}"\n{block.text}')


class Walk:
    """Blocks of a page as one program: commands and Python in turn, in a folder of their own."""

    def __init__(self, binary, python, extra=None):
        self.folder = tempfile.TemporaryDirectory()
        self.place = pathlib.Path(self.folder.name)
        self.python, self.extra = python, extra or {}
        (self.place / "bin").mkdir()
        (self.place / "bin" / "isnet").symlink_to(binary)
        self.environment = {**os.environ, "PATH": f"{self.place}/bin:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
                            "PYTHONPATH": ""}
        self.programs = ""

    def shell(self, command):
        words = shlex.split(command, comments=True)
        more = self.extra.get(words[1], []) if words[0] == "isnet" else []
        done = subprocess.run([*words, *more], cwd=self.place, env=self.environment, capture_output=True, text=True, timeout=900)
        return "" if done.returncode == 0 else f"status {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}"

    def run_python(self, text):
        """All blocks so far, as in a session; what they print goes nowhere."""
        self.programs += text + "\n"
        done = subprocess.run([self.python, "-c", self.programs], cwd=self.place, env=self.environment, capture_output=True,
                              text=True, timeout=900)
        return "" if done.returncode == 0 else done.stderr.strip()[-800:]


class Report:
    def __init__(self):
        self.faults, self.done = [], collections.Counter()

    def add(self, where, what, kind, fault=""):
        self.done[kind] += 1
        print(f"{where}: {what}: {kind}" + (f": FAULT: {fault}" if fault else ""), flush=True)
        if fault:
            self.faults.append(f"{where}: {what}: {fault}")


def python_for(python, modules):
    return subprocess.run([python, "-c", "import " + ", ".join(modules)], capture_output=True).returncode == 0


def small_pictures(folder):
    """Two classes of pictures and their masks, as PNM files under the names that README uses."""
    for name in ("cat", "cow"):
        for i in range(12):
            for kind, channels in (("photos", 3), ("masks", 1)):
                file = folder / kind / name / f"{i}.{'jpg' if kind == 'photos' else 'png'}"
                file.parent.mkdir(parents=True, exist_ok=True)
                inside = lambda x, y: 10 <= x < 30 and 10 <= y < 30
                pixel = lambda x, y: (255 if inside(x, y) else 0) if channels == 1 else \
                    (200 if inside(x, y) == (name == "cat") else 3 * (i + x) % 90)
                body = bytes(pixel(x, y) for y in range(40) for x in range(40) for _ in range(channels))
                file.write_bytes(b"P%d 40 40 255\n" % (6 if channels == 3 else 5) + body)


def walk_page(report, walk, blocks):
    for block in blocks:
        if block.language == "sh" and not block.reason:
            for offset, command in pages.logical_lines(block.text):
                report.add(f"{block.page}:{block.line + offset}", command[:70], "run", walk.shell(command))
        elif block.language == "python" and not block.reason:
            report.add(block, "python", "run", walk.run_python(block.text))


def check_block(report, checker, python, block, compiled):
    what = block.language
    if block.language == "python":
        try:
            compile(block.text, str(block), "exec")
        except SyntaxError as error:
            return report.add(block, what, "python", str(error))
    if block.reason:
        if block.language == "sh":
            for _, command in pages.logical_lines(block.text):
                words = commands.words_of(command)
                if words and words[0] == "isnet":
                    _, fault = checker.check_names(words[1:])
                    if fault:
                        return report.add(block, what, "names of options", fault)
        return report.add(block, what, f"not run: {block.reason}")
    if block.language == "sh":
        for offset, command in pages.logical_lines(block.text):
            how, fault = checker.check(command)
            report.add(f"{block.page}:{block.line + offset}", command[:70], how, fault)
    elif block.language == "python":
        report.add(block, what, "run", Walk(checker.program.binary, python).run_python(block.text))
    elif block.language == "cpp":
        compiled[block.page] += 1
        report.add(block, what, f"compiled by the build as {block.page} number {compiled[block.page]}")
    elif block.language == "json":
        try:
            json.loads(block.text)
            report.add(block, what, "read as JSON")
        except ValueError as error:
            report.add(block, what, "read as JSON", str(error))
    elif block.language == "text":
        report.add(block, block.text.split("\n")[0][:50], "text: a formula, an output or a list of files")
    else:
        report.add(block, what, "?", "a block of this language needs a comment: <!-- not run: REASON -->")


def readme_section(blocks, text):
    line = text[:text.index(README_SECTION)].count("\n")
    end = line + 1 + text[text.index(README_SECTION) + 3:].split("\n## ")[0].count("\n")
    return next(block for block in blocks if line < block.line <= end and block.language == "sh")


def check_sentences(report, checker, source, page, text):
    """Commands in sentences and tables, and the names of options there."""
    everywhere = set(FOREIGN_OPTIONS)
    for command in checker.program.commands():
        everywhere |= checker.program.options_of(command)
    for layout in ("folders", "csv", "dicom", "idx", "celebamask-hq", "dataset"):
        everywhere |= checker.program.options_of(f"pack {layout}")
    scripts = "".join(file.read_text() for folder in (".", "launch", "slurm", "tests", "tests/cluster")
                      for file in (source / folder).glob("*.sh"))
    for line, code in pages.inline_code(text):
        if code.startswith("isnet ") and not code.startswith("isnet:"):
            try:
                words = [word.split("|")[0] for word in commands.words_of(code)]
            except ValueError:
                continue
            how, fault = checker.check_names(words[1:])
            report.add(f"{page}:{line}", code[:70], how, fault)
        elif page != "docs/lightning.md":
            for name in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]+)", code):
                if name not in everywhere and f"--{name}" not in scripts:
                    report.add(f"{page}:{line}", code[:70], "names of options", f"nothing has the option --{name}")


def check_the_check(checker):
    """Wrong documentation has to be found."""
    assert checker.check("isnet train --no-such-option 1 --data data --output run")[1], "an unknown option"
    assert checker.check("isnet train --batch-size none --data data --output run")[1], "a bad value"
    assert checker.check("isnet no-such-command")[1], "an unknown command"
    assert checker.check("launch/run.sh --no-such-option 4 -- train --data data --output run")[1], "an option of a script"
    assert checker.check("launch/run.sh -n 4 -- train --dta data --output run")[1], "an option behind a script"
    assert checker.check("launch/no-such-script.sh")[1], "a script that is not there"
    assert checker.check_names(["train", "--no-such-option"])[1], "an unknown option in a sentence"
    assert not checker.check("isnet train --data data --output run")[1]
    assert list(pages.broken_links(checker.source, "README.md", "[a](no-such.md) [b](#no-such) [c](docs/README.md)")) == \
        [(1, "no-such.md"), (1, "#no-such")], "a broken link"
    found = list(pages.blocks("x.md", "a\n\n    isnet x\n\n```cpp\nint i;\n```\n<!-- not run: why -->\n```sh\nisnet y\n```\n"))
    assert [(b.language, b.line, b.reason) for b in found] == [("sh", 3, ""), ("cpp", 6, ""), ("sh", 10, "why")], found


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    if sys.argv[2] == "--cpp":
        return write_cpp(source, sys.argv[3], sys.argv[4])
    binary, python = sys.argv[2:4]
    declared = collections.Counter({page: int(count) for page, count in (word.split("=") for word in sys.argv[4:])})
    checker, report, compiled = commands.Checker(commands.Program(binary, source)), Report(), collections.Counter()
    check_the_check(checker)
    python_is_there = python_for(python, ["torch", "h5py", "numpy", "safetensors"])
    for page in pages.pages(source):
        text = (source / page).read_text()
        blocks = list(pages.blocks(page, text))
        if page in WALKS and python_is_there:
            walk_page(report, Walk(binary, python), blocks)
            blocks = [block for block in blocks if block.language not in ("sh", "python") or block.reason]
        if page == "README.md":
            walk = Walk(binary, python, SMALL)
            small_pictures(walk.place)
            own = readme_section(blocks, text)
            walk_page(report, walk, [own])
            blocks.remove(own)
        for block in blocks:
            check_block(report, checker, python, block, compiled)
        check_sentences(report, checker, source, page, text)
        for line, link in pages.broken_links(source, page, text):
            report.add(f"{page}:{line}", link, "link", "leads nowhere")
    for page in set(declared) | set(compiled):
        if declared[page] != compiled[page]:
            report.add(page, "cpp", "compiled", f"has {compiled[page]} blocks of C++, tests/docs/CMakeLists.txt says {declared[page]}")
    print("\n" + "\n".join(f"{count:4} {kind}" for kind, count in report.done.most_common()))
    for fault in report.faults:
        print(f"FAULT {fault}")
    print(f"{sum(report.done.values())} blocks and commands, {len(report.faults)} faults")
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
