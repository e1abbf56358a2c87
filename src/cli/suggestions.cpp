#include "cli/suggestions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <string_view>

#include "base/error.h"

namespace isnet::cli {
namespace {

// What other tools (Lightning, Keras, Hugging Face, timm, YOLO, torchvision's scripts and argparse habits) call
// what is an option here. A command answers with those of `ours` that it has; where it has none, with `note`.
struct Elsewhere {
  std::string_view theirs;  // separated by blanks
  std::string_view ours;    // likewise
  std::string_view note = "";
};

constexpr std::string_view ranks_note =
    "isnet runs one process for each rank: start it with mpirun -n N, or with launch/run.sh";
constexpr std::string_view splits_note = "isnet pack --splits divides the data";

constexpr Elsewhere table[] = {
    {"epochs epoch num-epochs n-epochs nepochs nb-epoch nb-epochs max-epoch num-train-epochs training-epochs ep",
     "max-epochs"},
    {"learning-rate learningrate base-lr lr0 init-lr initial-lr eta alpha-lr lr-base blr", "lr"},
    {"batch batchsize bs b batch-size-per-gpu train-batch-size per-device-train-batch-size samples-per-gpu "
     "mini-batch minibatch eval-batch-size per-device-eval-batch-size val-batch-size",
     "batch-size"},
    {"num-worker n-workers nworkers data-workers dataloader-num-workers num-data-workers j jobs n-jobs",
     "num-workers workers"},
    {"workers num-threads nthreads", "num-workers workers threads"},
    {"wd weightdecay l2 l2-reg l2-regularization decay", "weight-decay"},
    {"opt optim optimiser solver", "optimizer"},
    {"beta1 beta2 adam-beta1 adam-beta2", "betas"},
    {"adam-eps eps epsilon", "adam-epsilon rmsprop-epsilon lrp-epsilon"},
    {"arch architecture model model-name backbone net encoder network-name a m", "network"},
    {"pretrained pretrained-weights init-from init-checkpoint initial-weights load-weights finetune-from "
     "model-path weights-path weights-file from-pretrained",
     "weights checkpoint"},
    {"checkpoint ckpt checkpoint-path", "weights resume"},
    {"ckpt ckpt-path checkpoint-path checkpoint-file load model-file run model-dir run-dir restore",
     "checkpoint resume"},
    {"resume-from resume-from-checkpoint resume-path continue continue-from restart auto-resume resume-training",
     "resume"},
    {"save-dir savedir out outdir out-dir output-dir output-folder output-path output-file logdir log-dir "
     "default-root-dir checkpoint-dir ckpt-dir run-dir project dest destination o save-path save results-dir "
     "work-dir workdir exp-dir run-name",
     "output"},
    {"dataset dataset-dir dataset-path data-dir datadir data-path data-root data-folder train-data train-dir "
     "input input-dir root-dir d",
     "data images"},
    {"image-dir images-dir img-dir image-folder images-path image-path", "images data"},
    {"mask-dir masks-dir mask-folder mask-path masks-path segmentation-dir annotations", "masks"},
    {"csv csv-file annotations-file metadata label-file labels-file", "manifest labels"},
    {"gpu use-gpu cuda no-cuda use-cuda use-cpu accelerator device-type gpu-id device-id cuda-device", "device"},
    {"devices gpus num-gpus n-gpu ngpus nproc nproc-per-node world-size ranks num-processes num-nodes nnodes "
     "nodes n distributed ddp strategy multi-gpu local-rank rank",
     "", ranks_note},
    {"amp fp16 bf16 half mixed-precision use-amp dtype float16 float32 float64 double", "precision"},
    {"random-seed manual-seed random-state rng-seed s", "seed"},
    {"scheduler lr-scheduler lr-scheduler-type lr-policy sched schedule scheduler-type lr-decay-type",
     "lr-schedule"},
    {"warmup num-warmup-steps lr-warmup-steps warmup-iters warmup-iterations", "warmup-steps"},
    {"lr-warmup-epochs lr-warmup warmup-epoch warmup-ratio", "warmup-epochs"},
    {"min-lr eta-min lr-end final-lr", "lr-min"},
    {"gamma lr-decay lr-decay-rate decay-rate lr-drop lr-factor factor", "lr-gamma"},
    {"step-size lr-step lr-decay-epochs decay-epochs lr-decay-steps", "lr-step-size lr-milestones"},
    {"milestones lr-steps", "lr-milestones"},
    {"max-lr", "lr"},
    {"grad-clip clip-grad clip-grad-norm clip-gradients max-grad-norm clip clip-norm clip-value clipnorm "
     "clipvalue gradient-clip gradient-clipping grad-norm max-norm",
     "gradient-clip-val"},
    {"grad-accum gradient-accumulation gradient-accumulation-steps grad-accumulation-steps accumulation-steps "
     "accum-iter accum accumulate iter-size accumulate-grad",
     "accumulate-grad-batches"},
    {"patience early-stopping early-stop early-stopping-rounds stop-patience", "early-stopping-patience"},
    {"min-delta", "early-stopping-min-delta"},
    {"class-weight weighted-loss balance balanced", "class-weights"},
    {"pos-weight", "positive-weights"},
    {"smoothing label-smooth ls", "label-smoothing"},
    {"gamma-focal focal", "focal-gamma"},
    {"dropout-rate drop drop-rate dropout-prob p-dropout", "dropout"},
    {"val-split validation-split val-ratio val-size test-split test-size split-ratio train-split train-size "
     "split-size",
     "splits validation-share split", splits_note},
    {"folds k-fold kfold cv", "splits split", splits_note},
    {"subset fold set phase partition", "split"},
    {"validate-every val-every eval-every eval-interval val-interval eval-freq val-freq val-check-every "
     "eval-steps evaluate-every validation-freq",
     "check-val-every-n-epoch val-check-interval"},
    {"print-freq log-interval log-every log-freq logging-steps log-steps print-every display-interval",
     "log-every-n-steps"},
    {"save-every save-freq save-interval checkpoint-interval checkpoint-every checkpoint-freq save-steps "
     "save-period save-every-n-epochs every-n-epochs save-epochs",
     "checkpoint-every-n-epochs checkpoint-every-n-steps"},
    {"save-best save-best-only keep-best keep-last save-total-limit max-to-keep", "save-top-k"},
    {"topk", "save-top-k top-k"},
    {"tensorboard tb use-tensorboard wandb log logging report-to log-to", "logger"},
    {"image-size img-size imgsz imsize img-sz resize crop-size input-size image-resolution resolution "
     "target-size height width side",
     "size image-size", "isnet pack --size sets the size of the images"},
    {"channels in-channels in-chans num-channels color grayscale greyscale gray grey color-mode", "colour",
     "isnet pack --colour sets the channels of the images"},
    {"augmentation augmentations augmentation-policy data-augmentation aug transform transforms auto-augment aa "
     "random-augment",
     "augment"},
    {"hflip horizontal-flip random-flip flip vflip vertical-flip fliplr flipud", "augment-flip"},
    {"rotation rotate degrees rotation-range random-rotation", "augment-rotation"},
    {"translate translation shift", "augment-translation"},
    {"random-crop random-resized-crop crop", "augment-crop"},
    {"zoom zoom-range scale-range", "augment-scale"},
    {"color-jitter brightness", "augment-brightness"},
    {"reprob random-erasing cutout erasing", "augment-erasing"},
    {"mean std normalization normalisation norm-mean", "normalize"},
    {"nb-classes n-classes nclasses nc num-class number-of-classes class-count classes-num", "num-classes"},
    {"no-shuffle", "shuffle"},
    {"sampler weighted-sampler", "sampling"},
    {"drop-last", "last-batch"},
    {"steps iterations max-iter max-iters max-iterations num-steps total-steps num-training-steps niter",
     "max-steps"},
    {"steps-per-epoch train-steps limit-train", "limit-train-batches"},
    {"validation-steps val-steps limit-val", "limit-val-batches"},
    {"limit-batches limit-test", "limit-test-batches limit-predict-batches limit-val-batches limit"},
    {"num-samples n-samples max-samples samples first count", "limit sheet-samples limit-per-class"},
    {"freeze-backbone frozen trainable freeze-layers finetune fine-tune linear-probe", "freeze"},
    {"ema model-ema swa use-ema weight-averaging", "average"},
    {"model-ema-decay", "ema-decay"},
    {"sync-bn syncbn sync-batch-norm", "sync-batchnorm"},
    {"config-file cfg conf c yaml args-file options recipe params hparams", "config"},
    {"silent q no-progress disable-tqdm enable-progress-bar progress-bar no-progress-bar", "quiet"},
    {"verbose v verbosity", "", "isnet tells what it does by default; --quiet shows warnings and errors only"},
    {"version V", "", "isnet --version shows the version"},
    {"usage h", "", "isnet COMMAND --help shows the options"},
    {"dry-run smoke-test debug sanity-check try", "fast-dev-run"},
    {"auto-lr-find lr-find lr-finder find-learning-rate lr-range-test", "find-lr"},
    {"eval evaluate eval-only test test-only validate do-eval do-test inference",
     "", "isnet evaluate scores a trained network, isnet predict writes its predictions"},
    {"train do-train", "", "isnet train trains"},
    {"export onnx torchscript", "", "isnet export writes weights for other programs"},
    {"explain gradcam saliency cam heatmap", "pictures heatmaps",
     "isnet explain computes heatmaps of a trained network"},
    {"force force-overwrite exist-ok f clean overwrite-output-dir replace", "overwrite"},
    {"metric metric-for-best-model monitor-metric best-metric", "monitor"},
    {"mode greater-is-better metric-mode", "monitor-mode"},
    {"port master-addr rdzv-endpoint dist-url dist-port", "master-port"},
    {"dist-backend ddp-backend", "backend"},
    {"timeout ddp-timeout dist-timeout", "distributed-timeout"},
    {"find-unused-parameters", "ddp-find-unused-parameters"},
    {"gradient-checkpointing checkpointing use-checkpoint activation-checkpointing", "checkpoint-activations"},
    {"loss criterion loss-fn loss-function method algorithm", "objective"},
    {"lambda heatmap-lambda loss-weight p", "heatmap-weight"},
    {"lrp rule", "lrp-rule first-layer"},
    {"time-limit max-duration max-train-seconds", "max-time"},
    {"profiler", "profile"},
    {"detect-anomalies autograd-anomaly", "detect-anomaly"},
    {"cudnn-deterministic reproducible", "deterministic"},
    {"n-bootstrap bootstraps n-boot bootstrap-samples", "bootstrap"},
    {"prefetch-factor", "prefetch"},
    {"cache cache-dir local-dir scratch", "stage"},
    {"checksum check", "verify verify-data"},
    {"plugins load-library plug-in", "plugin"},
};

bool has_word(std::string_view words, std::string_view word) {
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    if (words.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

bool knows(const std::vector<OptionSpec>& specs, const std::string& name) {
  return std::any_of(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == name; });
}

std::string_view note_on(const std::string& name) {
  for (const auto& row : table)
    if (!row.note.empty() && has_word(row.theirs, name)) return row.note;
  return "";
}

}  // namespace

std::string plain_option_name(const std::string& name) {
  std::string plain;
  for (const unsigned char c : name) plain += c == '_' ? '-' : static_cast<char>(std::tolower(c));
  return plain;
}

std::vector<std::string> names_elsewhere(const std::string& name, const std::vector<OptionSpec>& specs) {
  std::vector<std::string> found;
  for (const auto& row : table) {
    if (!has_word(row.theirs, name)) continue;
    std::istringstream ours{std::string(row.ours)};
    for (std::string one; ours >> one;)
      if (knows(specs, one) && std::find(found.begin(), found.end(), one) == found.end()) found.push_back(one);
  }
  return found;
}

std::string suggestion_for(const std::string& name, const std::vector<OptionSpec>& specs,
                           const std::string& dashes) {
  const std::string plain = plain_option_name(name);
  const auto shown = [&](const std::string& one) { return dashes.empty() ? cat("'", one, "'") : dashes + one; };
  const auto meant = [&](const std::string& one) { return cat(" (did you mean ", shown(one), "?)"); };
  if (knows(specs, plain)) return meant(plain);
  if (const auto ours = names_elsewhere(plain, specs); !ours.empty()) {
    std::string text;
    for (const auto& one : ours) text += cat(text.empty() ? ": use " : " or ", shown(one));
    return text;
  }
  if (const auto note = note_on(plain); !note.empty()) return cat(": ", note);
  std::vector<std::string> names;
  for (const auto& spec : specs) names.push_back(spec.name);
  const std::string near = nearest_name(plain, names);
  return near.empty() ? " (see --help)" : meant(near);
}

}  // namespace isnet::cli
