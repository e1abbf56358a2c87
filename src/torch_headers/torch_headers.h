// What is precompiled: what most files of ours need of LibTorch. All of torch/torch.h would load twice as
// slowly. Files still include what they use.
#pragma once

#include <ATen/ATen.h>
#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
