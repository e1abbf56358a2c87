"""docs/lightning.md has all of Lightning's flags, callbacks and loggers; every row that is not a "no" names a test, and
every test that it names exists.
Usage: lightning_table_test.py SOURCE_FOLDER"""
import pathlib
import re
import sys

# Flags of pytorch_lightning.Trainer 2.6, its callbacks and its loggers.
LIGHTNING = """
    accelerator strategy devices num_nodes precision logger callbacks fast_dev_run max_epochs min_epochs
    max_steps min_steps max_time limit_train_batches limit_val_batches limit_test_batches limit_predict_batches
    overfit_batches val_check_interval check_val_every_n_epoch num_sanity_val_steps log_every_n_steps
    enable_checkpointing enable_progress_bar enable_model_summary accumulate_grad_batches gradient_clip_val
    gradient_clip_algorithm deterministic benchmark inference_mode use_distributed_sampler profiler
    detect_anomaly barebones plugins sync_batchnorm reload_dataloaders_every_n_epochs default_root_dir
    enable_autolog_hparams model_registry BackboneFinetuning BaseFinetuning BasePredictionWriter BatchSizeFinder
    DeviceStatsMonitor EarlyStopping GradientAccumulationScheduler LambdaCallback LearningRateFinder
    LearningRateMonitor ModelCheckpoint ModelPruning ModelSummary OnExceptionCheckpoint RichModelSummary
    RichProgressBar StochasticWeightAveraging SpikeDetection ThroughputMonitor Timer TQDMProgressBar
    EMAWeightAveraging WeightAveraging LitLogger CometLogger CSVLogger MLFlowLogger TensorBoardLogger
    WandbLogger
""".split()

source = pathlib.Path(sys.argv[1])
suites, names, files = set(), set(), set()
for path in (source / "tests").rglob("*"):
    files.add(path.name)
    if path.suffix != ".cpp":
        continue
    files.add(path.stem)
    for suite, name in re.findall(r"TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", path.read_text()):
        suites.add(suite)
        names.add((suite, name))


def exists(reference):
    prefix = reference.rstrip("*…")
    if "." not in prefix:
        return prefix in files or prefix in suites or any(name.startswith(prefix) for _, name in names)
    suite, name = prefix.split(".", 1)
    return any(s == suite and n.startswith(name) for s, n in names)


rows = references = 0
wrong = []
page = (source / "docs" / "lightning.md").read_text()
wrong += [f"{name} is not mentioned" for name in LIGHTNING if not re.search(rf"\b{name}\b", page)]
for number, line in enumerate(page.splitlines(), 1):
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    if not line.startswith("|") or cells[0] in ("Lightning", "torch") or set(line) <= set("|- "):
        prose = re.findall(r"`(\w+\.\w+)…`", line)  # tests that the text names
        wrong += [f"line {number}: there is no test '{name}'" for name in prose if not exists(name)]
        continue
    rows += 1
    tests = [] if len(cells) < 3 else [
        test for test in re.findall(r"`([^`]+)`", cells[2]) if not test.startswith("tests/")]
    references += len(tests)
    if len(cells) != 3:
        wrong.append(f"line {number}: {len(cells)} cells")
    elif not tests and not re.match(r"no\b", cells[1]) and cells[2] != "the same":
        wrong.append(f"line {number}: no test for {cells[0]}")
    wrong += [f"line {number}: there is no test '{test}'" for test in tests if not exists(test)]
if rows < 50 or references < rows / 2:
    wrong.append(f"only {rows} rows and {references} tests were understood")
print("\n".join(wrong) or f"{references} tests in {rows} rows")
sys.exit(bool(wrong))
