// The page as a file: what it embeds, and that the data cannot get out of their place.
#include "report/page.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/files.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const auto from = text.find(begin) + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto place = text.find(part); place != std::string::npos; place = text.find(part, place + 1)) ++count;
  return count;
}

TEST(ReportPage, HoldsItsDataWhateverTheyAre) {
  const Json data{{"name", "</script><script>alert(1)</script><!-- {{script}} & \u2028"}, {"n", 0.1}};
  const std::string page = report_page(data);
  const std::string block = between(page, "<script type=\"application/json\" id=\"data\">", "</script>");
  EXPECT_EQ(Json::parse(block), data);
  EXPECT_THAT(block, Not(HasSubstr("<")));
  EXPECT_EQ(times(page, "<script"), times(report_page(Json::object()), "<script"));
}

TEST(ReportPage, AllowsItsOwnScriptsAndStylesByTheirChecksumsAndNothingElse) {
  const std::string page = report_page(Json::object());
  const std::string policy = between(page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
  EXPECT_THAT(policy, ::testing::StartsWith("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_THAT(policy, Not(HasSubstr("http")));
  const auto checksum = [](const std::string& text) {
    const std::string hexadecimal = sha256(text);
    std::string bytes;
    for (std::size_t i = 0; i < hexadecimal.size(); i += 2)
      bytes += static_cast<char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16));
    return "'sha256-" + base64(bytes) + "'";
  };
  EXPECT_THAT(policy, HasSubstr("style-src " + checksum(between(page, "<style>", "</style>"))));
  const std::string library = between(page, "<script>", "</script>");
  EXPECT_THAT(library, HasSubstr("d3js.org"));
  EXPECT_THAT(policy, HasSubstr(checksum(library)));
}

TEST(ReportPage, ReplacesBytesThatAreNoText) {
  EXPECT_THAT(report_page({{"id", "a\xff"}}), HasSubstr("a\xEF\xBF\xBD"));
}

TEST(ReportPage, EncodesBase64AsTheStandardDoes) {  // RFC 4648, section 10
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace isnet
