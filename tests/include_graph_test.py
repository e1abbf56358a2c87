"""Keeps the arrows between folders: which folder of src/ may include headers of which others, and that no two files
include each other in a circle. Usage: include_graph_test.py SOURCE_FOLDER"""
import pathlib
import re
import sys

ALLOWED = {  # folder: folders whose headers it may include besides its own
    "base": set(),
    "torch_headers": set(),
    "distributed": {"base"},
    "data": {"base"},
    "import": {"base", "data"},
    "graph": {"base"},
    "model": {"base", "distributed", "graph"},
    "trainer": {"base", "distributed", "data", "model"},
    "evaluation": {"base"},
    "report": {"base", "evaluation"},
    "run": {"base", "distributed", "data", "graph", "model", "trainer", "evaluation", "report"},
    "cli": {"base"},
    "commands": {"base", "distributed", "data", "import", "graph", "model", "trainer", "evaluation", "report", "run", "cli", "bench"},
    "bench": {"base", "distributed", "data", "import", "model", "trainer", "evaluation", "run", "cli"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def sources(root):
    """Path within src/ (bench/ at the top counts as a folder of it), file."""
    for base, folder in ((root / "src", root / "src"), (root, root / "bench")):
        for file in sorted(folder.rglob("*")):
            if file.suffix in (".h", ".cpp"):
                yield str(file.relative_to(base)), file


def forbidden(includes):
    """Includes that no arrow allows, as lines."""
    for file, headers in includes.items():
        folder = file.split("/")[0]
        if folder not in ALLOWED:
            yield f"{file}: the folder '{folder}' is not in the list of this test"
            continue
        for header in headers:
            other = header.split("/")[0]
            if other in ALLOWED and other != folder and other not in ALLOWED[folder]:
                yield f"{file} includes {header}: {folder} may include " + (", ".join(sorted(ALLOWED[folder])) or "nothing")


def circles(includes):
    """Headers that include themselves through others, as lines."""
    done, path = set(), []

    def visit(file):
        if file in path:
            yield " → ".join(path[path.index(file):] + [file])
        elif file not in done:
            path.append(file)
            for header in includes.get(file, ()):
                yield from visit(header)
            path.pop()
            done.add(file)

    for file in includes:
        yield from visit(file)


def check_the_check():
    assert list(forbidden({"data/x.h": ["model/y.h"]})), "a forbidden arrow is not seen"
    assert not list(forbidden({"trainer/x.h": ["model/y.h", "trainer/z.h"]}))
    assert list(circles({"a/x.h": ["a/y.h"], "a/y.h": ["a/x.h"]})) == ["a/x.h → a/y.h → a/x.h"]


def main():
    check_the_check()
    root = pathlib.Path(sys.argv[1])
    includes = {name: INCLUDE.findall(file.read_text()) for name, file in sources(root)}
    faults = list(forbidden(includes)) + list(circles(includes))
    for fault in faults:
        print(fault)
    print(f"{len(includes)} files, {sum(map(len, includes.values()))} includes, {len(faults)} faults")
    sys.exit(1 if faults or len(includes) < 100 else 0)


if __name__ == "__main__":
    main()
