#include "report/page.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "page_files.h"

namespace isnet {
namespace {

const std::string& page_file(const std::string& name) {
  for (const auto& file : page_files())
    if (file.name == name) return file.text;
  fail(ErrorKind::internal, "the report page has no file '", name, "'");
}

std::string joined(const std::string& suffix) {
  std::string text;
  for (const auto& file : page_files())
    if (file.name.starts_with("page/") && file.name.ends_with(suffix)) text += file.text;
  return text;
}

// As a content-security policy names a script or a style: CSP Level 3, section 2.3.1.
std::string checksum(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return cat("'sha256-", base64({reinterpret_cast<const char*>(digest), sizeof digest}), "'");
}

// JSON within a script element: no "<", which could end the element or begin a comment.
std::string json_block(const nlohmann::ordered_json& data) {
  const std::string text = data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::string block;
  block.reserve(text.size() + text.size() / 64);
  for (const char c : text) {
    if (c == '<')
      block += "\\u003c";
    else if (c == '>')
      block += "\\u003e";
    else if (c == '&')
      block += "\\u0026";
    else
      block += c;
  }
  return block;
}

void replace(std::string& page, const std::string& mark, const std::string& text) {
  const auto place = page.find(mark);
  if (place == std::string::npos) fail(ErrorKind::internal, "the report's template has no ", mark);
  page.replace(place, mark.size(), text);
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

std::string report_page(const nlohmann::ordered_json& data) {
  const std::string style = joined(".css"), script = joined(".js"), &library = page_file("library.js");
  std::string page = page_file("page/template.html");
  replace(page, "{{policy}}",
          cat("default-src 'none'; script-src ", checksum(library), " ", checksum(script), "; style-src ",
              checksum(style), "; img-src data: blob:; base-uri 'none'; form-action 'none'; ",
              "require-trusted-types-for 'script'; trusted-types 'none'"));
  replace(page, "{{style}}", style);
  // The data last: they may hold what looks like a mark.
  replace(page, "{{library}}", library);
  replace(page, "{{script}}", script);
  replace(page, "{{data}}", json_block(data));
  return page;
}

}  // namespace isnet
