// The report as one HTML file that needs no network.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace isnet {

/// The page that shows `data` (page_data.h). Its content-security policy allows the page's own scripts and
/// styles by their checksums, pictures as data, and nothing else; texts of the data are text on the page,
/// whatever they hold. Bytes that are not valid UTF-8 become U+FFFD.
std::string report_page(const nlohmann::ordered_json& data);

/// Base64 (RFC 4648) with padding.
std::string base64(std::string_view bytes);

}  // namespace isnet
