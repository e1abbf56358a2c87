// Folders, DICOM folders and CelebAMask-HQ: what is found, and how pictures and masks are read.
#include <gmock/gmock.h>

#include <set>

#include "base/files.h"
#include "import/layouts.h"
#include "support/dicom.h"
#include "support/pictures.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_block_mask;
using isnet::testing::write_numbered_picture;
using isnet::testing::write_picture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Folders : public ::testing::Test {
 protected:
  Folders() { input.images = folder / "images"; }
  std::vector<std::string> ids() {
    std::vector<std::string> result;
    for (const auto& item : folders_importer(input)->list().items) result.push_back(item.id);
    return result;
  }
  TemporaryFolder folder;
  FoldersInput input;
};

TEST_F(Folders, ClassesAreFoldersAndMasksHaveTheSamePaths) {
  write_numbered_picture(folder / "images/dog/2.jpg", 1);
  write_numbered_picture(folder / "images/dog/deep/1.png", 2);
  write_numbered_picture(folder / "images/cat/1.PNG", 3);
  write_file_atomically(folder / "images/cat/notes.txt", "no image");
  write_file_atomically(folder / "images/.DS_Store", "hidden");
  write_block_mask(folder / "masks/dog/2.png");
  write_block_mask(folder / "masks/dog/deep/1.tif");
  input.masks = folder / "masks";
  const auto importer = folders_importer(input);
  const auto listing = importer->list();
  EXPECT_THAT(listing.class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(listing.mask_channels, 1);
  EXPECT_THAT(ids(), ElementsAre("cat/1.PNG", "dog/2.jpg", "dog/deep/1.png"));
  EXPECT_EQ(listing.items[1].label, 1);
  EXPECT_EQ(importer->image(listing.items[2]).width, 24);
  EXPECT_EQ(importer->masks(listing.items[2]).at(0).values[10 * 24 + 10], 255);
  EXPECT_THAT(listing.items[0].problem, HasSubstr("masks/cat/1: there is no mask of this name"));
  EXPECT_EQ(listing.items[2].problem, "");
}

TEST_F(Folders, SplitsCanBeFoldersAboveTheClasses) {
  write_numbered_picture(folder / "images/train/a/1.png", 1);
  write_numbered_picture(folder / "images/test/a/1.png", 2);
  input.split_folders = true;
  const auto listing = folders_importer(input)->list();
  EXPECT_EQ(listing.items[0].split, "test");
  EXPECT_EQ(listing.items[1].split, "train");
  EXPECT_THAT(listing.class_names, ElementsAre("a"));
}

TEST_F(Folders, GroupsAreFoundInPaths) {
  write_numbered_picture(folder / "images/a/p12_view1.png", 1);
  write_numbered_picture(folder / "images/a/p12_view2.png", 2);
  write_numbered_picture(folder / "images/b/p3_view1.png", 3);
  input.group_pattern = "(p[0-9]+)_view";
  const auto listing = folders_importer(input)->list();
  EXPECT_EQ(listing.items[1].group, "p12");
  EXPECT_EQ(listing.items[2].group, "p3");
  input.group_pattern = "/(q.)";
  EXPECT_THAT(folders_importer(input)->list().items[0].problem,
              HasSubstr("--group-pattern '/(q.)' is not found in a/p12_view1.png"));
  input.group_pattern = "p[0-9]+";
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { ids(); }), HasSubstr("has no group in parentheses"));
  input.group_pattern = "(p";
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { ids(); }), HasSubstr("is not a regular expression"));
}

TEST_F(Folders, BothNormalFormsOfUnicodeAreOneClass) {
  const std::string composed = "caf\xC3\xA9", decomposed = "cafe\xCC\x81";
  for (const auto& name : {composed, decomposed})
    write_numbered_picture(folder / "images" / name / "1.png", 1);
  write_numbered_picture(folder / "images" / decomposed / (decomposed + ".png"), 2);
  write_block_mask(folder / "masks" / composed / "1.png");
  write_block_mask(folder / "masks" / composed / (composed + ".png"));
  input.masks = folder / "masks";
  const auto listing = folders_importer(input)->list();
  EXPECT_THAT(listing.class_names, ElementsAre(composed));
  ASSERT_EQ(listing.items.size(), 3u);
  std::set<std::string> different;
  for (const auto& item : listing.items) {
    EXPECT_EQ(item.problem, "") << item.id;
    different.insert(item.id);
  }
  EXPECT_EQ(different.size(), 3u);
  EXPECT_TRUE(different.contains(composed + "/" + composed + ".png"));
  input.classes = {decomposed};
  EXPECT_EQ(folders_importer(input)->list().items.size(), 3u);
}

TEST_F(Folders, MasksMayHaveASuffixAndLieBesideTheImages) {
  write_numbered_picture(folder / "images/a/1.png", 1);
  write_numbered_picture(folder / "images/a/2.jpg", 2);
  write_block_mask(folder / "masks/a/1_mask.png");
  write_block_mask(folder / "masks/a/2_mask.png");
  write_block_mask(folder / "masks/a/2.png");  // something else
  input.masks = folder / "masks";
  input.mask_suffix = "_mask";
  auto listing = folders_importer(input)->list();
  EXPECT_THAT(listing.items.at(1).files,
              ElementsAre(folder / "images/a/2.jpg", folder / "masks/a/2_mask.png"));
  std::filesystem::remove(folder / "masks/a/1_mask.png");
  EXPECT_THAT(folders_importer(input)->list().items.at(0).problem,
              HasSubstr("masks/a/1_mask: there is no mask of this name"));

  write_block_mask(folder / "images/a/1_mask.png");
  write_block_mask(folder / "images/a/2_mask.png");
  input.masks.clear();
  listing = folders_importer(input)->list();
  ASSERT_EQ(listing.items.size(), 2u);
  EXPECT_EQ(listing.mask_channels, 1);
  EXPECT_THAT(listing.items.at(1).files,
              ElementsAre(folder / "images/a/2.jpg", folder / "images/a/2_mask.png"));
}

TEST_F(Folders, WhatIsWrongIsSaid) {
  EXPECT_THAT(data_refusal([&] { ids(); }), HasSubstr("images: there is no such folder"));
  std::filesystem::create_directories(folder / "images/a");
  EXPECT_THAT(data_refusal([&] { ids(); }), HasSubstr("there are no images below"));
  write_numbered_picture(folder / "images/1.png", 1);
  EXPECT_THAT(data_refusal([&] { ids(); }), HasSubstr("1.png: lies outside the folders of classes"));
  std::filesystem::rename(folder / "images/1.png", folder / "images/a/1.png");
  input.masks = folder / "masks";
  write_block_mask(folder / "masks/a/1.png");
  write_block_mask(folder / "masks/a/1.tif");
  EXPECT_THAT(data_refusal([&] { ids(); }), HasSubstr("there is a second mask of this name"));
}

TEST_F(Folders, DicomFilesNeedNoNameAndBringTheirPatient) {
  isnet::testing::DicomPicture picture{.values = {0, 1, 2, 3, 4, 5}};
  picture.patient = "Ann";
  isnet::testing::write_dicom(folder / "images/x/IM1", picture);
  picture.patient = "Bob";
  isnet::testing::write_dicom(folder / "images/y/IM1", picture);
  write_numbered_picture(folder / "images/y/2.png", 1);  // no DICOM
  input.dicom_patients = true;
  const auto importer = folders_importer(input);
  const auto listing = importer->list();
  ASSERT_EQ(listing.items.size(), 3u);
  EXPECT_EQ(listing.items[0].group, "Ann");
  EXPECT_THAT(listing.items[1].problem, HasSubstr("y/2.png: is no DICOM file"));
  EXPECT_EQ(listing.items[2].group, "Bob");
  EXPECT_EQ(importer->channels(), 1);
  EXPECT_EQ(importer->image(listing.items[0]).values.back(), 255);
}

class CelebaMask : public ::testing::Test {
 protected:
  CelebaMask() {
    for (const int i : {0, 1, 2001})
      write_numbered_picture(folder / cat("CelebA-HQ-img/", i, ".jpg"), i, 32, 32);
    part("0/00000_skin.png", 4, 20);
    part("0/00000_hair.png", 0, 6);
    part("0/00001_skin.png", 2, 9);
    part("1/02001_hair.png", 0, 3);
    write_attributes("3\nMale Smiling Young\n0.jpg  1 -1  1\n1.jpg -1 -1  1\n2001.jpg -1  1 -1\n");
  }
  void part(const std::string& name, int first, int last) {
    write_picture(folder / ("CelebAMask-HQ-mask-anno/" + name), 16, 16, 3, 8,
                  [=](int y, int x, int) { return y * 16 + x >= first && y * 16 + x < last ? 255 : 0; });
  }
  void write_attributes(const std::string& text) {
    write_file_atomically(folder / "CelebAMask-HQ-attribute-anno.txt", text);
  }
  TemporaryFolder folder;
  CelebaMaskInput input{.root = folder.path(), .attributes = {"Smiling", "Male"}, .parts = {"hair", "skin"}};
};

TEST_F(CelebaMask, AttributesAreLabelsAndPartsAreMerged) {
  const auto importer = celebamask_importer(input);
  const auto listing = importer->list();
  EXPECT_EQ(listing.labels, LabelKind::multi);
  EXPECT_THAT(listing.class_names, ElementsAre("Smiling", "Male"));
  ASSERT_EQ(listing.items.size(), 3u);
  EXPECT_THAT(listing.items[0].classes, ElementsAre(0, 1));
  EXPECT_THAT(listing.items[2].classes, ElementsAre(1, 0));
  EXPECT_EQ(listing.items[2].id, "2001.jpg");
  EXPECT_TRUE(listing.masks_joined);
  const auto covered = [&](std::size_t i) {
    const auto& item = listing.items[i];
    const auto masks = transformed(importer->image(item), importer->masks(item), {.join_masks = true}).masks;
    EXPECT_EQ(masks.size(), 32u * 32u);
    return std::count(masks.begin(), masks.end(), 255) / 4;  // enlarged from 16×16
  };
  EXPECT_EQ(covered(0), 20);
  EXPECT_EQ(covered(1), 7);
  EXPECT_EQ(covered(2), 3);
  EXPECT_EQ(importer->image(listing.items[2]).height, 32);
}

TEST_F(CelebaMask, OneAttributeTellsTwoClasses) {
  input.attributes = {"Young"};
  input.parts.clear();
  const auto importer = celebamask_importer(input);
  const auto listing = importer->list();
  EXPECT_EQ(listing.labels, LabelKind::single);
  EXPECT_THAT(listing.class_names, ElementsAre("not Young", "Young"));
  EXPECT_EQ(listing.items[0].label, 1);
  EXPECT_EQ(listing.items[2].label, 0);
  EXPECT_EQ(listing.mask_channels, 0);
  EXPECT_TRUE(importer->masks(listing.items[0]).empty());
}

TEST_F(CelebaMask, WhatIsWrongIsSaid) {
  const auto answer = [&] { return data_refusal([&] { celebamask_importer(input)->list(); }); };
  const auto usage = [&] { return refusal(ErrorKind::usage, [&] { celebamask_importer(input)->list(); }); };
  input.parts = {"hat"};
  const auto importer = celebamask_importer(input);
  const auto listing = importer->list();
  EXPECT_THAT(data_refusal([&] { importer->masks(listing.items[1]); }), HasSubstr("none of the parts hat"));
  input.parts = {"beard"};
  EXPECT_THAT(usage(), HasSubstr("--mask-parts: 'beard' is not allowed; allowed: skin,"));
  input.parts = {"skin"};
  input.attributes = {"Bald"};
  EXPECT_THAT(usage(), HasSubstr("--attributes: 'Bald' is not in"));
  input.attributes = {"Male", "Male"};
  EXPECT_THAT(usage(), HasSubstr("appears twice"));
  input.attributes = {};
  EXPECT_THAT(usage(), HasSubstr("--attributes: is required"));
  input.attributes = {"Male"};
  write_attributes("4\nMale Smiling\n0.jpg 1 1\n");
  EXPECT_THAT(answer(), HasSubstr("1 images; its first line announces 4"));
  write_attributes("1\nMale Smiling\n0.jpg 1\n");
  EXPECT_THAT(answer(), HasSubstr("line 3: 2 fields"));
  write_attributes("1\nMale Smiling\n0.jpg 0 1\n");
  EXPECT_THAT(answer(), HasSubstr("line 3: '0' is neither 1 nor -1"));
  write_attributes("Male Smiling\n0.jpg 0 1\n");
  EXPECT_THAT(answer(), HasSubstr("line 1: 'Male Smiling' is not a number of images"));
  input.root = folder / "elsewhere";
  EXPECT_THAT(answer(), HasSubstr("there is no such file; --root"));
}

}  // namespace
}  // namespace isnet
