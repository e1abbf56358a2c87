#include <gmock/gmock.h>

#include "base/files.h"
#include "data/importers/layouts.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Manifest : public ::testing::Test {
 protected:
  Listing list(const std::string& text) {
    write_file_atomically(folder / "m.csv", text);
    input.manifest = folder / "m.csv";
    return csv_importer(input)->list();
  }
  std::string answer(const std::string& text) {
    return data_refusal([&] { list(text); });
  }
  TemporaryFolder folder;
  CsvInput input;
};

TEST_F(Manifest, EveryColumnIsUsed) {
  const auto listing = list(
      "id,image,mask,label,group,split,weight\n"
      "first,a.png,m/a.png,cat,p1,train,0.5\n"
      "second,b.png,m/b.png,ant,p2,,2\n");
  EXPECT_THAT(listing.class_names, ElementsAre("ant", "cat"));
  EXPECT_EQ(listing.labels, LabelKind::single);
  EXPECT_EQ(listing.mask_channels, 1);
  ASSERT_EQ(listing.items.size(), 2u);
  const auto& item = listing.items[0];
  EXPECT_EQ(item.id, "first");
  EXPECT_EQ(item.label, 1);
  EXPECT_EQ(item.group, "p1");
  EXPECT_EQ(item.split, "train");
  EXPECT_EQ(item.weight, 0.5);
  EXPECT_THAT(item.files, ElementsAre(folder / "a.png", folder / "m/a.png"));
  EXPECT_THAT(item.source, HasSubstr("m.csv: line 2"));
  EXPECT_EQ(listing.items[1].split, "");
}

TEST_F(Manifest, WholeNumbersAreOrderedByValue) {
  EXPECT_THAT(list("image,label\na,10\nb,9\nc,2\n").class_names, ElementsAre("2", "9", "10"));
}

TEST_F(Manifest, SeveralLabelsComeInOneColumnOrInSeveral) {
  input.columns = {{"image", "Image Index"}, {"labels", "Finding Labels"}, {"group", "Patient ID"}};
  input.classes = {"Effusion", "Mass"};
  auto listing = list(
      "Image Index,Finding Labels,Patient ID\n"
      "1.png,Mass|Nodule,1\n2.png,No Finding,2\n3.png,Effusion|Mass,2\n");
  EXPECT_EQ(listing.labels, LabelKind::multi);
  EXPECT_THAT(listing.class_names, ElementsAre("Effusion", "Mass"));
  ASSERT_EQ(listing.items.size(), 3u);
  EXPECT_THAT(listing.items[0].classes, ElementsAre(0, 1));
  EXPECT_THAT(listing.items[1].classes, ElementsAre(0, 0));
  EXPECT_THAT(listing.items[2].classes, ElementsAre(1, 1));
  EXPECT_EQ(listing.items[2].group, "2");

  input = {};
  listing = list("image,label:z,label:a\n1.png,1,0\n2.png,1,1\n");
  EXPECT_THAT(listing.class_names, ElementsAre("z", "a"));  // the order of the columns
  EXPECT_THAT(listing.items[0].classes, ElementsAre(1, 0));
}

TEST_F(Manifest, MasksCanBeOnePerClass) {
  input.class_names = {"Cat", "Dog"};
  const auto listing = list("image,label,mask:dog,mask:cat\n1.png,dog,d.png,c.png\n2.png,cat,e.png,f.png\n");
  EXPECT_EQ(listing.mask_channels, 2);
  EXPECT_TRUE(listing.masks_per_class);
  EXPECT_THAT(listing.items[0].files, ElementsAre(folder / "1.png", folder / "c.png", folder / "d.png"));
  EXPECT_THAT(answer("image,label,mask:dog\n1.png,dog,d.png\n2.png,cat,e.png\n"),
              HasSubstr("line 1: there is no column 'mask:cat'"));
}

TEST_F(Manifest, LabelsCanBeLeftOut) {
  const auto listing = list("image\na.png\n");
  EXPECT_EQ(listing.labels, LabelKind::none);
  EXPECT_TRUE(listing.class_names.empty());
}

TEST_F(Manifest, WhatIsWrongIsSaidWithItsLine) {
  EXPECT_THAT(data_refusal([&] {
                input.manifest = folder / "none.csv";
                csv_importer(input)->list();
              }),
              HasSubstr("none.csv: there is no such file"));
  EXPECT_THAT(answer(""), HasSubstr("is empty"));
  EXPECT_THAT(answer("image,label\n"), HasSubstr("no sample"));
  EXPECT_THAT(answer("path,label\na,b\n"), HasSubstr("no column 'image'"));
  EXPECT_THAT(answer("image,image\na,b\n"), HasSubstr("two columns have the same name"));
  EXPECT_THAT(answer("image,label\na,x\n,y\n"), HasSubstr("line 3: no image"));
  EXPECT_THAT(answer("image,label\na,\n"), HasSubstr("line 2: no label"));
  EXPECT_THAT(answer("image,label,labels\na,b,c\n"), HasSubstr("labels in several ways"));
  EXPECT_THAT(answer("image,mask,mask:a,label\na,b,c,a\n"), HasSubstr("exclude each other"));
  EXPECT_THAT(answer("image,mask:a\na,b\n"), HasSubstr("masks for each class, but no labels"));
  EXPECT_THAT(answer("image,label:x\na,2\n"), HasSubstr("line 2: label:x is '2'; allowed: 0 or 1"));
  EXPECT_THAT(answer("image,mask\na,\n"), HasSubstr("line 2: no mask"));
  for (const char* weight : {"-1", "x", "nan", "inf", "1e999", ""})
    EXPECT_THAT(answer(cat("image,weight\na,", weight, "\n")), HasSubstr("line 2: weight '")) << weight;
  EXPECT_THAT(answer("image,label\na,x\na,y\n"), HasSubstr("line 3): the id 'a' comes twice"));
  input.columns = {{"group", "Patient"}};
  EXPECT_THAT(answer("image,label\na,x\n"),
              HasSubstr("there is no column 'Patient' (--columns group=Patient)"));
  input.columns.clear();
  input.classes = {"x", "z"};
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { list("image,label\na,x\nb,y\n"); }),
              HasSubstr("holds no sample of class z; it holds x,y"));
}

}  // namespace
}  // namespace isnet
