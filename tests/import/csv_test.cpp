#include <gmock/gmock.h>

#include "base/files.h"
#include "import/layouts.h"
#include "support/messages.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::capture_messages;
using isnet::testing::captured_messages;
using isnet::testing::data_refusal;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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
  EXPECT_THAT(answer("image,label:x\na,2\n"), HasSubstr("line 2: label:x is '2'; allowed: 0 or 1"));
  EXPECT_THAT(answer("image,mask\na,\n"), HasSubstr("line 2: no mask"));
  for (const char* weight : {"-1", "x", "nan", "inf", "1e999", ""})
    EXPECT_THAT(answer(cat("image,weight\na,", weight, "\n")), HasSubstr("line 2: weight '")) << weight;
  EXPECT_THAT(answer("image,label\na,x\na,y\n"), HasSubstr("line 3): the id 'a' appears twice"));
  input.columns = {{"group", "Patient"}};
  EXPECT_THAT(answer("image,label\na,x\n"),
              HasSubstr("there is no column 'Patient' (--columns group=Patient)"));
  input.columns.clear();
  input.classes = {"x", "z"};
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { list("image,label\na,x\nb,y\n"); }),
              HasSubstr("holds no sample of class z; it holds x,y"));
}

TEST_F(Manifest, BlanksAroundNamesAndValuesAreLeftOut) {
  const auto listing = list("image, label ,\tsplit\na.png, cat ,train\nb.png,cat, val\n");
  EXPECT_THAT(listing.class_names, ElementsAre("cat"));
  EXPECT_EQ(listing.items[1].split, "val");
  EXPECT_EQ(list("Image,LABEL\na.png,x\n").labels, LabelKind::single);
  EXPECT_THAT(answer("image,label,label \na,b,c\n"), HasSubstr("two columns have the same name, 'label'"));
}

TEST_F(Manifest, UsualNamesOfTheLabelAreTaken) {
  for (const char* name : {"class", "Class", "category", "target"}) {
    const auto listing = list(cat("image,", name, "\na.png,x\nb.png,y\n"));
    EXPECT_THAT(listing.class_names, ElementsAre("x", "y")) << name;
  }
  EXPECT_THAT(list("image,label,class\na.png,x,1\n").class_names, ElementsAre("x"));
  EXPECT_EQ(list("image,class,target\na.png,x,1\n").labels, LabelKind::none);  // which of them is not known
}

TEST_F(Manifest, WhatIsNearlyKnownIsSaid) {
  const auto said = [&](const std::string& text) {
    capture_messages();
    list(text);
    return captured_messages();
  };
  EXPECT_THAT(said("image,lable\na.png,x\n"),
              AllOf(HasSubstr("column 'lable' is not used; if it is the label, give --columns label=lable"),
                    HasSubstr("packed without labels")));
  EXPECT_THAT(said("image,label,patient_id\na.png,x,7\n"), HasSubstr("--columns group=patient_id"));
  EXPECT_THAT(said("image,class\na.png,x\n"), HasSubstr("column 'class' is taken as 'label'"));
  EXPECT_THAT(said("image,label,age,height\na.png,x,7,8\n"), Not(HasSubstr("is not used")));
  EXPECT_THAT(answer("path,label\na,b\n"), HasSubstr("'path' looks like it: --columns image=path"));
}

TEST_F(Manifest, FieldsAreSeparatedByCommasSemicolonsOrTabs) {
  for (const char* text :
       {"image;label\na,1.png;x\n", "image\tlabel\na,1.png\tx\n", "sep=;\nimage;label\na,1.png;x\n"})
    EXPECT_EQ(list(text).items.at(0).id, "a,1.png") << text;
  EXPECT_EQ(list("image;label;weight\na.png;x;0,5\n").items.at(0).weight, 0.5);
  EXPECT_EQ(list("image,note;label\na.png,x\n").items.size(), 1u);
  EXPECT_THAT(answer("image|label\na|x\n"), HasSubstr("--separator comma|semicolon|tab"));
  input.field_separator = ';';
  EXPECT_THAT(answer("image,label\na.png,x\n"), HasSubstr("the line is one field, 'image,label'"));
  input.field_separator = 0;
  EXPECT_THAT(answer("sep=;\nimage;label\na.png;\n"), HasSubstr("line 3: no label"));
}

TEST_F(Manifest, EncodingsAreRecognisedOrGiven) {
  const std::string latin = "image,label\na.png,caf\xE9\n", utf8 = "caf\xC3\xA9";
  EXPECT_THAT(answer(latin), AllOf(HasSubstr("line 2: byte 0xE9 is not UTF-8"),
                                   HasSubstr("--encoding windows-1252 (or latin-1)")));
  for (const char* encoding : {"latin-1", "windows-1252", "ISO-8859-15"}) {
    input.encoding = encoding;
    EXPECT_THAT(list(latin).class_names, ElementsAre(utf8)) << encoding;
  }
  input.encoding = "auto";
  std::string wide;
  for (const char c : std::string("image,label\r\na.png,x\r\n")) wide += {c, '\0'};
  EXPECT_THAT(list("\xFF\xFE" + wide).class_names, ElementsAre("x"));
  EXPECT_THAT(answer(wide), HasSubstr("UTF-16 without a byte order mark: give --encoding utf-16le"));
  input.encoding = "utf-16le";
  EXPECT_THAT(list(wide).class_names, ElementsAre("x"));
  EXPECT_THAT(answer("image"), HasSubstr("not utf-16le"));  // an odd number of bytes
  input.encoding = "klingon";
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { list("image\na\n"); }), HasSubstr("--encoding: 'klingon'"));
  input.encoding = "auto";
  EXPECT_EQ(list("image,label\ra.png,x\r").items.size(), 1u);  // line ends of old Macs
}

const char* chexpert =
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Cardiomegaly,Edema\n"
    "v/patient1/1.jpg,Male,68,Frontal,AP,1.0,,\n"
    "v/patient2/1.jpg,Female,5,Lateral,,,1.0,0.0\n"
    "v/patient3/1.jpg,Male,9,Frontal,AP,,-1.0,1.0\n";

TEST_F(Manifest, FindingsOfCheXpertAreClassesAndUncertainOnesAreDecidedOn) {
  EXPECT_THAT(answer(chexpert), AllOf(HasSubstr("line 4: label Cardiomegaly is -1 (uncertain)"),
                                      HasSubstr("--uncertain zeros|ones"), HasSubstr("ignore")));
  input.uncertain = UncertainLabels::zeros;
  auto listing = list(chexpert);
  EXPECT_EQ(listing.labels, LabelKind::multi);
  EXPECT_THAT(listing.class_names, ElementsAre("No Finding", "Cardiomegaly", "Edema"));
  EXPECT_THAT(listing.items.at(0).classes, ElementsAre(1, 0, 0));
  EXPECT_THAT(listing.items.at(1).classes, ElementsAre(0, 1, 0));
  EXPECT_THAT(listing.items.at(2).classes, ElementsAre(0, 0, 1));
  EXPECT_EQ(listing.items.at(2).id, "v/patient3/1.jpg");
  input.uncertain = UncertainLabels::ones;
  EXPECT_THAT(list(chexpert).items.at(2).classes, ElementsAre(0, 1, 1));
  input.uncertain = UncertainLabels::ignore;
  EXPECT_EQ(list(chexpert).items.size(), 2u);
  input.classes = {"Edema"};  // an uncertain label of a class that is not taken counts for nothing
  EXPECT_EQ(list(chexpert).items.size(), 3u);
  input.uncertain = UncertainLabels::refuse;
  EXPECT_EQ(list(chexpert).items.size(), 3u);
  capture_messages();
  list(chexpert);  // nor is an empty one counted
  EXPECT_THAT(captured_messages(), HasSubstr(": 1 empty labels are taken as 0"));
}

TEST_F(Manifest, ColumnsCanBeClassesByTheirNamesAlone) {
  input.label_columns = {"NV", "MEL"};
  const auto listing = list("image,MEL,NV,BCC\na.jpg,1.0,0.0,1.0\nb.jpg,False,true,0\n");
  EXPECT_THAT(listing.class_names, ElementsAre("NV", "MEL"));
  EXPECT_THAT(listing.items.at(0).classes, ElementsAre(0, 1));
  EXPECT_THAT(listing.items.at(1).classes, ElementsAre(1, 0));
  input.label_columns = {"SCC"};
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { list("image,MEL\na.jpg,1\n"); }),
              HasSubstr("has no column 'SCC'"));
}

TEST_F(Manifest, MasksThatAreNoClassesAreJoined) {
  auto listing = list("image,label,mask:left,mask:right\n1.png,x,l.png,r.png\n2.png,y,,q.png\n");
  EXPECT_EQ(listing.mask_channels, 1);
  EXPECT_TRUE(listing.masks_joined);
  EXPECT_FALSE(listing.masks_per_class);
  EXPECT_THAT(listing.items[0].files, ElementsAre(folder / "1.png", folder / "l.png", folder / "r.png"));
  EXPECT_THAT(listing.items[1].files, ElementsAre(folder / "2.png", folder / "q.png"));
  EXPECT_THAT(answer("image,mask:left,mask:right\n1.png,,\n"), HasSubstr("line 2: no mask"));
  input.columns = {{"mask:left", "Left Lung"}, {"mask:right", "Right Lung"}};
  listing = list("image,Right Lung,Left Lung\n1.png,r.png,l.png\n");
  EXPECT_THAT(listing.items[0].files, ElementsAre(folder / "1.png", folder / "l.png", folder / "r.png"));
  EXPECT_THAT(answer("image,Left Lung\n1.png,l.png\n"), HasSubstr("(--columns mask:right=Right Lung)"));
}

TEST_F(Manifest, PathsOfWindowsAndBothNormalFormsLeadToTheFile) {
  const std::string composed = "caf\xC3\xA9", decomposed = "cafe\xCC\x81";
  create_folders(folder / decomposed);
  write_file_atomically(folder / decomposed / "1.png", "");
  const auto listing =
      list(cat("image,label\n", composed, "\\1.png,", composed, "\n", "x/2.png,", decomposed, "\n"));
  EXPECT_THAT(listing.class_names, ElementsAre(composed));
  EXPECT_EQ(listing.items[0].files[0], folder / decomposed / "1.png");
  EXPECT_EQ(listing.items[0].id, composed + "/1.png");
}

}  // namespace
}  // namespace isnet
