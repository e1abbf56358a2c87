"""Commands as the documentation shows them: what can be checked about each without its data."""
import pathlib
import re
import shlex
import subprocess
import tempfile

# Programs that are not ours.
TOOLS = {"cmake", "ctest", "cd", "export", "git", "tensorboard", "h5repack", "squeue", "scancel", "scontrol", "pip", "mpirun",
         "apt-get"}
# Option files that examples call theirs.
OWN_RECIPES = ("mine.ini", "x.ini")


class Program:
    """The built isnet, asked what it knows."""

    def __init__(self, binary, source):
        self.binary, self.source = str(binary), pathlib.Path(source)
        self.known = {}

    def run(self, words, folder, timeout=120):
        return subprocess.run([self.binary, *words], cwd=folder, capture_output=True, text=True, timeout=timeout)

    def options_of(self, command):
        """Names of all options of "train", "pack csv", …; empty: there is no such command."""
        if command not in self.known:
            words, names = command.split(), set()
            for more in (["--help", "all"], ["--help"]):
                answer = self.run([*words, *more], self.source)
                if answer.returncode == 0:
                    names |= set(re.findall(r"--([a-z][a-z0-9-]*)", answer.stdout))
            self.known[command] = names
        return self.known[command]

    def commands(self):
        return re.findall(r"^  ([a-z]+)  +\S", self.run(["--help"], self.source).stdout, re.MULTILINE)


def words_of(command):
    words = shlex.split(command.replace("…", " "), comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    for stop in (">", "2>", "|", "<"):
        if stop in words:
            words = words[:words.index(stop)]
    return words


class Checker:
    """Says what is wrong with a command, and how it was checked."""

    def __init__(self, program):
        self.program, self.source = program, program.source
        self.folder = tempfile.TemporaryDirectory()
        place = pathlib.Path(self.folder.name)
        (place / "recipes").mkdir()
        for file in (self.source / "recipes").glob("*"):
            (place / "recipes" / file.name).symlink_to(file)
        for name in OWN_RECIPES:
            (place / "recipes" / name).write_text("")

    def check(self, command):
        """(how, fault); fault is empty for a good command."""
        if "…" in command and "isnet" in command:  # not complete
            words = words_of(command)
            return self.check_names(words[1:] if words[0] == "isnet" else words)
        hows = []
        for part in re.split(r" && | ; ", command):
            how, fault = self.check_one(words_of(part))
            hows.append(how)
            if fault:
                return how, fault
        return ", ".join(dict.fromkeys(hows)), ""

    def check_one(self, words):
        if not words:
            return "comment", ""
        first = words[0]
        if first == "isnet" or first.endswith("/bin/isnet"):
            return self.check_isnet(words[1:])
        if first == "sbatch":
            script = next((i for i, word in enumerate(words) if word.endswith(".sh")), None)
            if script is None:
                return "sbatch", "names no script"
            command = "evaluate" if "evaluate" in words[script] else "train"
            return self.check_script(words[script:script + 1], [command, *words[script + 1:]])
        if first.endswith(".sh"):
            own = words[:words.index("--")] if "--" in words else words
            return self.check_script(own, words[len(own) + 1:])
        if first in TOOLS:
            return "a tool that is not ours", ""
        if first.startswith("build/"):
            return "a program of the build", ""
        return "?", f"unknown command '{first}'"

    def check_script(self, words, isnet):
        file = self.source / words[0]
        if not file.is_file():
            return "script", f"there is no {words[0]}"
        text = file.read_text()
        for word in words[1:]:
            if word.startswith("-") and word.split("=")[0] not in text:
                return "script", f"{words[0]} does not know {word}"
        if not isnet:
            return "script and its options", ""
        how, fault = self.check_isnet(isnet)
        return f"script, {how}", fault

    def check_isnet(self, words):
        """Runs it where none of its files are: what gets past the parser fails because the data are missing, not with status 2."""
        if words and words[0] in ("bench", "compare"):  # would run for minutes; takes its inputs for words
            return self.check_names(words)
        answer = self.program.run(words, self.folder.name)
        return ("parsed by the program", answer.stderr.strip() if answer.returncode == 2 else "")

    def check_names(self, words):
        """Whether a command has these options. For commands that are not complete, or would run."""
        if not words or not re.fullmatch("[a-z]+", words[0]):
            return "placeholder", ""
        command = words[0]
        if command in ("pack", "bench") and len(words) > 1 and re.fullmatch("[a-z-]+", words[1]):
            command = " ".join(words[:2])
        known = self.program.options_of(command) | self.program.options_of(command.split()[0])
        if not known:
            return "names of options", f"there is no command 'isnet {command}'"
        for word in words:
            if word.startswith("--") and word[2:].split("=")[0] not in known:
                return "names of options", f"isnet {command} has no option {word}"
        return "names of options", ""
